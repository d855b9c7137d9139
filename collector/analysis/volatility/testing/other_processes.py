"""Attacks on another process of a run. Each returns or raises OSError."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def system_call(number: int, *arguments: Any) -> int:
    """Past Python and its audit hook."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def read_memory(parent: int, address: int) -> None:
    mine = ctypes.create_string_buffer(6)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(mine), 6)
    there = (ctypes.c_size_t * 2)(address, 6)
    system_call(310, parent, here, 1, there, 1, 0)
    assert mine.raw == b"secret"


def write_memory(parent: int, address: int) -> None:
    mine = ctypes.create_string_buffer(b"secret")
    here = (ctypes.c_size_t * 2)(ctypes.addressof(mine), 6)
    there = (ctypes.c_size_t * 2)(address, 6)
    system_call(311, parent, here, 1, there, 1, 0)


def seek_memory(parent: int, address: int) -> None:
    with open(f"/proc/{parent}/mem", "rb", buffering=0) as memory:
        assert os.pread(memory.fileno(), 6, address) == b"secret"


def on_own(pid: int, whose: str, address: int) -> dict[str, Callable[[], Any]]:
    """On another process of the run, in which everything lies at the same address."""
    return {
        f"read the {whose}'s memory": lambda: seek_memory(pid, address),
        f"read the {whose}'s memory by process_vm_readv": lambda: read_memory(pid, address),
        f"write the {whose}'s memory by process_vm_writev": lambda: write_memory(pid, address),
        f"list the {whose}'s descriptors": lambda: os.listdir(f"/proc/{pid}/fd"),
        f"trace the {whose}": lambda: system_call(101, 0x4206, pid, 0, 0),
        f"take one of the {whose}'s descriptors": lambda: system_call(438, system_call(434, pid, 0), 0, 0),
        f"kill the {whose}": lambda: os.kill(pid, 0),
        f"kill the {whose} by its thread": lambda: system_call(234, pid, pid, 0),
        f"take the {whose}'s limits": lambda: system_call(302, pid, 7, None, bytes(16)),
    }
