/** What an argument may be. Addresses are hexadecimal; lists have commas between their items. */
export type ArgumentKind = 'flag' | 'number' | 'numbers' | 'address' | 'addresses' | 'text' | 'texts';

/** By name: the kind, or the words to choose from. */
export type Arguments = Readonly<Record<string, ArgumentKind | readonly string[]>>;

/** As the runner gets it; an address is `0x…`, as a number of JSON would round it. */
export type ArgumentValue = boolean | number | string | readonly (number | string)[];

/** What is kept of a plugin's rows; bytes as they are on disk. */
export interface RowBound {
  readonly rows: number;
  readonly bytes: number;
}

/** What the runner has to know of a plugin. */
export interface RunnerPlugin {
  /** One of ours, or Volatility's by its module and class. */
  readonly name: string;
  /** True: no running node is without what it lists, so it has failed when it finds nothing. */
  readonly neverEmpty?: boolean;
  /**
   * It walks the task list, so rows are missing where that is broken in the image. `each`: it has a row for each process in its column PID, and those
   * without one are named.
   */
  readonly processes?: 'each' | 'some';
  /** True: its rows are those of a tree, and get their depth as the first column. */
  readonly tree?: boolean;
  /** Without one of these arguments it is unsupported. */
  readonly needs?: readonly string[];
  readonly arguments?: Readonly<Record<string, ArgumentValue>>;
}

/** The columns that say to which process, and so to which pod, a row belongs. */
export interface PluginPlace {
  /** The process ID, as the node sees it. */
  readonly pidColumn?: string;
  /** The thread ID, as the node sees it. */
  readonly tidColumn?: string;
  /** Address of the task_struct. */
  readonly taskColumn?: string;
  /** Inode number of the network namespace. */
  readonly netNamespaceColumn?: string;
  /** Inode number of the mount namespace. */
  readonly mountNamespaceColumn?: string;
}

/** A plugin that can be run by its name. */
export interface PluginRow extends Omit<RunnerPlugin, 'arguments'>, PluginPlace {
  /** Of those whose rows are read here: what our runner names its columns. */
  readonly columns?: readonly string[];
  /** Default: `anyRows`. */
  readonly most?: RowBound;
  /** True: its rows hold contents of memory, such as secrets, not only names and numbers of the kernel. */
  readonly sensitive?: boolean;
  /** The arguments that it takes. Volatility's others write files or read them. */
  readonly takes?: Arguments;
}

/** What is kept of rows that are only passed on. */
const anyRows: RowBound = { rows: 1_000_000, bytes: 256 * 2 ** 20 };

const inPid = { processes: 'some', pidColumn: 'PID' } as const;
const inTask = { processes: 'some', pidColumn: 'PID', tidColumn: 'TID' } as const;
const pid = 'numbers';
const pids = 'numbers';

/** Every plugin that is known by name: ours, then the 49 for Linux of Volatility 2.28.2. */
export const pluginTable = [
  {
    name: 'processes',
    // The agent that sent the image ran, with files and a connection open.
    neverEmpty: true,
    pidColumn: 'pid',
    taskColumn: 'offset',
    columns: [
      ...['pid', 'ppid', 'nspid', 'comm', 'state', 'threads', 'uid', 'gid', 'startTime', 'kernelThread'],
      ...['commandLine', 'exe', 'cgroup', 'utsName', 'netNamespace', 'pidNamespace', 'mntNamespace'],
      ...['inTaskList', 'inPidTable', 'hidden', 'offset'],
    ],
    // Joined in memory: 50,000 processes are five times those of a large node.
    most: { rows: 50_000, bytes: 16 * 2 ** 20 },
  },
  {
    name: 'sockets',
    neverEmpty: true,
    pidColumn: 'pid',
    netNamespaceColumn: 'netNamespace',
    columns: [
      ...['pid', 'fd', 'family', 'type', 'protocol', 'state', 'localAddress', 'localPort', 'remoteAddress'],
      ...['remotePort', 'path', 'netNamespace', 'inode'],
    ],
    most: { rows: 150_000, bytes: 16 * 2 ** 20 },
  },
  { name: 'hiddenModules', columns: ['name', 'offset'], most: { rows: 10_000, bytes: 4 * 2 ** 20 } },
  { name: 'linux.bash.Bash', ...inPid, sensitive: true, takes: { pid } },
  { name: 'linux.boottime.Boottime', neverEmpty: true, processes: 'some' },
  {
    ...{ name: 'linux.capabilities.Capabilities', neverEmpty: true, processes: 'some', takes: { pids } },
    ...{ pidColumn: 'Pid', tidColumn: 'Tid' },
  },
  { name: 'linux.ebpf.EBPF' },
  { name: 'linux.elfs.Elfs', neverEmpty: true, ...inPid, takes: { pid } },
  { name: 'linux.envars.Envars', neverEmpty: true, ...inPid, sensitive: true, takes: { pid } },
  { name: 'linux.graphics.fbdev.Fbdev' },
  { name: 'linux.iomem.IOMem', neverEmpty: true },
  { name: 'linux.ip.Addr', neverEmpty: true, netNamespaceColumn: 'NetNS' },
  { name: 'linux.ip.Link', neverEmpty: true, netNamespaceColumn: 'NS' },
  {
    name: 'linux.kallsyms.Kallsyms',
    neverEmpty: true,
    takes: { core: 'flag', modules: 'flag', ftrace: 'flag', bpf: 'flag' },
  },
  { name: 'linux.kmsg.Kmsg', neverEmpty: true, sensitive: true },
  { name: 'linux.kthreads.Kthreads', neverEmpty: true, processes: 'some', tidColumn: 'TID' },
  { name: 'linux.library_list.LibraryList', processes: 'some', pidColumn: 'Pid', takes: { pids } },
  // Ours, in the columns of Volatility's.
  { name: 'linux.lsmod.Lsmod' },
  { name: 'linux.lsof.Lsof', neverEmpty: true, ...inTask, takes: { pid, files_only: 'flag' } },
  { name: 'linux.malware.check_afinfo.Check_afinfo' },
  // Its column PIDs has several.
  { name: 'linux.malware.check_creds.Check_creds', processes: 'some' },
  { name: 'linux.malware.check_idt.Check_idt', neverEmpty: true },
  { name: 'linux.malware.check_modules.Check_modules' },
  { name: 'linux.malware.check_syscall.Check_syscall', neverEmpty: true },
  { name: 'linux.malware.hidden_modules.Hidden_modules' },
  { name: 'linux.malware.keyboard_notifiers.Keyboard_notifiers' },
  {
    ...{ name: 'linux.malware.malfind.Malfind', ...inPid, sensitive: true },
    takes: { pid, 'hexdump-size': 'number', 'show-all-dirty-pages': 'flag' },
  },
  { name: 'linux.malware.modxview.Modxview', takes: { plain_taints: 'flag' } },
  { name: 'linux.malware.netfilter.Netfilter', netNamespaceColumn: 'Net NS' },
  { name: 'linux.malware.process_spoofing.ProcessSpoofing', ...inPid, takes: { pid } },
  { name: 'linux.malware.tty_check.Tty_Check' },
  { name: 'linux.module_extract.ModuleExtract', needs: ['base'], takes: { base: 'address' } },
  {
    ...{ name: 'linux.mountinfo.MountInfo', neverEmpty: true, processes: 'some', mountNamespaceColumn: 'MNT_NS_ID' },
    takes: { pids, mntns: 'numbers', 'mount-format': 'flag' },
  },
  { name: 'linux.pagecache.Files', neverEmpty: true, takes: { type: 'texts', find: 'text' } },
  { name: 'linux.pagecache.InodePages', needs: ['find', 'inode'], takes: { find: 'text', inode: 'address' } },
  {
    name: 'linux.pagecache.RecoverFs',
    takes: { tmpfs_only: 'flag', compression_format: ['gz', 'bz2', 'xz'] },
  },
  {
    ...{ name: 'linux.pidhashtable.PIDHashTable', neverEmpty: true, pidColumn: 'PID', tidColumn: 'TID' },
    ...{ taskColumn: 'OFFSET', takes: { decorate_comm: 'flag' } },
  },
  { name: 'linux.proc.Maps', neverEmpty: true, ...inPid, takes: { pid, address: 'addresses' } },
  { name: 'linux.psaux.PsAux', neverEmpty: true, processes: 'each', pidColumn: 'PID', sensitive: true, takes: { pid } },
  {
    ...{ name: 'linux.pscallstack.PsCallStack', neverEmpty: true, processes: 'some', tidColumn: 'TID' },
    takes: { pid, unresolved: 'flag' },
  },
  {
    ...{ name: 'linux.pslist.PsList', neverEmpty: true, processes: 'each', pidColumn: 'PID', tidColumn: 'TID' },
    ...{ taskColumn: 'OFFSET (V)', takes: { pid, threads: 'flag', decorate_comm: 'flag' } },
  },
  // Also tasks that have ended, whose ID another can have by now.
  { name: 'linux.psscan.PsScan', neverEmpty: true },
  {
    ...{ name: 'linux.pstree.PsTree', neverEmpty: true, processes: 'each', pidColumn: 'PID', tidColumn: 'TID' },
    ...{ taskColumn: 'OFFSET (V)', tree: true, takes: { pid, threads: 'flag', decorate_comm: 'flag' } },
  },
  { name: 'linux.ptrace.Ptrace', ...inTask },
  { name: 'linux.sockscan.Sockscan', neverEmpty: true },
  {
    ...{ name: 'linux.sockstat.Sockstat', neverEmpty: true, ...inTask, netNamespaceColumn: 'NetNS' },
    takes: { pids, netns: 'number' },
  },
  { name: 'linux.tracing.ftrace.CheckFtrace', takes: { show_ftrace_flags: 'flag' } },
  { name: 'linux.tracing.perf_events.PerfEvents', ...inPid },
  { name: 'linux.tracing.tracepoints.CheckTracepoints' },
  {
    ...{ name: 'linux.vmaregexscan.VmaRegExScan', ...inPid, sensitive: true, needs: ['pattern'] },
    takes: { pid, pattern: 'text', maxsize: 'number' },
  },
  {
    ...{ name: 'linux.vmayarascan.VmaYaraScan', ...inPid, sensitive: true, needs: ['yara_string'] },
    takes: { pid, yara_string: 'text', insensitive: 'flag', wide: 'flag' },
  },
  { name: 'linux.vmcoreinfo.VMCoreInfo', neverEmpty: true },
] as const satisfies readonly PluginRow[];

export type PluginName = (typeof pluginTable)[number]['name'];

/** A column of a plugin whose rows are read here. */
export type ColumnOf<Name extends PluginName> = Extract<
  (typeof pluginTable)[number],
  { readonly name: Name; readonly columns: readonly string[] }
>['columns'][number];

const byName: ReadonlyMap<string, PluginRow> = new Map(pluginTable.map((row) => [row.name, row]));

/** What is known of a plugin; undefined of one that is not in the table. */
export function pluginRow(plugin: string): PluginRow | undefined {
  return byName.get(plugin);
}

/** The bound of a plugin's rows. */
export function rowBoundOf(plugin: string): RowBound {
  return byName.get(plugin)?.most ?? anyRows;
}

/** What our runner names the columns of a plugin; none for those that name them themselves. */
export function knownColumns(plugin: string): readonly string[] {
  return byName.get(plugin)?.columns ?? [];
}
