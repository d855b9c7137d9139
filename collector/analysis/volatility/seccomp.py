"""Seccomp: the system calls that are left to this process, all others fail with EPERM. In two stages, so that one
process can fork workers between them that fork no more. A program that is started has a list of its own, in one stage.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl; no other architecture has a list here yet.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

from system_calls import system_call

_SECCOMP, _SET_FILTER, _ALL_THREADS = 317, 1, 1
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _RETURN, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X86_64 = 0xC000003E
_X32 = 0x40000000

_CLONE3 = 435
_FORKS = {"clone": 56, "fork": 57, "vfork": 58}
# Nothing here takes a path to write to, another process or a new descriptor of anything but a file. A pipe is one: what
# is written to it is the control group's, and in no process's size.
_ALLOWED = {
    **{"read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8},
    **{"mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15},
    **{"pread64": 17, "readv": 19, "writev": 20, "access": 21, "sched_yield": 24, "mremap": 25},
    **{"dup": 32, "dup2": 33, "nanosleep": 35, "getpid": 39, "exit": 60, "wait4": 61, "uname": 63, "getcwd": 79},
    **{"readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100},
    **{"getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "sigaltstack": 131},
    **{"gettid": 186, "futex": 202, "sched_getaffinity": 204, "getdents64": 217, "set_tid_address": 218},
    **{"restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231},
    **{"newfstatat": 262, "readlinkat": 267, "faccessat": 269, "set_robust_list": 273, "dup3": 292},
    **{"preadv": 295, "seccomp": _SECCOMP, "getrandom": 318, "membarrier": 324, "statx": 332, "rseq": 334},
    **{"faccessat2": 439},
}
# What a parent needs besides, until it is a worker: to confine itself further, and to have its workers end with it.
_PRCTL, _DIE_WITH_PARENT = 157, 1
_OF_PARENTS = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
# Node and Go need these besides: to be started, to wait for their threads, and for durable output.
_OF_PROGRAMS = {
    **{"execve": 59, "fsync": 74, "arch_prctl": 158, "epoll_ctl": 233, "epoll_pwait": 281, "eventfd2": 290},
    **{"epoll_create1": 291, "sched_getparam": 143, "sched_getscheduler": 145, "pipe2": 293},
}
_OPENAT, _PRLIMIT, _IOCTL, _FCNTL, _TGKILL, _MMAP, _MADVISE = 257, 302, 16, 72, 234, 9, 28
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_ASYNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
# New namespaces, a tracer, or a child that passes for the collector's own.
_CLONE_FORBIDDEN = 0x7E020000 | 0x2000 | 0x8000
_CLONE_THREAD = 0x10000
# MAP_SHARED and MAP_HUGETLB: memory that stays with the collector's control group when it is in no process's size.
_MMAP_FORBIDDEN = 0x01 | 0x40000
# NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED, FREE, DONTFORK, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP.
_ADVICE = (0, 1, 2, 3, 4, 8, 10, 14, 15, 16, 17)
# isatty, which Python asks of each file that it opens.
_IOCTL_COMMANDS = (0x5401,)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. F_SETOWN sends signals, and F_SETFL starts that.
_FCNTL_COMMANDS = (0, 1, 2, 3, 1030)


def forbid_system_calls() -> None:
    """The first stage: all is forbidden but reading, computing, forking, and further confinement. Raises OSError, also
    on an architecture without a list."""
    program = _listed(_ALLOWED | _OF_PARENTS)
    program += _on(_PRCTL, _with_value(0, (_DIE_WITH_PARENT,)))
    program += _on(_OPENAT, _without_bits(2, _WRITES))
    program += _on(_FORKS["clone"], _without_bits(0, _CLONE_FORBIDDEN))
    program += _on(_FORKS["fork"], [_return(_ALLOW)])
    program.append(_return(_ERRNO | errno.EPERM))
    _install(program)


def forbid_to_programs() -> None:
    """All is forbidden but to start a program, and to it but reading, computing, threads, and writing: which files it
    writes and starts is Landlock's part. Raises OSError, also on an architecture without a list."""
    program = _listed(_ALLOWED | _OF_PROGRAMS | {"openat": _OPENAT})
    program += _on(_FORKS["clone"], _threads_only())
    # Go's runtime and abort(3) signal threads of their own process, whose id stays when a program takes its place.
    program += _on(_TGKILL, _with_value(0, (os.getpid(),)))
    program.append(_return(_ERRNO | errno.EPERM))
    _install(program)


def _listed(allowed: dict[str, int]) -> list[bytes]:
    """Returns the beginning of both filters; calls that it does not decide are left to the steps that follow."""
    if platform.machine() != "x86_64":
        raise OSError(errno.ENOSYS, f"there is no list of system calls for {platform.machine()}")
    program = [
        *(_load(_ARCHITECTURE_AT), _step(_IF_EQUAL, _X86_64, 1, 0), _return(_KILL)),
        *(_load(_NUMBER_AT), _step(_IF_AT_LEAST, _X32, 0, 1), _return(_KILL)),
    ]
    for number in allowed.values():
        program += _on(number, [_return(_ALLOW)])
    program += _on(_PRLIMIT, _own_limits_to_read())
    program += _on(_MMAP, _without_bits(3, _MMAP_FORBIDDEN))
    program += _on(_MADVISE, _with_value(2, _ADVICE))
    program += _on(_IOCTL, _with_value(1, _IOCTL_COMMANDS))
    program += _on(_FCNTL, _with_value(1, _FCNTL_COMMANDS))
    # Its flags lie in memory, out of a filter's sight; without it libc takes clone.
    return program + _on(_CLONE3, [_return(_ERRNO | errno.ENOSYS)])


def forbid_forks() -> None:
    """The second stage: no process and no thread comes of this one, and no more confinement. Raises OSError."""
    program = [_load(_NUMBER_AT)]
    for number in (*_FORKS.values(), *_OF_PARENTS.values(), _PRCTL, _SECCOMP):
        program += _on(number, [_return(_ERRNO | errno.EPERM)])
    program.append(_return(_ALLOW))
    _install(program)


def _install(program: list[bytes]) -> None:
    code = ctypes.create_string_buffer(b"".join(program))
    pointer = struct.pack("@HP", len(program), ctypes.addressof(code))
    refused = system_call(_SECCOMP, _SET_FILTER, _ALL_THREADS, ctypes.create_string_buffer(pointer, len(pointer)))
    if refused:
        raise OSError(errno.EBUSY, f"thread {refused} does not take the filter")


def _on(number: int, body: list[bytes]) -> list[bytes]:
    return [_step(_IF_EQUAL, number, 0, len(body)), *body]


def _without_bits(argument: int, bits: int) -> list[bytes]:
    refuse = _return(_ERRNO | errno.EPERM)
    return [_load(_ARGUMENTS_AT + 8 * argument), _step(_IF_ANY_BIT, bits, 0, 1), refuse, _return(_ALLOW)]


def _threads_only() -> list[bytes]:
    """clone(2) without the forbidden flags, and within the process."""
    forbidden, thread = _step(_IF_ANY_BIT, _CLONE_FORBIDDEN, 1, 0), _step(_IF_ANY_BIT, _CLONE_THREAD, 1, 0)
    return [_load(_ARGUMENTS_AT), forbidden, thread, _return(_ERRNO | errno.EPERM), _return(_ALLOW)]


def _own_limits_to_read() -> list[bytes]:
    """prlimit(2) of this process without new ones, which root could raise: the pointer to them, in halves, is NULL."""
    body: list[bytes] = []
    for offset in (_ARGUMENTS_AT, _ARGUMENTS_AT + 16, _ARGUMENTS_AT + 20):
        body += [_load(offset), _step(_IF_EQUAL, 0, 1, 0), _return(_ERRNO | errno.EPERM)]
    return [*body, _return(_ALLOW)]


def _with_value(argument: int, values: Iterable[int]) -> list[bytes]:
    """The kernel takes these arguments as 32 bits, so the lower half is all that counts."""
    body = [_load(_ARGUMENTS_AT + 8 * argument)]
    for value in values:
        body += [_step(_IF_EQUAL, value, 0, 1), _return(_ALLOW)]
    return [*body, _return(_ERRNO | errno.EPERM)]


def _load(offset: int) -> bytes:
    return _step(_LOAD, offset)


def _return(action: int) -> bytes:
    return _step(_RETURN, action)


def _step(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    """One struct sock_filter."""
    return struct.pack("=HBBI", code, jump_true, jump_false, value)
