import { PreflightReason } from '@kcorder/proto/gen/kcorder/v1/node_pb.ts';
import type { Lockdown } from '../kernel/lockdown.ts';
import type { Refusal } from '../refusal.ts';

/**
 * Why kcore was refused with this errno, which has several causes. Undefined when the cause is already named by a check of its own.
 */
export function checkKcoreDenial(errno: string, lockdown: Lockdown, lacksCapability: boolean): Refusal | undefined {
  if (lacksCapability || lockdown === 'confidentiality') return undefined;
  if (errno === 'EPERM' && lockdown === 'unknown') {
    return {
      reason: PreflightReason.LOCKDOWN,
      message:
        '/proc/kcore is refused with EPERM although the agent has every capability: probably lockdown=confidentiality (the lockdown state cannot be read here; mount /sys/kernel/security to be sure); boot the node with lockdown=integrity or none',
    };
  }
  return {
    reason: PreflightReason.NO_CAPABILITY,
    message: `/proc/kcore is refused with ${errno} although the agent has every capability: run it as root and look for a security module (AppArmor, SELinux, seccomp) that denies it`,
  };
}
