import { machine } from 'node:os';
import { join } from 'node:path';

/** Every place of the machine that the agent reads, so that a test can point it at a tree of recorded files. Nothing else differs. */
export interface SystemPaths {
  readonly kcore: string;
  readonly iomem: string;
  readonly kernelNotes: string;
  readonly banner: string;
  /** The kernel's type information. */
  readonly btf: string;
  readonly kallsyms: string;
  readonly release: string;
  readonly bootId: string;
  /** The kernel's lockdown state; securityfs is often not mounted in a container. */
  readonly lockdown: string;
  readonly selfStatus: string;
  readonly uidMap: string;
  readonly mountinfo: string;
  readonly osRelease: string;
  readonly machineId: string;
  /** The node's /var/log/containers: one symbolic link per container. */
  readonly containerLogs: string;
  /** Machine as `uname -m` prints it. */
  readonly architecture: string;
}

/** The running machine. `hostRoot` is where the node's own /etc and /var/log/containers are mounted. */
export function realSystem(hostRoot: string): SystemPaths {
  return {
    kcore: '/proc/kcore',
    iomem: '/proc/iomem',
    kernelNotes: '/sys/kernel/notes',
    banner: '/proc/version',
    btf: '/sys/kernel/btf/vmlinux',
    kallsyms: '/proc/kallsyms',
    release: '/proc/sys/kernel/osrelease',
    bootId: '/proc/sys/kernel/random/boot_id',
    lockdown: '/sys/kernel/security/lockdown',
    selfStatus: '/proc/self/status',
    uidMap: '/proc/self/uid_map',
    mountinfo: '/proc/self/mountinfo',
    osRelease: join(hostRoot, 'etc/os-release'),
    machineId: join(hostRoot, 'etc/machine-id'),
    containerLogs: join(hostRoot, 'var/log/containers'),
    architecture: machine(),
  };
}
