import type { PluginName } from './plugins.ts';

/** What the process table is made of. */
const quick: readonly PluginName[] = ['processes', 'sockets'];

/** Reads what the kernel lists, and compares what it calls with its own code. */
const standard: readonly PluginName[] = [
  ...quick,
  'hiddenModules',
  'linux.pslist.PsList',
  'linux.pstree.PsTree',
  'linux.psaux.PsAux',
  'linux.sockstat.Sockstat',
  'linux.lsof.Lsof',
  'linux.lsmod.Lsmod',
  'linux.boottime.Boottime',
  'linux.bash.Bash',
  'linux.capabilities.Capabilities',
  'linux.ebpf.EBPF',
  'linux.envars.Envars',
  'linux.ip.Addr',
  'linux.ip.Link',
  'linux.kmsg.Kmsg',
  'linux.kthreads.Kthreads',
  'linux.malware.check_afinfo.Check_afinfo',
  'linux.malware.check_creds.Check_creds',
  'linux.malware.check_idt.Check_idt',
  'linux.malware.check_modules.Check_modules',
  'linux.malware.check_syscall.Check_syscall',
  'linux.malware.keyboard_notifiers.Keyboard_notifiers',
  'linux.malware.netfilter.Netfilter',
  'linux.malware.process_spoofing.ProcessSpoofing',
  'linux.malware.tty_check.Tty_Check',
  'linux.mountinfo.MountInfo',
  'linux.pidhashtable.PIDHashTable',
  'linux.ptrace.Ptrace',
  'linux.tracing.ftrace.CheckFtrace',
  'linux.tracing.perf_events.PerfEvents',
  'linux.tracing.tracepoints.CheckTracepoints',
];

/** Also walks every mapping, stack and cached file, and scans the memory. The 200,000 rows of kallsyms are for whoever asks for them. */
const deep: readonly PluginName[] = [
  ...standard,
  'linux.elfs.Elfs',
  'linux.graphics.fbdev.Fbdev',
  'linux.iomem.IOMem',
  'linux.library_list.LibraryList',
  'linux.malware.hidden_modules.Hidden_modules',
  'linux.malware.malfind.Malfind',
  'linux.malware.modxview.Modxview',
  'linux.pagecache.Files',
  'linux.proc.Maps',
  'linux.pscallstack.PsCallStack',
  'linux.psscan.PsScan',
  'linux.sockscan.Sockscan',
  'linux.vmcoreinfo.VMCoreInfo',
];

/** The plugins of each profile, in the order in which they begin. */
export const profiles = { quick, standard, deep } as const satisfies Record<string, readonly PluginName[]>;

/** What an analysis runs that names neither a profile nor plugins. */
export const defaultPlugins: readonly PluginName[] = profiles.standard;
