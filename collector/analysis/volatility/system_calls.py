"""System calls that Python has no function for. By ctypes: `landlock` has no release, `pyseccomp` needs libseccomp."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def system_call(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """Integers are passed as 64 bits, buffers as their address. Raises OSError."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def set_process_control(option: int, value: int) -> None:
    """prctl(2). Raises OSError."""
    if _libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, (value, 0, 0, 0))) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
