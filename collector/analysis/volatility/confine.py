"""What this process takes from itself before it reads anything that an attacker may have written."""

import os
import resource
import sys
from typing import IO, Any

_FORBIDDEN = (
    "socket.__new__",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
    "ctypes.dlopen",
)


def take_stdout() -> IO[str]:
    """The stream of our lines. File descriptor 1 becomes stderr, so that no library can write between them."""
    lines = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(2, 1)
    return lines


def set_limits(memory_bytes: int, file_bytes: int) -> None:
    """Address space, size of any file written, no core dump. An inherited lower limit stays."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_CORE, 0)


def forbid_network_and_programs() -> None:
    """Volatility fetches URLs by itself and falls back to unverified TLS. An audit hook cannot be removed again."""
    forbidden = frozenset(_FORBIDDEN)

    def refuse(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in forbidden:
            raise PermissionError(f"{event} is not allowed in an analysis")

    sys.addaudithook(refuse)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
