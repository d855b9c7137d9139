/** Columns by which the rows of a plugin are joined to tasks and namespaces, by their titles. */
export interface RowKeys {
  /** Of a thread group. */
  readonly pid?: string;
  /** Of one thread. */
  readonly tid?: string;
  /** Several pids, with commas. */
  readonly pids?: string;
  /** Address of a task_struct. */
  readonly address?: string;
  readonly cgroup?: string;
  /** Inode of a network namespace. */
  readonly net?: string;
  /** Inode of a mount namespace. */
  readonly mount?: string;
  /** Device of a file system, MAJOR:MINOR. */
  readonly device?: string;
  /** The row may be of a task that has ended: only one whose process of the same pid still has this name is joined. */
  readonly alive?: { readonly name: string; readonly state: string; readonly running: string };
}

/** What a column is, by its title in lower case; the same in all of Volatility's plugins and ours. */
const byTitle: Readonly<Record<string, Exclude<keyof RowKeys, 'alive'>>> = {
  pid: 'pid',
  tid: 'tid',
  pids: 'pids',
  'offset (v)': 'address',
  netns: 'net',
  'net ns': 'net',
  netnamespace: 'net',
  mnt_ns_id: 'mount',
};

const inPageCache: RowKeys = { device: 'Device' };

/** Plugins whose titles say less, or something else. */
const byPlugin: Readonly<Record<string, RowKeys>> = {
  processes: { pid: 'pid', address: 'offset', cgroup: 'cgroup' },
  'linux.ip.Link': { net: 'NS' },
  'linux.pidhashtable.PIDHashTable': { pid: 'PID', tid: 'TID', address: 'OFFSET' },
  'linux.psscan.PsScan': {
    pid: 'PID',
    tid: 'TID',
    alive: { name: 'COMM', state: 'EXIT_STATE', running: 'TASK_RUNNING' },
  },
  'linux.pagecache.Files': inPageCache,
  'linux.pagecache.RecoverFs': inPageCache,
};

/** What these list is the kernel's own, in no container. */
const ofTheKernel: ReadonlySet<string> = new Set(
  [
    'hiddenModules',
    ...['boottime.Boottime', 'ebpf.EBPF', 'graphics.fbdev.Fbdev', 'iomem.IOMem', 'kallsyms.Kallsyms', 'kmsg.Kmsg'],
    ...[
      'lsmod.Lsmod',
      'malware.check_afinfo.Check_afinfo',
      'malware.check_idt.Check_idt',
      'module_extract.ModuleExtract',
    ],
    ...['malware.check_modules.Check_modules', 'malware.check_syscall.Check_syscall', 'malware.modxview.Modxview'],
    ...['malware.hidden_modules.Hidden_modules', 'malware.keyboard_notifiers.Keyboard_notifiers'],
    ...['malware.tty_check.Tty_Check', 'tracing.ftrace.CheckFtrace', 'tracing.tracepoints.CheckTracepoints'],
    ...['vmcoreinfo.VMCoreInfo'],
  ].map((name) => (name.includes('.') ? `linux.${name}` : name)),
);

/** Returns the columns that join the rows of a plugin; `kernel` when no row of it belongs to a task or a namespace. */
export function keysOf(plugin: string, columns: readonly string[]): RowKeys | 'kernel' {
  if (ofTheKernel.has(plugin)) return 'kernel';
  const named = byPlugin[plugin];
  if (named !== undefined) return named;
  const found: Partial<Record<keyof RowKeys, string>> & { alive?: never } = {};
  for (const column of columns) {
    const key = byTitle[column.toLowerCase()];
    if (key !== undefined) found[key] ??= column;
  }
  return found;
}
