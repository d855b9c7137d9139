"""What drgn reads of an image: threads, modules and mounts, by its own helpers and the DWARF of the kernel.

`tables.py IMAGE VMLINUX`: the LiME image, and VMCOREINFO on standard input. Prints one JSON object with a list of rows for
each of `threads`, `modules` and `mounts`; addresses are in hexadecimal.
"""

import json
import mmap
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

from drgn import Architecture, Object, Platform, Program
from drgn.helpers.linux.fs import d_path, for_each_mount, mount_fstype, mount_src
from drgn.helpers.linux.module import for_each_module, module_address_regions
from drgn.helpers.linux.pid import for_each_task

_LIME_HEADER = struct.Struct("<IIQQ8x")
_LIME_MAGIC = 0x4C694D45
_MINOR_BITS = 20

Row = list[Any]


def _open(image: str, vmlinux: str, vmcoreinfo: bytes) -> Program:
    program = Program(Platform(Architecture.X86_64))
    with open(image, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for start, size, position in _ranges(memory):
        program.add_memory_segment(start, size, _reader(memory, position), physical=True)
    program.set_linux_kernel_custom(vmcoreinfo, is_live=False)
    program.load_debug_info([vmlinux])
    return program


def _ranges(memory: mmap.mmap) -> Iterator[tuple[int, int, int]]:
    """Physical address, size and position in the file."""
    position = 0
    while position < len(memory):
        magic, version, start, last = _LIME_HEADER.unpack_from(memory, position)
        if (magic, version) != (_LIME_MAGIC, 1):
            raise ValueError(f"no LiME header at {position:#x}")
        position += _LIME_HEADER.size
        yield start, last - start + 1, position
        position += last - start + 1


def _reader(memory: mmap.mmap, position: int) -> Callable[[int, int, int, bool], bytes]:
    return lambda _address, count, offset, _physical: memory[position + offset : position + offset + count]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _threads(program: Program) -> Iterator[Row]:
    """Task, process, thread, parent, name."""
    for task in for_each_task(program):
        parent = task.real_parent.tgid.value_()
        yield [hex(task.value_()), task.tgid.value_(), task.pid.value_(), parent, _text(task.comm.string_())]


def _modules(program: Program) -> Iterator[Row]:
    """Module, name, size of all that is loaded of it."""
    for module in for_each_module(program):
        size = sum(size for _, size in module_address_regions(module))
        yield [hex(module.value_()), _text(module.name.string_()), hex(size)]


def _mounts(program: Program) -> Iterator[Row]:
    """Mount namespace, mount, parent, device, path, file system, source: of every namespace that a task is in."""
    for namespace in _mount_namespaces(program):
        number = namespace.ns.inum.value_()
        for mount in for_each_mount(namespace):
            device = mount.mnt.mnt_sb.s_dev.value_()
            yield [
                *(number, mount.mnt_id.value_(), mount.mnt_parent.mnt_id.value_()),
                f"{device >> _MINOR_BITS}:{device & (1 << _MINOR_BITS) - 1}",
                # Where it is mounted: what is mounted there may have a name of its own, such as [nsfs].
                _text(d_path(mount.mnt_parent.mnt.address_of_(), mount.mnt_mountpoint)),
                *(_text(mount_fstype(mount)), _text(mount_src(mount))),
            ]


def _mount_namespaces(program: Program) -> list[Object]:
    found = {}
    for task in for_each_task(program):
        if task.nsproxy:
            namespace = task.nsproxy.mnt_ns.read_()
            found[namespace.value_()] = namespace
    return list(found.values())


def main() -> None:
    image, vmlinux = sys.argv[1:]
    program = _open(image, vmlinux, sys.stdin.buffer.read())
    tables = {"threads": _threads, "modules": _modules, "mounts": _mounts}
    json.dump({name: list(rows(program)) for name, rows in tables.items()}, sys.stdout)


if __name__ == "__main__":
    main()
