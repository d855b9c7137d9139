"""An image of a kernel of two processes, with symbols: small enough to be another kernel in each test."""

import base64
import hashlib
import io
import json
import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from analyse import analyse, load
from job import Image, Job, parse_plugin
from lines import Lines
from symbols import load_symbols
from testing.plugins import told

_VIRTUAL = 0xFFFFFFFF81000000
_PHYSICAL = 0x1000000
_BASES = {
    "u8": ("unsigned char", 1, False),
    "u16": ("short unsigned int", 2, False),
    "u32": ("unsigned int", 4, False),
    "u64": ("long unsigned int", 8, False),
    "i32": ("int", 4, True),
    "s64": ("long int", 8, True),
    "char": ("char", 1, True),
    "ptr": ("pointer", 8, False),
    "void": ("void", 0, False),
}
BANNER = "Linux version 7.3.4-mini (builder@host) (gcc) #1 SMP\n"
# Members as Linux 7.3 has them; "*" is a pointer, "[n]" an array.
STRUCTS = """
list_head: *list_head next, *list_head prev
hlist_head: ptr first
rb_root: ptr rb_node
ns_common: ptr stashed, u32 inum
upid: i32 nr, *pid_namespace ns
pid: i32 count, u32 level, upid[1] numbers
pid_namespace: *pid_namespace parent, ns_common ns
new_utsname: char[65] sysname, char[65] nodename
uts_namespace: new_utsname name, ns_common ns
net: ns_common ns, list_head list, list_head dev_base_head
mnt_namespace: ns_common ns, rb_root mounts
nsproxy: i32 count, *uts_namespace uts_ns, *mnt_namespace mnt_ns, *net net_ns
qstr: u32 hash, u32 len, *char name
dentry_operations: ptr d_dname
dentry: *dentry d_parent, qstr d_name, *inode d_inode, *dentry_operations d_op
super_block: u32 s_dev
vfsmount: *dentry mnt_root, *super_block mnt_sb
mount: *mount mnt_parent, *dentry mnt_mountpoint, vfsmount mnt
path: *vfsmount mnt, *dentry dentry
atomic_t: i32 counter
inode: u64 i_ino, u16 i_mode, atomic_t i_count, u32 i_nlink, s64 i_size, s64 i_atime_sec, s64 i_mtime_sec,
 s64 i_ctime_sec, u32 i_atime_nsec, u32 i_mtime_nsec, u32 i_ctime_nsec, *super_block i_sb
address_space: u64 n
page: u64 flags
idr: u64 n
kobject: *char name
vm_area_struct: u64 vm_start, u64 vm_end
file_operations: u64 owner
file: path f_path, *inode f_inode, *file_operations f_op, *void private_data
fdtable: u32 max_fds, ptr fd
files_struct: *fdtable fdt
fs_struct: path root, path pwd
mm_struct: ptr pgd, u64 arg_start, u64 arg_end, u64 env_start, u64 env_end, *file exe_file
kuid_t: u32 val
cred: kuid_t uid, kuid_t gid, kuid_t euid, kuid_t egid
signal_struct: i32 nr_threads, list_head thread_head
kernfs_node: i32 count, *kernfs_node __parent, *char name
cgroup_subsys_state: u32 flags
cgroup: cgroup_subsys_state self, *kernfs_node kn
cgrp_cset_link: *cgroup cgrp, *css_set cset, list_head cset_link, list_head cgrp_link
css_set: *cgroup dfl_cgrp, list_head cgrp_links
task_struct: u32 __state, u32 flags, i32 exit_state, i32 pid, i32 tgid, *task_struct real_parent, list_head tasks,
 list_head thread_node, *signal_struct signal, *cred real_cred, *cred cred, *mm_struct mm, *mm_struct active_mm,
 *fs_struct fs, *files_struct files, *nsproxy nsproxy, *pid thread_pid, *css_set cgroups, u64 start_time,
 u64 start_boottime, char[16] comm
possible_net_t: *net net
in6_addr: u8[16] in6_u
sock_common: u32 skc_daddr, u32 skc_rcv_saddr, u32 skc_portpair, u16 skc_family, u8 skc_state, possible_net_t skc_net,
 in6_addr skc_v6_daddr
socket: i32 state, *sock sk
socket_alloc: socket socket, inode vfs_inode
sock: sock_common __sk_common, u16 sk_type, u16 sk_protocol, *socket sk_socket
ipv6_pinfo: in6_addr saddr, in6_addr daddr
inet_sock: sock sk, *ipv6_pinfo pinet6, u16 inet_sport
sockaddr_un: u16 sun_family, char[108] sun_path
unix_address: i32 refcnt, i32 len, sockaddr_un[1] name
unix_sock: sock sk, *unix_address addr, *sock peer
net_device: char[16] name, i32 ifindex, list_head dev_list
in_device: ptr ifa_list
in_ifaddr: u32 ifa_address
inet6_dev: list_head addr_list
inet6_ifaddr: list_head if_list
timespec64: s64 tv_sec, s64 tv_nsec
timekeeper: u64[4] pad, s64 offs_real, s64 offs_boot
tk_data: u32 seq, timekeeper timekeeper, timekeeper shadow_timekeeper
taint_flag: char c_true, char c_false, *char desc
module_memory: ptr base, u32 size
module_kobject: *module mod
kernel_param: *char name
module: u32 state, list_head list, char[56] name, module_kobject mkobj, u64 taints, *kernel_param kp, u32 num_kp,
 module_memory[7] mem
mod_tree_root: u64 addr_min, u64 addr_max
tcp_seq_afinfo: u16 family
seq_operations: ptr show
"""
_MEMORY_TYPES = "MOD_TEXT MOD_DATA MOD_RODATA MOD_RO_AFTER_INIT MOD_INIT_TEXT MOD_INIT_DATA MOD_INIT_RODATA".split()


class Written(NamedTuple):
    """Paths of an image and of its symbols with their SHA-256, and the kernel's VMCOREINFO."""

    image: str
    isf: str
    sha256: str
    note: str


class MiniKernel:
    """Memory and symbols. `structs` replaces lines of STRUCTS; the note names `vmcoreinfo`; `made`: address and name of each."""

    def __init__(self, **structs: str) -> None:
        lines = dict(line.split(": ", 1) for line in STRUCTS.replace("\n ", " ").strip().splitlines())
        self._lines = lines | structs
        self._sizes: dict[str, int] = {}
        self.types = {name: self._lay_out(name) for name in self._lines}
        self._memory = bytearray(3 * 4096)
        self.made: list[tuple[int, str]] = []
        self.symbols: dict[str, dict[str, Any]] = {}
        self.vmcoreinfo: dict[str, int] = {}
        level3, level2 = _PHYSICAL + 4096, _PHYSICAL + 8192
        for at, entry in ((511, level3 + 0x67), (512 + 510, level2 + 0x67), (1024 + 8, _PHYSICAL + 0x1E3)):
            struct.pack_into("<Q", self._memory, at * 8, entry)
        self.name("init_top_pgt", _VIRTUAL, "u64[0]")
        self.name("_stext", _VIRTUAL, "char[0]")
        self.name("linux_banner", self.text(BANNER), f"char[{len(BANNER) + 1}]")
        self.symbols["linux_banner"]["constant_data"] = base64.b64encode(BANNER.encode() + b"\0").decode()

    def make(self, kind: str, count: int = 1, **values: Any) -> int:
        """The address of new, zeroed memory for that structure, with the given members."""
        self._memory.extend(bytes(-len(self._memory) % 64))
        address = _VIRTUAL + len(self._memory)
        self._memory.extend(bytes(self.size(kind) * count))
        if kind in self._lines:
            self.made += [(address + index * self.size(kind), kind) for index in range(count)]
        for path, value in values.items():
            self.put(address, kind, path, value)
        return address

    def put(self, address: int, kind: str, path: str, value: int | bytes) -> None:
        """`path` parts members of members by two underscores more: "ns___inum" is ns.inum."""
        at, kind = self.member(address, kind, path)
        data = value if isinstance(value, bytes) else (value & (1 << 64) - 1).to_bytes(8, "little")[: self.size(kind)]
        self._memory[at - _VIRTUAL : at - _VIRTUAL + len(data)] = data

    def member(self, address: int, kind: str, path: str) -> tuple[int, str]:
        """Address and type of a member."""
        for part in path.split("___"):
            address += self.types[kind]["fields"][part]["offset"]
            kind = next(kind for kind, name in _members(self._lines[kind]) if name == part)
        return address, kind

    def members(self, address: int, kind: str) -> Iterator[tuple[int, str]]:
        """Address and type of each member, and of what is in members; arrays as a whole."""
        for kind_of_member, name in _members(self._lines[kind]):
            at = address + self.types[kind]["fields"][name]["offset"]
            yield at, kind_of_member
            if kind_of_member in self._lines:
                yield from self.members(at, kind_of_member)

    def text(self, text: str) -> int:
        return self.bytes(text.encode() + b"\0")

    def bytes(self, data: bytes) -> int:
        address = self.make("u8", len(data))
        self.write_bytes(address, data)
        return address

    def write_bytes(self, address: int, data: "bytes") -> None:
        self._memory[address - _VIRTUAL : address - _VIRTUAL + len(data)] = data

    def read_bytes(self, address: int, length: int) -> "bytes":
        return bytes(self._memory[address - _VIRTUAL : address - _VIRTUAL + length])

    def link(self, *nodes: int) -> None:
        """Makes a ring of list_heads."""
        for node, following in zip(nodes, (*nodes[1:], nodes[0]), strict=True):
            self.put(node, "list_head", "next", following)
            self.put(following, "list_head", "prev", node)

    def name(self, name: str, address: int, kind: str) -> None:
        self.symbols[name] = {"type": self._type(kind), "address": address}

    def without(self, *names: str) -> Self:
        """Takes variables, structures and members ("module.taints") out of the symbols; memory stays as it is."""
        for name in names:
            kind, _, member = name.partition(".")
            if member:
                del self.types[kind]["fields"][member]
            else:
                del (self.types if name in self.types else self.symbols)[name]
        return self

    def analyse(self, folder: str, *plugins: str) -> dict[str, dict[str, Any]]:
        """Runs the plugins on the image. Each has its end line, and `table`: its rows by the names of their columns."""
        written = self.write(folder)
        out = io.StringIO()
        with open(written.image, "rb") as file:
            image = Image("lime", descriptor=file.fileno())
            job = Job(image, written.note)
            load(plugins)
            symbols = load_symbols(written.isf, written.sha256)
            analyse(symbols, job, [parse_plugin(told(name)) for name in plugins], Lines(out))
        return by_plugin([json.loads(line) for line in out.getvalue().splitlines()])

    def write(self, folder: str) -> Written:
        memory = self._memory + bytes(-len(self._memory) % 4096)
        image, isf = os.path.join(folder, "image.lime"), os.path.join(folder, "isf.json")
        with open(image, "wb") as file:
            file.write(struct.pack("<IIQQQ", 0x4C694D45, 1, _PHYSICAL, _PHYSICAL + len(memory) - 1, 0) + memory)
        text = json.dumps(self._isf())
        with open(isf, "w", encoding="utf-8") as file:
            file.write(text)
        top = self.symbols["init_top_pgt"]["address"]
        told = {"swapper_pg_dir": top, "_stext": _VIRTUAL, **self.vmcoreinfo}
        note = "".join(f"SYMBOL({name})={address:x}\n" for name, address in told.items())
        note = f"KERNELOFFSET=0\nNUMBER(phys_base)=0\n{note}"
        return Written(image, isf, hashlib.sha256(text.encode()).hexdigest(), note)

    def _isf(self) -> dict[str, Any]:
        bases = {
            name: {"size": size, "signed": signed, "kind": "void" if size == 0 else "int", "endian": "little"}
            for name, size, signed in _BASES.values()
        }
        memory_types = {name: index for index, name in enumerate(_MEMORY_TYPES)}
        return {
            "metadata": {"producer": {"name": "dwarf2json", "version": "0.9.0"}, "format": "6.2.0"},
            "base_types": bases,
            "user_types": self.types,
            "enums": {"mod_mem_type": {"size": 4, "base": "unsigned int", "constants": memory_types}},
            "symbols": self.symbols,
        }

    def _lay_out(self, name: str) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        offset = 0
        for kind, member in _members(self._lines[name]):
            align = min(8, self.size(kind.split("[")[0]) or 1)
            offset += -offset % (align if kind.split("[")[0] in _BASES else 8)
            fields[member] = {"type": self._type(kind), "offset": offset}
            offset += self.size(kind)
        return {"kind": "struct", "size": self.size(name), "fields": fields}

    def size(self, kind: str) -> int:
        kind, _, count = kind.rstrip("]").partition("[")
        if kind.startswith("*"):
            size = 8
        elif kind in _BASES:
            size = _BASES[kind][1]
        elif kind in self._sizes:
            size = self._sizes[kind]
        else:
            size = 0
            for member, _name in _members(self._lines[kind]):
                base = member.split("[")[0]
                size += -size % (min(8, self.size(base) or 1) if base in _BASES else 8) + self.size(member)
            size += -size % 8
            self._sizes[kind] = size
        return size * int(count or 1) if count != "0" else 0

    def _type(self, kind: str) -> dict[str, Any]:
        if kind.endswith("]"):
            kind, _, count = kind[:-1].partition("[")
            return {"kind": "array", "count": int(count), "subtype": self._type(kind)}
        if kind.startswith("*"):
            return {"kind": "pointer", "subtype": self._type(kind[1:])}
        if kind == "ptr":
            return {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}
        if kind in _BASES:
            return {"kind": "base", "name": _BASES[kind][0]}
        return {"kind": "struct", "name": kind}


def _members(line: str) -> list[tuple[str, str]]:
    return [(kind, name) for kind, name in (part.split() for part in line.split(","))]


def by_plugin(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The end line of each plugin with its `table`."""
    ends: dict[str, dict[str, Any]] = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["type"] == "rows":
            rows = [dict(zip(line["columns"], row, strict=True)) for row in line["rows"]]
            tables.setdefault(line["plugin"], []).extend(rows)
        elif line["type"] == "plugin":
            ends[line["plugin"]] = {**line, "table": tables.get(line["plugin"], [])}
    return ends
