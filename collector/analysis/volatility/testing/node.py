"""A MiniKernel with what runs on a node: one process of a pod with three sockets and a file, and two modules."""

import socket
from typing import Any

from testing.mini_kernel import MiniKernel

BOOTED = 1767225600
PEER = "2001:db8::7"
_KINDS = "array bool byte charp int invbool long short string uint ullong ulong ushort".split()
_PARAMETER_GETTERS = tuple(f"param_get_{kind}" if kind != "array" else "param_array_get" for kind in _KINDS)


def make_node(clock: str = "tk_data[1] timekeeper_data", **structs: str) -> MiniKernel:
    """`clock` is type and name of the kernel's clock. Names of `structs` as in MiniKernel."""
    kernel = MiniKernel(**structs)
    _tell_time(kernel, *clock.split())
    nsproxy = _make_namespaces(kernel)
    init = _make_task(kernel, nsproxy, pid=0, comm=b"swapper/0")
    root = _make_root(kernel)
    fs = kernel.make("fs_struct", root___dentry=root[0], root___mnt=root[1])
    held = {"cgroups": _make_cgroup(kernel), "files": _make_files(kernel, root), "fs": fs}
    task = _make_task(kernel, nsproxy, pid=1, comm=b"server", **held)
    for one in (init, task):
        kernel.put(one, "task_struct", "real_parent", init)
    kernel.link(*(kernel.member(one, "task_struct", "tasks")[0] for one in (init, task)))
    kernel.name("init_task", init, "task_struct")
    kernel.name("a_task", task, "task_struct")
    _make_modules(kernel)
    return kernel


def _tell_time(kernel: MiniKernel, kind: str, name: str) -> None:
    data = kernel.make("tk_data")
    kernel.put(data, "tk_data", "timekeeper___offs_real", BOOTED * 10**9)
    kernel.name(name, data, kind)


def _make_namespaces(kernel: MiniKernel) -> int:
    uts = kernel.make("uts_namespace", name___nodename=b"node-1", ns___inum=1)
    net = kernel.make("net", ns___inum=2)
    for member in ("list", "dev_base_head"):
        head = kernel.member(net, "net", member)[0]
        kernel.link(head)
    heads = kernel.make("list_head")
    kernel.link(heads, kernel.member(net, "net", "list")[0])
    kernel.name("net_namespace_list", heads, "list_head")
    kernel.name("init_net", net, "net")
    mnt = kernel.make("mnt_namespace", ns___inum=3)
    return kernel.make("nsproxy", uts_ns=uts, mnt_ns=mnt, net_ns=net)


def _make_task(kernel: MiniKernel, nsproxy: int, pid: int, **values: Any) -> int:
    space = kernel.make("pid_namespace", ns___inum=4)
    number = kernel.make("pid")
    at = kernel.member(number, "pid", "numbers")[0]
    kernel.put(at, "upid", "nr", pid)
    kernel.put(at, "upid", "ns", space)
    signal = kernel.make("signal_struct", nr_threads=1)
    cred = kernel.make("cred", uid___val=1000)
    kernel.name("a_cred", cred, "cred")
    held = {"signal": signal, "cred": cred, "real_cred": cred, "nsproxy": nsproxy, "thread_pid": number}
    times = {"start_time": 5 * 10**9, "start_boottime": 5 * 10**9}
    task = kernel.make("task_struct", pid=pid, tgid=pid, **held, **times, **values)
    head = kernel.member(signal, "signal_struct", "thread_head")[0]
    kernel.link(head, kernel.member(task, "task_struct", "thread_node")[0])
    return task


def _make_cgroup(kernel: MiniKernel) -> int:
    parent = next(name for name in ("__parent", "parent") if name in kernel.types["kernfs_node"]["fields"])
    root = kernel.make("kernfs_node", name=kernel.text(""))
    node = kernel.make("kernfs_node", name=kernel.text("kubepods"), **{parent: root})
    css_set = kernel.make("css_set", dfl_cgrp=kernel.make("cgroup", self___flags=2, kn=node))
    kernel.link(kernel.member(css_set, "css_set", "cgrp_links")[0])
    return css_set


def _make_root(kernel: MiniKernel) -> tuple[int, int]:
    """Directory and mount."""
    entry = kernel.make("dentry")
    kernel.put(entry, "dentry", "d_parent", entry)
    mount = kernel.make("mount", mnt___mnt_root=entry)
    kernel.put(mount, "mount", "mnt_parent", mount)
    return entry, kernel.member(mount, "mount", "mnt")[0]


def _make_files(kernel: MiniKernel, root: tuple[int, int]) -> int:
    operations = kernel.make("file_operations")
    kernel.name("socket_file_ops", operations, "file_operations")
    names = kernel.make("dentry_operations")
    kernel.name("sockfs_dentry_operations", names, "dentry_operations")
    sockets = (_unix_socket(kernel), _inet6_socket(kernel), _packet_socket(kernel))
    files = [_make_socket_file(kernel, operations, names, *one) for one in sockets] + [_make_file(kernel, *root)]
    table = kernel.bytes(b"".join(file.to_bytes(8, "little") for file in files))
    return kernel.make("files_struct", fdt=kernel.make("fdtable", max_fds=len(files), fd=table))


def _make_file(kernel: MiniKernel, root: int, mount: int) -> int:
    inode = kernel.make("inode", i_ino=5, i_nlink=1, i_mode=0o100644)
    folder = kernel.make("dentry", d_parent=root, d_name___name=kernel.text("etc"), d_name___len=3)
    entry = kernel.make("dentry", d_parent=folder, d_inode=inode, d_name___name=kernel.text("app"), d_name___len=3)
    kernel.name("a_folder", folder, "dentry")
    kernel.name("a_file", entry, "dentry")
    return kernel.make("file", f_inode=inode, f_path___dentry=entry, f_path___mnt=mount)


def _make_socket_file(kernel: MiniKernel, operations: int, names: int, sock: int, family: int) -> int:
    alloc = kernel.make("socket_alloc", socket___sk=sock, vfs_inode___i_ino=100 + family, vfs_inode___i_mode=0o140777)
    inner = kernel.member(alloc, "socket_alloc", "socket")[0]
    inode = kernel.member(alloc, "socket_alloc", "vfs_inode")[0]
    kernel.put(sock, "sock", "sk_socket", inner)
    kernel.put(sock, "sock", "__sk_common___skc_family", family)
    kernel.put(sock, "sock", "__sk_common___skc_net___net", kernel.symbols["init_net"]["address"])
    entry = kernel.make("dentry", d_inode=inode, d_op=names)
    kernel.put(entry, "dentry", "d_parent", entry)
    mount = kernel.make("mount")
    file = kernel.make("file", f_inode=inode, f_op=operations, private_data=inner)
    kernel.put(file, "file", "f_path___dentry", entry)
    kernel.put(file, "file", "f_path___mnt", kernel.member(mount, "mount", "mnt")[0])
    return file


def _unix_socket(kernel: MiniKernel) -> tuple[int, int]:
    address = kernel.make("unix_address", len=2 + len("/run/x.sock"))
    kernel.put(kernel.member(address, "unix_address", "name")[0], "sockaddr_un", "sun_path", b"/run/x.sock")
    return kernel.make("unix_sock", addr=address, sk___sk_type=1), socket.AF_UNIX


def _inet6_socket(kernel: MiniKernel) -> tuple[int, int]:
    info = kernel.make("ipv6_pinfo", saddr=socket.inet_pton(socket.AF_INET6, "2001:db8::1"))
    sock = kernel.make("inet_sock", sk___sk_type=1, sk___sk_protocol=6, pinet6=info, inet_sport=0x5000)
    kernel.put(sock, "inet_sock", "sk_____sk_common___skc_v6_daddr", socket.inet_pton(socket.AF_INET6, PEER))
    kernel.put(sock, "inet_sock", "sk_____sk_common___skc_state", 1)
    kernel.put(sock, "inet_sock", "sk_____sk_common___skc_portpair", 0xBB01)
    return sock, socket.AF_INET6


def _packet_socket(kernel: MiniKernel) -> tuple[int, int]:
    return kernel.make("inet_sock", sk___sk_type=3), 17


def make_seq_operations(kernel: MiniKernel, *names: str) -> None:
    """Operations of network protocols that are all empty, and so not hooked."""
    for name in names:
        kernel.name(name, kernel.make("seq_operations"), "seq_operations")


def _make_modules(kernel: MiniKernel) -> None:
    head = kernel.make("list_head")
    named = ((b"nf_tables", 0), (b"out", 1 << 12 | 1))
    modules = [kernel.make("module", name=name, taints=taints) for name, taints in named]
    kernel.link(head, *(kernel.member(module, "module", "list")[0] for module in modules))
    kernel.name("modules", head, "list_head")
    kernel.name("a_module", modules[0], "module")
    for module in modules:
        kernel.put(module, "module", "mkobj___mod", module)
        kernel.put(kernel.member(module, "module", "mem")[0], "module_memory", "size", 0x3000)
    start = modules[0] & -4096
    kernel.name("mod_tree", kernel.make("mod_tree_root", addr_min=start, addr_max=start + 8192), "mod_tree_root")
    for name in _PARAMETER_GETTERS:
        kernel.name(name, kernel.make("u64"), "void")
    flags = kernel.make("taint_flag", 20)
    for index, letter in enumerate(b"PFSRMBUDAWCIOELKXTNJ"):
        flag = flags + index * kernel.size("taint_flag")
        kernel.put(flag, "taint_flag", "c_true", letter)
        kernel.put(flag, "taint_flag", "c_false", ord("G") if index == 0 else ord(" "))
    kernel.name("taint_flags", flags, "taint_flag[20]")
