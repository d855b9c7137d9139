import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { Refusal } from '../refusal.ts';

/** Numbers of the capabilities that the agent uses (include/uapi/linux/capability.h). */
export const capabilities = { sysRawio: 17n, sysAdmin: 21n, syslog: 34n } as const;

const needed = [
  { bit: capabilities.sysRawio, name: 'CAP_SYS_RAWIO', why: 'to open /proc/kcore' },
  {
    bit: capabilities.sysAdmin,
    name: 'CAP_SYS_ADMIN',
    why: 'to unmask /proc/kcore and to see the addresses in /proc/iomem',
  },
];

/** The effective capabilities in /proc/self/status as a bit set; undefined when the line is missing. */
function parseEffectiveCapabilities(status: string): bigint | undefined {
  const hex = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(status)?.[1];
  return hex === undefined ? undefined : BigInt(`0x${hex}`);
}

/** Whether a capability is effective by /proc/self/status. */
export function hasCapability(status: string, bit: bigint): boolean {
  return (((parseEffectiveCapabilities(status) ?? 0n) >> bit) & 1n) === 1n;
}

/** Whether a /proc/self/uid_map is the one of the initial user namespace: everything maps to itself. */
function isInitialUserNamespace(uidMap: string): boolean {
  return uidMap.trim().split(/\s+/).join(' ') === '0 0 4294967295';
}

/** The capability that is missing, if one is: both count in the initial user namespace only. */
export function checkCapabilities(status: string, uidMap: string): Refusal | undefined {
  const missing = needed.filter(({ bit }) => !hasCapability(status, bit));
  if (missing.length > 0) {
    const list = missing.map(({ name, why }) => `${name} (${why})`).join(' and ');
    return refusal(
      `the agent lacks ${list}; grant it in the container's securityContext.capabilities, and run as root`,
    );
  }
  if (!isInitialUserNamespace(uidMap)) {
    return refusal(
      'the agent runs in a user namespace of its own, where its capabilities do not reach physical memory; remove hostUsers: false from its pod',
    );
  }
  return undefined;
}

function refusal(message: string): Refusal {
  return { reason: PreflightReason.NO_CAPABILITY, message };
}
