import { readlinkSync } from 'node:fs';
import { Fault } from '@kcorder/proto/fault.ts';
import type { Logger } from 'pino';
import { output } from '../avml/process.ts';
import { capabilities, hasCapability } from '../kernel/capability.ts';
import { parseMountinfo } from '../kernel/mountinfo.ts';
import { readText } from '../kernel/read.ts';
import type { SystemPaths } from '../system.ts';

/** The namespaces that say whose mounts these are, as the links in /proc name them; undefined for what cannot be told. */
export interface Namespaces {
  readonly pid: string | undefined;
  readonly mount: string | undefined;
  /** Mount namespace of process 1. */
  readonly mountOfFirst: string | undefined;
}

/** Number of the first PID namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h). */
const firstPidNamespace = 'pid:[4026531836]';
/** Masks that lie over each other; more is no mask of a runtime. */
const deepest = 8;

const whatForbids =
  'look for an AppArmor or seccomp profile that forbids umount, or run the agent with privileged: true';

/** The namespaces of this process. */
function readNamespaces(): Namespaces {
  const link = (path: string): string | undefined => {
    try {
      return readlinkSync(path);
    } catch {
      return undefined;
    }
  };
  return {
    pid: link('/proc/self/ns/pid'),
    mount: link('/proc/self/ns/mnt'),
    mountOfFirst: link('/proc/1/ns/mnt'),
  };
}

/**
 * Takes away what the container runtime mounted over the files that are to be read, in the agent's own mount namespace: then CAP_SYS_ADMIN does
 * instead of a privileged container. Returns why a mask could not be taken away; undefined when there is none any more, or when the agent lacks
 * the capability, which preflight names.
 */
export async function unmask(
  system: SystemPaths,
  log: Logger,
  namespaces: Namespaces = readNamespaces(),
): Promise<string | undefined> {
  const problems: string[] = [];
  for (const path of [system.kcore, system.iomem, system.kallsyms]) {
    try {
      for (let depth = 0; ; depth += 1) {
        const mounts = parseMountinfo(readText(system.mountinfo) ?? '');
        const mask = mounts.findLast(({ mountPoint }) => mountPoint === path);
        if (mask === undefined) break;
        if (!hasCapability(readText(system.selfStatus) ?? '', capabilities.sysAdmin)) break;
        const parent = mounts.find(({ id }) => id === mask.parentId);
        const objection = objectionTo(parent?.isShared, namespaces);
        if (objection !== undefined) {
          problems.push(
            `${path} was left as it is, because ${objection}; unmount it on the node, or run the agent in a container`,
          );
          break;
        }
        if (depth === deepest) {
          problems.push(`${path} is still masked after ${depth} unmounts; run the agent with privileged: true`);
          break;
        }
        await output('umount', [path], undefined, whatForbids);
        log.info(
          { path, filesystem: mask.filesystem, root: mask.root },
          'unmasked in the mount namespace of the agent',
        );
      }
    } catch (error) {
      problems.push(Fault.from(error).message);
    }
  }
  if (problems.length === 0) return undefined;
  log.warn({ problems }, 'a mask of the container runtime stays');
  return problems.join('; ');
}

/** Why a mount is not the agent's own to take away: it is the node's, or would go in other namespaces too. */
function objectionTo(
  parentIsShared: boolean | undefined,
  { pid, mount, mountOfFirst }: Namespaces,
): string | undefined {
  // Unmounting spreads to the peers of the mount below (Documentation/filesystems/sharedsubtree.rst); a container has none.
  if (parentIsShared !== false) return 'what is mounted there is shared with other mount namespaces';
  // In a PID namespace of its own process 1 is the container's, and its mounts are the container's too.
  if (pid === undefined || mount === undefined) return 'the namespaces of the agent cannot be told';
  if (pid === firstPidNamespace && (mountOfFirst === undefined || mountOfFirst === mount)) {
    return 'the agent runs in the mount namespace of the node itself';
  }
  return undefined;
}
