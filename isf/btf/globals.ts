/**
 * The kernel's variables that Volatility 3 (2.28.2) and kcorder ask for by name, with their types in C. BTF has types
 * and no variables, but for those of each CPU. test/symbols/globals.test.ts compares each row with the debugging
 * information of real kernels. The kallsyms_… tables themselves are not in kallsyms.
 *
 * Of several types the first that the kernel has is taken: by its BTF, and by its version only where BTF cannot tell.
 * `T`, `*T`, `[N]T` nest; `struct NAME` may be a typedef of a struct too; `{a b}` is the unnamed struct with these
 * members. `[NAME]T` is as long as a constant of an enumeration says, `[?]T` as the only array of T in BTF, which is
 * that of the variable: BTF keeps arrays that nothing refers to. `with STRUCT.MEMBER: T` holds for kernels whose
 * struct has the member, `before X.Y: T` for kernels before that version.
 */
export const globals: Readonly<Record<string, readonly string[]>> = {
  __log_buf: ['[0]char'],
  __start___ksymtab: ['[0]struct kernel_symbol'],
  __stop___ksymtab: ['[0]struct kernel_symbol'],
  __start___tracepoints_ptrs: ['[0]int'],
  __stop___tracepoints_ptrs: ['[0]int'],
  _einittext: ['[0]char'],
  _end: ['[0]char'],
  _etext: ['[0]char'],
  _sinittext: ['[0]char'],
  _stext: ['[0]char'],
  _text: ['[0]char'],
  arp_seq_ops: ['struct seq_operations'],
  bpf_kallsyms: ['struct list_head'],
  bpf_tree: ['struct latch_tree_root'],
  cap_last_cap: ['int'],
  cgroup_roots: ['struct list_head'],
  fair_sched_class: ['struct sched_class'],
  file_systems: [
    'with file_system_type.next: *struct file_system_type',
    'with file_system_type.list: struct hlist_head',
  ],
  ftrace_list_end: ['struct ftrace_ops'],
  ftrace_mod_maps: ['struct list_head'],
  ftrace_ops_list: ['*struct ftrace_ops'],
  ftrace_ops_trampoline_list: ['struct list_head'],
  ia32_sys_call_table: ['[0]*function'],
  idt_table: ['[256]struct gate_desc'],
  init_cgroup_ns: ['struct cgroup_namespace'],
  init_cred: ['struct cred'],
  init_files: ['struct files_struct'],
  init_fs: ['struct fs_struct'],
  init_mm: ['struct mm_struct'],
  init_net: ['struct net'],
  init_nsproxy: ['struct nsproxy'],
  init_pid_ns: ['struct pid_namespace'],
  init_task: ['struct task_struct'],
  init_top_pgt: ['[0]struct pgd_t'],
  init_user_ns: ['struct user_namespace'],
  init_uts_ns: ['struct uts_namespace'],
  iomem_resource: ['struct resource'],
  keyboard_notifier_list: ['struct atomic_notifier_head'],
  linux_banner: ['[0]char'],
  log_buf: ['*char'],
  log_buf_len: ['unsigned int'],
  log_first_idx: ['unsigned int'],
  log_next_idx: ['unsigned int'],
  mem_map: ['*struct page'],
  mem_section: ['**struct mem_section'],
  mod_tree: ['struct mod_tree_root'],
  module_kset: ['*struct kset'],
  module_addr_max: ['long unsigned int'],
  module_addr_min: ['long unsigned int'],
  modules: ['struct list_head'],
  net_namespace_list: ['struct list_head'],
  node_data: ['[0]*struct pg_data_t', '[0]*struct pglist_data'],
  num_registered_fb: ['int'],
  packet_seq_ops: ['struct seq_operations'],
  page_offset_base: ['long unsigned int'],
  prb: ['*struct printk_ringbuffer'],
  printk_rb_dynamic: ['struct printk_ringbuffer'],
  printk_rb_static: ['struct printk_ringbuffer'],
  prog_idr: ['struct idr'],
  raw6_seq_ops: ['struct seq_operations'],
  raw_seq_ops: ['struct seq_operations'],
  registered_fb: ['[32]*struct fb_info'],
  socket_file_ops: ['struct file_operations'],
  sockfs_dentry_operations: ['struct dentry_operations'],
  super_blocks: ['struct list_head'],
  sys_call_table: ['[0]*function'],
  // TAINT_FLAGS_COUNT, include/linux/panic.h: TAINT_TEST came with 6.0, TAINT_FWCTL with 6.15
  taint_flags: [
    '[?]struct taint_flag',
    'before 6.0: [18]struct taint_flag',
    'before 6.15: [19]struct taint_flag',
    'before 7.4: [20]struct taint_flag',
  ],
  tcp4_seq_afinfo: ['struct tcp_seq_afinfo'],
  tcp4_seq_ops: ['struct seq_operations'],
  tcp6_seq_afinfo: ['struct tcp_seq_afinfo'],
  tcp6_seq_ops: ['struct seq_operations'],
  timekeeper_data: ['[TIMEKEEPERS_MAX]struct tk_data', '[?]struct tk_data'],
  tk_core: ['{seq timekeeper}', 'struct tk_data'],
  tty_drivers: ['struct list_head'],
  udp4_seq_afinfo: ['struct udp_seq_afinfo'],
  udp6_seq_afinfo: ['struct udp_seq_afinfo'],
  udp6_seq_ops: ['struct seq_operations'],
  udp_seq_ops: ['struct seq_operations'],
  udplite4_seq_afinfo: ['struct udp_seq_afinfo'],
  udplite6_seq_afinfo: ['struct udp_seq_afinfo'],
  unix_seq_ops: ['struct seq_operations'],
  vmalloc_base: ['long unsigned int'],
  vmap_area_list: ['struct list_head'],
  vmemmap_base: ['long unsigned int'],
};

/**
 * The types that a variable may have in a kernel, the first that it knows before others. Those of other versions are
 * left out, and all that depend on a version if `release` is none.
 */
export function typesFor(name: string, release: string): readonly string[] {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})(?!\d)/.exec(release) ?? [];
  return (globals[name] ?? []).flatMap((text) => {
    const [, limitMajor, limitMinor, type] = /^before (\d+)\.(\d+): (.*)$/.exec(text) ?? [];
    if (type === undefined) return [text];
    const before = Number(major) - Number(limitMajor) || Number(minor) - Number(limitMinor);
    return before < 0 ? [type] : [];
  });
}
