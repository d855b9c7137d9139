/** What a responder lists by a short name instead of a plugin's. */
export interface Kind {
  readonly name: string;
  readonly plugin: string;
  /** What its rows are, after "List the ". */
  readonly summary: string;
}

/** Every kind. The command line has a subcommand of `get` for each, and the API takes the names in the place of plugins. */
export const kinds: readonly Kind[] = [
  { name: 'processes', plugin: 'processes', summary: 'processes' },
  { name: 'sockets', plugin: 'sockets', summary: 'sockets that processes hold' },
  { name: 'files', plugin: 'linux.lsof.Lsof', summary: 'open files' },
  { name: 'mounts', plugin: 'linux.mountinfo.MountInfo', summary: 'mounts of every mount namespace' },
  { name: 'modules', plugin: 'linux.lsmod.Lsmod', summary: 'kernel modules' },
  { name: 'hidden-modules', plugin: 'hiddenModules', summary: 'modules that the kernel has loaded and does not list' },
  { name: 'env', plugin: 'linux.envars.Envars', summary: 'environment variables of processes' },
  { name: 'maps', plugin: 'linux.proc.Maps', summary: 'memory mappings of processes' },
  { name: 'libraries', plugin: 'linux.library_list.LibraryList', summary: 'libraries that processes have loaded' },
  { name: 'capabilities', plugin: 'linux.capabilities.Capabilities', summary: 'capabilities of tasks' },
  { name: 'history', plugin: 'linux.bash.Bash', summary: 'commands in the memory of bash' },
  { name: 'log', plugin: 'linux.kmsg.Kmsg', summary: 'kernel log' },
  { name: 'addresses', plugin: 'linux.ip.Addr', summary: 'network addresses' },
  { name: 'interfaces', plugin: 'linux.ip.Link', summary: 'network interfaces' },
  { name: 'netfilter', plugin: 'linux.malware.netfilter.Netfilter', summary: 'netfilter hooks' },
  { name: 'ebpf', plugin: 'linux.ebpf.EBPF', summary: 'eBPF programs' },
  { name: 'kthreads', plugin: 'linux.kthreads.Kthreads', summary: 'kernel threads and their functions' },
  { name: 'ptrace', plugin: 'linux.ptrace.Ptrace', summary: 'tracers and whom they trace' },
  { name: 'injections', plugin: 'linux.malware.malfind.Malfind', summary: 'memory that may hold injected code' },
  { name: 'cached-files', plugin: 'linux.pagecache.Files', summary: 'files in the page cache' },
];

const plugins: ReadonlyMap<string, string> = new Map(kinds.map(({ name, plugin }) => [name, plugin]));

/** The plugin that a word names: a kind's, or the word itself. */
export function pluginOf(word: string): string {
  return plugins.get(word) ?? word;
}
