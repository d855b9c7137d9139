import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import { capabilities, checkCapabilities, hasCapability } from '../kernel/capability.ts';
import { parseIomem } from '../kernel/iomem.ts';
import { type Lockdown, parseLockdown } from '../kernel/lockdown.ts';
import { readText } from '../kernel/read.ts';
import type { Refusal } from '../refusal.ts';
import type { SystemPaths } from '../system.ts';
import { checkKcoreDenial } from './denial.ts';
import { type KcoreState, lookAtKcore } from './kcore.ts';

/**
 * Everything that keeps this node's memory from being acquired, each cause on its own; empty when nothing does. `maskStays` is why the agent could
 * not unmask what the container runtime hides. Takes about 1 ms.
 */
export function checkSystem(system: SystemPaths, maskStays?: string): Refusal[] {
  const lockdown = parseLockdown(readText(system.lockdown) ?? '');
  const status = readText(system.selfStatus) ?? '';
  const capability = checkCapabilities(status, readText(system.uidMap) ?? '');
  const kcore = lookAtKcore(system.kcore, readText(system.mountinfo) ?? '');
  return [
    checkArchitecture(system.architecture),
    capability,
    checkLockdown(lockdown),
    kcore.kind === 'masked'
      ? masked(kcore.how, hasCapability(status, capabilities.sysAdmin), maskStays)
      : checkKcore(kcore, lockdown, capability !== undefined),
    checkIomem(readText(system.iomem)),
  ].filter((refusal) => refusal !== undefined);
}

/** One capture at a time. */
export function captureRunning(captureId: string): Refusal {
  return {
    reason: PreflightReason.CAPTURE_RUNNING,
    message: `capture ${captureId} runs on this node; wait for its end or cancel it`,
  };
}

function checkArchitecture(architecture: string): Refusal | undefined {
  if (architecture === 'x86_64') return undefined;
  return {
    reason: PreflightReason.UNSUPPORTED_ARCHITECTURE,
    message: `this node is ${architecture}; only x86_64 can be analyzed, so nothing is acquired here`,
  };
}

function checkLockdown(lockdown: Lockdown): Refusal | undefined {
  if (lockdown !== 'confidentiality') return undefined;
  return {
    reason: PreflightReason.LOCKDOWN,
    message:
      'the kernel runs with lockdown=confidentiality, which closes /proc/kcore to everybody; boot the node with lockdown=integrity or none',
  };
}

function masked(how: string, mayUnmask: boolean, maskStays: string | undefined): Refusal {
  const next = mayUnmask
    ? (maskStays ?? 'there is nothing to unmount; run the agent with privileged: true')
    : 'run the agent with CAP_SYS_ADMIN so that it can unmask it, or privileged: true';
  return {
    reason: PreflightReason.KCORE_MASKED,
    message: `the container runtime hides /proc/kcore: ${how}; ${next}`,
  };
}

function checkKcore(
  kcore: Exclude<KcoreState, { kind: 'masked' }>,
  lockdown: Lockdown,
  lacksCapability: boolean,
): Refusal | undefined {
  switch (kcore.kind) {
    case 'readable':
      return undefined;
    case 'absent':
      return {
        reason: PreflightReason.NO_KCORE,
        message: 'the kernel has no /proc/kcore; it must be built with CONFIG_PROC_KCORE=y',
      };
    case 'denied':
      return checkKcoreDenial(kcore.errno, lockdown, lacksCapability);
  }
}

function checkIomem(text: string | undefined): Refusal | undefined {
  if (text !== undefined && !parseIomem(text).hidden) return undefined;
  return {
    reason: PreflightReason.IOMEM_HIDDEN,
    message:
      text === undefined
        ? '/proc/iomem cannot be read, so the places of memory are unknown; look at what is mounted over it'
        : '/proc/iomem shows no address of System RAM, so the places of memory are unknown; grant CAP_SYS_ADMIN in the initial user namespace',
  };
}
