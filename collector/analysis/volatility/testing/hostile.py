"""Images of a MiniKernel that somebody has crafted: `hostile.py FOLDER NAME` writes one and prints how it is opened."""

import json
import os
import random
import sys
from collections.abc import Callable

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from testing.mini_kernel import STRUCTS, MiniKernel
from testing.node import make_node

_LINES = dict(line.split(": ", 1) for line in STRUCTS.replace("\n ", " ").strip().splitlines())
# What plugins of Volatility walk and scan for beside what make_node has: trees, chains, arrays by their count.
_STRUCTS = {
    "task_struct": f"{_LINES['task_struct']}, ptr sched_class",
    "sock": f"{_LINES['sock']}, ptr sk_destruct",
    "rb_node": "ptr __rb_parent_color, *rb_node rb_right, *rb_node rb_left",
    "rb_root": "*rb_node rb_node",
    "mount": "*mount mnt_parent, *dentry mnt_mountpoint, vfsmount mnt, rb_node mnt_node, i32 mnt_id, *char mnt_devname",
    "vm_area_struct": "u64 vm_start, u64 vm_end, *vm_area_struct vm_next, u64 vm_flags, u64 vm_pgoff, *file vm_file",
    "mm_struct": "ptr pgd, u64 arg_start, u64 arg_end, u64 env_start, u64 env_end, *file exe_file, *vm_area_struct mmap,"
    " u64 start_brk, u64 brk, u64 start_stack",
    "refcount_struct": "atomic_t refs",
    "kref": "refcount_struct refcount",
    "kobject": "*char name, list_head entry, kref kref",
    "module_kobject": "kobject kobj, *module mod",
    "kset": "list_head list",
    "resource": "u64 start, u64 end, *char name, *resource parent, *resource sibling, *resource child",
    "notifier_block": "ptr notifier_call, *notifier_block next",
    "atomic_notifier_head": "u64 lock, *notifier_block head",
    "tty_ldisc_ops": "ptr receive_buf",
    "tty_ldisc": "*tty_ldisc_ops ops",
    "tty_struct": "char[64] name, *tty_ldisc ldisc",
    "tty_driver": "u32 num, *ptr ttys, list_head tty_drivers",
    "ftrace_hash": "ptr buckets",
    "ftrace_ops": "ptr func, *ftrace_ops next, u64 flags, *ftrace_hash filter_hash",
}
_LONG_TEXT = b"\x1b]0;x\xff\x07" * (1 << 17)
_LONG_LIST = 1 << 17


def make_whole_node() -> MiniKernel:
    """A node with a mount, a mapping, a resource, a notifier, a terminal, a tracer and a scheduler besides."""
    kernel = make_node(**_STRUCTS)
    by_kind = {kind: address for address, kind in kernel.made}
    mount = by_kind["mount"]
    kernel.put(mount, "mount", "mnt_devname", kernel.text("none"))
    kernel.put(by_kind["mnt_namespace"], "mnt_namespace", "mounts___rb_node", kernel.member(mount, "mount", "mnt_node")[0])
    scheduler = kernel.make("u64")
    kernel.name("fair_sched_class", scheduler, "u64")
    kernel.name("inet_sock_destruct", scheduler, "void")
    kernel.put(kernel.symbols["a_task"]["address"], "task_struct", "sched_class", scheduler)
    areas = kernel.make("vm_area_struct", vm_start=0x1000, vm_end=0x3000)
    mm = kernel.make("mm_struct", mmap=areas, pgd=kernel.symbols["init_top_pgt"]["address"])
    kernel.put(kernel.symbols["a_task"]["address"], "task_struct", "mm", mm)
    kernel.put(kernel.symbols["a_task"]["address"], "task_struct", "active_mm", mm)
    resource = kernel.make("resource", end=0xFFF, name=kernel.text("PCI mem"))
    kernel.put(resource, "resource", "child", kernel.make("resource", name=kernel.text("System RAM")))
    kernel.name("iomem_resource", resource, "resource")
    head = kernel.make("atomic_notifier_head", head=kernel.make("notifier_block", notifier_call=mount))
    kernel.name("keyboard_notifier_list", head, "atomic_notifier_head")
    drivers = kernel.make("list_head")
    driver = kernel.make("tty_driver", num=1, ttys=kernel.make("u64"))
    kernel.link(drivers, kernel.member(driver, "tty_driver", "tty_drivers")[0])
    kernel.name("tty_drivers", drivers, "list_head")
    modules = kernel.make("kset")
    module = kernel.symbols["a_module"]["address"]
    kernel.put(module, "module", "mkobj___kobj___name", kernel.text("nf_tables"))
    kernel.link(modules, kernel.member(module, "module", "mkobj___kobj___entry")[0])
    for name in ("_text", "_etext", "_end"):
        kernel.name(name, kernel.symbols["_stext"]["address"], "char[0]")
    place = kernel.bytes(modules.to_bytes(8, "little"))
    kernel.name("module_kset", place, "*kset")
    tracer = kernel.make("u64")
    kernel.write_bytes(tracer, kernel.make("ftrace_ops", func=mount).to_bytes(8, "little"))
    kernel.name("ftrace_ops_list", tracer, "*ftrace_ops")
    kernel.name("ftrace_list_end", kernel.make("ftrace_ops"), "ftrace_ops")
    return kernel


def _each(kernel: MiniKernel, change: Callable[[int, int, str], bytes | None]) -> None:
    """`change` gets the address of a structure, and address and type of a member, and returns what to write there."""
    for address, kind in kernel.made:
        for at, member in list(kernel.members(address, kind)):
            data = change(address, at, member)
            if data is not None:
                kernel.write_bytes(at, data)


def _is_pointer(kind: str) -> bool:
    return kind.startswith("*") or kind == "ptr"


def _address(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _point_to_themselves(kernel: MiniKernel) -> None:
    _each(kernel, lambda address, _at, kind: _address(address) if _is_pointer(kind) else None)


def _point_to_their_place(kernel: MiniKernel) -> None:
    _each(kernel, lambda _owner, at, kind: _address(at) if _is_pointer(kind) else None)


def _never_lead_back(kernel: MiniKernel) -> None:
    """Each list ends in a ring of two without its head."""
    two = [kernel.make("list_head") for _ in range(2)]
    _each(kernel, lambda _owner, _at, kind: _address(two[0]) * 2 if kind == "list_head" else None)
    kernel.link(*two)


def _have_negative_counts(kernel: MiniKernel) -> None:
    numbers = {"u16", "u32", "u64", "i32", "s64"}
    _each(kernel, lambda _owner, _at, kind: b"\xff" * kernel.size(kind) if kind in numbers else None)


def _never_end_their_texts(kernel: MiniKernel) -> None:
    """To the last byte of the image, with what a terminal obeys and no UTF-8."""
    start = kernel.bytes(_LONG_TEXT)

    def change(_owner: int, _at: int, kind: str) -> bytes | None:
        if kind == "*char":
            return _address(start)
        return _LONG_TEXT[: kernel.size(kind)] if kind.startswith("char[") else None

    _each(kernel, change)


def _have_endless_tasks(kernel: MiniKernel) -> None:
    """The task list leads into 131,072 nodes that overlap, and so do the threads of each."""
    start = kernel.make("u64", _LONG_LIST)
    kernel.write_bytes(start, b"".join(_address(start + 8 * node) for node in range(1, _LONG_LIST)))
    kernel.put(kernel.symbols["init_task"]["address"], "task_struct", "tasks___next", start)


def _branch_for_ever(kernel: MiniKernel) -> None:
    """Trees of 64 nodes, each twice the child of the one before: 2**64 ways to a leaf."""
    for kind, children in (("rb_node", ("rb_left", "rb_right")), ("resource", ("child", "sibling"))):
        nodes = [kernel.make(kind) for _ in range(64)]
        top = _address(nodes[0])
        _each(kernel, lambda _owner, _at, member, kind=kind, top=top: top if member == f"*{kind}" else None)
        for node, child in zip(nodes, [*nodes[1:], 0], strict=True):
            for member in children:
                kernel.put(node, kind, member, child)


def flip_bits(kernel: MiniKernel, seed: int) -> None:
    """One bit in 500 of what the kernel's structures hold."""
    chance = random.Random(seed)
    for address, kind in kernel.made:
        data = bytearray(kernel.read_bytes(address, kernel.size(kind)))
        for _ in range(1 + len(data) * 8 // 500):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        kernel.write_bytes(address, bytes(data))


CRAFTED: dict[str, Callable[[MiniKernel], None]] = {
    "nothing": lambda _: None,
    "pointers to themselves": _point_to_their_place,
    "pointers to their structures": _point_to_themselves,
    "lists that never lead back": _never_lead_back,
    "an endless task list": _have_endless_tasks,
    "trees of endless branches": _branch_for_ever,
    "negative counts": _have_negative_counts,
    "texts without an end": _never_end_their_texts,
}


def main() -> None:
    folder, name = sys.argv[1:]
    kernel = make_whole_node()
    if name in CRAFTED:
        CRAFTED[name](kernel)
    else:
        flip_bits(kernel, int(name))
    print(json.dumps(kernel.write(folder)._asdict()))


if __name__ == "__main__":
    main()
