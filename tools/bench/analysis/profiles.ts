/** A profile, and what asks the same of stock Volatility: one `vol` for each of its plugins. */
export interface BenchProfile {
  readonly name: string;
  /** Ours first, which have no peer and are measured all the same. */
  readonly plugins: readonly string[];
}

const ours = ['processes', 'sockets', 'hiddenModules', 'linux.lsmod.Lsmod'];

const tasks = ['pslist.PsList', 'pstree.PsTree', 'psaux.PsAux', 'sockstat.Sockstat', 'lsof.Lsof'];

const standard = [
  ...tasks,
  ...['bash.Bash', 'capabilities.Capabilities', 'ebpf.EBPF', 'envars.Envars', 'iomem.IOMem', 'ip.Addr', 'ip.Link'],
  ...['kmsg.Kmsg', 'kthreads.Kthreads', 'library_list.LibraryList', 'mountinfo.MountInfo', 'pidhashtable.PIDHashTable'],
  ...['malware.check_afinfo.Check_afinfo', 'malware.check_creds.Check_creds', 'malware.check_idt.Check_idt'],
  ...['malware.check_modules.Check_modules', 'malware.check_syscall.Check_syscall', 'malware.modxview.Modxview'],
  ...['malware.keyboard_notifiers.Keyboard_notifiers', 'malware.netfilter.Netfilter', 'malware.tty_check.Tty_Check'],
  ...['malware.process_spoofing.ProcessSpoofing', 'ptrace.Ptrace', 'tracing.ftrace.CheckFtrace'],
  ...['tracing.perf_events.PerfEvents', 'tracing.tracepoints.CheckTracepoints'],
];

const deep = [
  ...['elfs.Elfs', 'proc.Maps', 'pscallstack.PsCallStack', 'malware.hidden_modules.Hidden_modules'],
  ...['malware.malfind.Malfind', 'pagecache.Files'],
];

const scans = ['psscan.PsScan', 'sockscan.Sockscan'];

const stock = (names: readonly string[]): string[] => names.map((name) => `linux.${name}`);

/** What the profiles are made of, in the order in which they run. */
export const profiles: readonly BenchProfile[] = [
  { name: 'first-table', plugins: ['processes'] },
  { name: 'quick', plugins: [...ours, ...stock(tasks)] },
  { name: 'standard', plugins: [...ours, ...stock(standard)] },
  { name: 'deep-without-scans', plugins: [...ours, ...stock(standard), ...stock(deep)] },
  { name: 'deep', plugins: [...ours, ...stock(standard), ...stock(deep), ...stock(scans)] },
];

/** Plugins that stock Volatility has too, each once. */
export const peerPlugins: readonly string[] = ['linux.lsmod.Lsmod', ...stock([...standard, ...deep, ...scans])];
