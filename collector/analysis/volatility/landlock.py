"""Landlock: from here on this process reads, writes and starts the named files, and no others.

Numbers and structures: include/uapi/linux/landlock.h. The system calls have the same numbers on every architecture.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from system_calls import system_call

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
# Rights to files that an ABI knows, by the ABI that brought them: 13 at first, then refer, truncate, ioctl on devices.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_TCP_SINCE, _TCP_RIGHTS = 4, 0b11
# Abstract UNIX sockets and signals of others.
_SCOPES_SINCE, _SCOPES = 6, 0b11


def landlock_abi() -> int:
    """Of this kernel. Raises OSError where there is no Landlock."""
    return system_call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def restrict_files(
    abi: int, readable: Iterable[str], writable: Iterable[str] = (), programs: Iterable[str] = ()
) -> None:
    """Needs no_new_privs. A readable folder is for all that is in it; what is not there is left out. Raises OSError."""
    files = sum(rights for since, rights in _FILE_RIGHTS.items() if since <= abi)
    attributes = struct.pack("=Q", files)
    if abi >= _TCP_SINCE:
        attributes += struct.pack("=Q", _TCP_RIGHTS)
    if abi >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = system_call(_CREATE_RULESET, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(ruleset, path, (_WRITE_FILE | _TRUNCATE) & files)
        for path in programs:
            _allow(ruleset, path, _READ_FILE | _EXECUTE)
        system_call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= ~_READ_DIR
        rule = struct.pack("=Qi", rights, place)
        system_call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(place)
