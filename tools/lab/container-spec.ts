/** What is particular to one container; the rest of its OCI configuration is as containerd makes it for Kubernetes. */
export interface ContainerSpec {
  args: string[];
  hostname: string;
  cgroupsPath: string;
  /** Names under which the container's namespaces are found; a namespace not named here is made new. */
  namespacePaths: { network: string; ipc?: string; uts?: string };
  env?: string[];
  privileged?: boolean;
  mounts?: OciMount[];
}

export interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

const defaultCapabilities =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'.split(
    ' ',
  );

const allCapabilities = [
  ...defaultCapabilities,
  ...'AUDIT_CONTROL AUDIT_READ BLOCK_SUSPEND BPF CHECKPOINT_RESTORE DAC_READ_SEARCH IPC_LOCK IPC_OWNER LEASE'.split(
    ' ',
  ),
  ...'LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE NET_ADMIN NET_BROADCAST PERFMON SYSLOG SYS_ADMIN SYS_BOOT SYS_MODULE'.split(
    ' ',
  ),
  ...'SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM'.split(' '),
];

const maskedPaths = [
  ...['/proc/asound', '/proc/acpi', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list'],
  ...['/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** The `config.json` of an OCI bundle. */
export function ociConfig(spec: ContainerSpec): object {
  const privileged = spec.privileged ?? false;
  const capabilities = (privileged ? allCapabilities : defaultCapabilities).map((name) => `CAP_${name}`);
  const access = privileged ? 'rw' : 'ro';
  const { network, ipc, uts } = spec.namespacePaths;
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: spec.args,
      env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        `HOSTNAME=${spec.hostname}`,
        ...(spec.env ?? []),
      ],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      oomScoreAdj: 1000,
    },
    root: { path: 'rootfs' },
    hostname: uts ? undefined : spec.hostname,
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
      },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', access] },
      {
        destination: '/sys/fs/cgroup',
        type: 'cgroup',
        source: 'cgroup',
        options: ['nosuid', 'noexec', 'nodev', 'relatime', access],
      },
      ...(spec.mounts ?? []),
    ],
    linux: {
      cgroupsPath: spec.cgroupsPath,
      resources: { devices: [{ allow: privileged, access: 'rwm' }], cpu: { shares: 2 } },
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'network', path: network },
        ipc ? { type: 'ipc', path: ipc } : { type: 'ipc' },
        uts ? { type: 'uts', path: uts } : { type: 'uts' },
        // containerd gives a privileged container the node's cgroup namespace
        ...(privileged ? [] : [{ type: 'cgroup' }]),
      ],
      ...(privileged ? {} : { maskedPaths, readonlyPaths }),
    },
  };
}
