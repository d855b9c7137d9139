"""Attacks that code would try which a hostile image got to run. Each returns or raises OSError.

Run as a program it is run.py with one more plugin, `attacks`, whose rows are the attacks and the errors that they met.
Its first argument is a file with the targets as JSON. The second is `confined` or takes something away: `unconfined` the
confinement, `oldest` what Landlock did not have at first. `parent` has the parent try the attacks, before it knows the
job. The plugin is run by the last worker, which knows the pids of the parent and of the worker before it.
"""

import contextlib
import ctypes
import dataclasses
import errno
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import confine
import run
import volatility3
from slots import copy_behind
from table import Plain, Table
from testing.other_processes import on_own, read_memory, seek_memory, system_call

_LEAKED = 29
_NEW_USER = 0x10000000


def _fork(number: int, *arguments: int) -> None:
    if (child := system_call(number, *arguments)) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _start_shell(mark: str) -> None:
    deaf = types.SimpleNamespace(**vars(sys))
    deaf.audit = lambda *_: None
    subprocess.sys = deaf
    subprocess.run(["/bin/sh", "-c", f"echo > {mark}"], check=True)


def _read(path: str) -> None:
    with open(path, "rb") as file:
        assert file.read(1)


def _fill_pipe() -> None:
    read, write = os.pipe()
    os.write(write, bytes(65536))
    os.close(read)
    os.close(write)


def _hold_descriptors(count: int) -> None:
    held: list[int] = []
    try:
        while len(held) < count:
            held.append(os.dup(0))
    finally:
        for descriptor in held:
            os.close(descriptor)


def _use_others(own: set[int]) -> None:
    """Descriptors of the parent or of another slot, whatever their numbers."""
    for descriptor in {*range(3, 200)} - own:
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            return
    raise OSError(errno.EBADF, "there is none")


def attacks(target: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    parent, outside, mark = target["parent"], target["outside"], target["mark"]
    key, other, address = target["key"], target["otherImage"], target["secretAt"]
    image, copy = target["image"], target["copy"]
    name = other.encode() + b"\0"
    at_folder = -100
    timeval = (ctypes.c_ulong * 2)(1, 1)
    attributes = ctypes.create_string_buffer(128)
    attributes[0] = b"\x01"
    return {
        "read the authority's key": lambda: _read(key),
        "read the key by a system call": lambda: system_call(2, key.encode() + b"\0", 0),
        "read the key by openat2": lambda: system_call(437, at_folder, key.encode() + b"\0", bytes(24), 24),
        "read the service account's token": lambda: _read(target["token"]),
        "read another image": lambda: _read(other),
        "list the evidence": lambda: os.listdir(os.path.dirname(other)),
        "overwrite another sealed image": lambda: os.close(os.open(other, os.O_WRONLY)),
        "overwrite it by a system call": lambda: system_call(257, at_folder, name, os.O_RDWR, 0),
        "truncate it while reading": lambda: os.close(os.open(target["isfCopy"], os.O_RDONLY | os.O_TRUNC)),
        "truncate it": lambda: system_call(76, name, 1),
        "make it writable": lambda: os.chmod(other, 0o600),
        "make the own image writable": lambda: os.fchmod(image, 0o600),
        "write the own image": lambda: os.close(os.open(f"/proc/self/fd/{image}", os.O_WRONLY)),
        "write the copy that all workers read": lambda: os.write(copy, b"x"),
        "open the copy to write": lambda: os.close(os.open(f"/proc/self/fd/{copy}", os.O_WRONLY)),
        "make the copy writable": lambda: os.fchmod(copy, 0o600),
        "cut the copy": lambda: os.ftruncate(copy, 0),
        "change its owner": lambda: os.chown(other, 0, 0),
        "set its time": lambda: os.utime(other, (1, 1)),
        "set an attribute of it": lambda: os.setxattr(other, "user.x", b"y"),
        "give it another name": lambda: os.rename(other, other + ".old"),
        "give it a second name": lambda: os.link(other + ".old", other),
        "remove it": lambda: os.unlink(other),
        "write outside": lambda: os.close(os.open(f"{outside}/new", os.O_WRONLY | os.O_CREAT)),
        "write in its own folder": lambda: os.close(os.open(f"{target['cache']}/new", os.O_WRONLY | os.O_CREAT)),
        "make a nameless file": lambda: os.close(os.open(target["cache"], os.O_TMPFILE | os.O_RDWR)),
        "write the program itself": lambda: os.close(os.open(run.__file__, os.O_WRONLY)),
        "write Volatility": lambda: os.close(os.open(volatility3.__file__, os.O_WRONLY)),
        "write the symbols": lambda: os.close(os.open(target["isf"], os.O_WRONLY)),
        "make a folder": lambda: os.mkdir(f"{outside}/folder"),
        "make a link": lambda: os.symlink("/", f"{outside}/link"),
        "make a device": lambda: system_call(133, f"{outside}/device".encode(), 0o010600, 0),
        "make a file of memory": lambda: os.close(os.memfd_create("x")),
        "read the collector's environment": lambda: _read(f"/proc/{parent}/environ"),
        "read the collector's memory": lambda: seek_memory(parent, address),
        "read its memory by process_vm_readv": lambda: read_memory(parent, address),
        "list its descriptors": lambda: os.listdir(f"/proc/{parent}/fd"),
        "trace it": lambda: system_call(101, 0x4206, parent, 0, 0),
        "take one of its descriptors": lambda: system_call(438, system_call(434, parent, 0), 0, 0),
        "use a descriptor that leaked": lambda: os.pread(_LEAKED, 1, 0),
        "kill it": lambda: os.kill(parent, 0),
        "kill it by its thread": lambda: system_call(234, parent, parent, 0),
        "queue a signal for it": lambda: system_call(129, parent, 0, bytes(8) + b"\xff" * 4 + bytes(116)),
        "send it a signal by pidfd": lambda: system_call(424, system_call(434, parent, 0), 0, None, 0),
        # Not for longer: the descriptor is the slot's.
        "have a descriptor signal it": lambda: [system_call(72, 0, 8, pid) for pid in (parent, 0)],
        "have a descriptor signal it by ioctl": lambda: [
            system_call(16, 0, 0x8901, struct.pack("i", pid)) for pid in (parent, 0)
        ],
        "have a descriptor send signals": lambda: [system_call(72, 0, 4, flags) for flags in (os.O_ASYNC, 0)],
        "take its limits": lambda: system_call(302, parent, 7, None, bytes(16)),
        "take its processor": lambda: system_call(141, 0, parent, 19),
        "start a shell past the audit hook": lambda: _start_shell(mark),
        "become a shell": lambda: system_call(59, b"/nonexistent\0", None, None),
        "become a shell by execveat": lambda: system_call(322, at_folder, b"/nonexistent\0", None, None, 0),
        "fork": lambda: _fork(57),
        "clone": lambda: _fork(56, signal.SIGCHLD, 0, 0, 0, 0),
        "clone by clone3": lambda: system_call(435, bytes(7), 7),
        "clone into a new namespace": lambda: _fork(56, _NEW_USER | signal.SIGCHLD, 0, 0, 0, 0),
        "unshare": lambda: system_call(272, 0),
        "enter a namespace": lambda: system_call(308, -1, 0),
        "mount": lambda: system_call(165, None, None, None, 0, None),
        "mount by the new calls": lambda: system_call(430, None, 0),
        "change the root": lambda: system_call(161, None),
        "open a socket": lambda: os.close(system_call(41, 2, 1, 0)),
        "open a netlink socket": lambda: os.close(system_call(41, 16, 3, 0)),
        "open a pair of sockets": lambda: system_call(53, 1, 1, 0, (ctypes.c_int * 2)()),
        "connect": lambda: system_call(42, 0, bytes(16), 16),
        "set io_uring up": lambda: os.close(system_call(425, 1, ctypes.create_string_buffer(256))),
        "load a BPF program": lambda: system_call(321, 5, None, 0),
        "ask for a key": lambda: system_call(250, 0, -3, 1),
        "handle page faults": lambda: os.close(system_call(323, 1)),
        "count events": lambda: system_call(298, None, 0, -1, -1, 0),
        # Memory that the kernel charges to the collector's pod and shows in no process.
        "map shared memory": lambda: mmap.mmap(-1, 4096).close(),
        "map shared memory by a system call": lambda: system_call(9, 0, 4096, 3, 0x21, -1, 0),
        "map huge pages": lambda: system_call(9, 0, 2 << 20, 3, 0x40022, -1, 0),
        "fill a pipe": lambda: _fill_pipe(),
        "make a pipe by the old call": lambda: system_call(22, (ctypes.c_int * 2)()),
        "hold a thousand descriptors": lambda: _hold_descriptors(1_000),
        # To what they are, as not every root may raise them.
        "set its own limits": lambda: system_call(302, 0, 7, struct.pack("QQ", 64, 64), None),
        "set its own limits by the old call": lambda: system_call(160, 7, struct.pack("QQ", 64, 64)),
        # At an address where nothing is, so that no page is lost where it is not refused.
        "poison memory": lambda: system_call(28, 0x10000, 4096, 100),
        "take memory offline": lambda: system_call(28, 0x10000, 4096, 101),
        "page memory out": lambda: system_call(28, 0x10000, 4096, 21),
        "be spared when memory runs out": lambda: os.close(os.open("/proc/self/oom_score_adj", os.O_WRONLY)),
        "share memory": lambda: system_call(29, 0, 4096, 0o1600),
        "set the clock": lambda: system_call(164, None, timeval),
        "rule a terminal": lambda: system_call(16, 2, 0x5412, b"x"),
        "put another filter over it": lambda: system_call(317, 1, 0, None),
        "put another Landlock over it": lambda: os.close(system_call(444, struct.pack("=Q", 1), 8, 0)),
        "outlive the parent": lambda: system_call(157, 1, 0, 0, 0, 0),
        "be traced": lambda: system_call(157, 4, 1, 0, 0, 0),
        "use what others have open": lambda: _use_others({image, copy}),
        **(on_own(target["runner"], "parent", target["ownSecretAt"]) if "runner" in target else {}),
        **(on_own(target["sibling"], "other worker", target["ownSecretAt"]) if "sibling" in target else {}),
    }


def _int_80() -> None:
    """getpid as a 32-bit program asks for it: numbers of another table."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    code = mmap.mmap(-1, 4096, flags=private, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


DEADLY: dict[str, Callable[[], Any]] = {
    "call the kernel as a 32-bit program": _int_80,
    "call the kernel as an x32 program": lambda: system_call(0x40000000 + 39),
}
# No attack: how C code gives up, by a signal to itself, which is one of the calls that are gone.
ABORT = "abort"


def _outcomes(target: dict[str, Any]) -> Iterator[list[Plain]]:
    for name, attack in attacks(target).items():
        try:
            attack()
            yield [name, "done"]
        except OSError as error:
            yield [name, errno.errorcode.get(error.errno or 0, str(error))]


def _main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        target = json.load(file)
    mode = sys.argv[2]
    secret = ctypes.create_string_buffer(b"secret")
    target.update({"ownSecretAt": ctypes.addressof(secret), "image": 0})
    target["copy"] = copy_behind(int(sys.argv[-1]))
    _patch(target)
    if mode in ("unconfined", "unconfined-parent"):
        run._confine = lambda *_: confine.Confinement(0, False)
        run._confine_worker = run._narrow = lambda *_: None
    if mode == "oldest":
        confine.landlock_abi = lambda: 1
    if mode in ("parent", "unconfined-parent"):
        _attack_before_the_job(target)
    os._exit(run.main(int(sys.argv[-1])))


def _patch(target: dict[str, Any]) -> None:
    """Has run.py say what the targets are, and the analysis have the plugins."""
    prepare, open_image, fork = run._prepare, run._open, os.fork

    def prepare_plugins(preparation: Any) -> None:
        prepare(preparation)
        import analyse

        analyse._OURS["attacks"] = lambda *_: Table(["attack", "outcome"], _outcomes(target))
        for name, attack in {**DEADLY, ABORT: os.abort}.items():
            analyse._OURS[name.replace(" ", "_").replace("-", "_")] = lambda *_, attack=attack: attack()

    def remember_image(*arguments: Any) -> Any:
        image = dataclasses.replace(open_image(*arguments), copy=target["copy"])
        target["image"] = image.descriptor
        return image

    def remember_worker() -> int:
        if (pid := fork()) > 0:
            target.update({"runner": os.getpid(), "sibling": pid})
        return pid

    run._prepare, run._open, os.fork = prepare_plugins, remember_image, remember_worker


def _attack_before_the_job(target: dict[str, Any]) -> None:
    import symbols

    load = symbols.load_symbols

    def attack(*arguments: Any) -> Any:
        loaded = load(*arguments)
        for name, outcome in _outcomes(target):
            print(json.dumps([name, outcome]), file=sys.stderr, flush=True)
        return loaded

    symbols.load_symbols = attack


if __name__ == "__main__":
    _main()
