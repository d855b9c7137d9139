# Why it is done this way: docs/decisions/029-confinement.md
"""Rights that this process gives up before it reads anything that an attacker may have written."""

import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from landlock import landlock_abi, restrict_files
from seccomp import forbid_forks, forbid_system_calls, forbid_to_programs
from system_calls import set_process_control

_FORBIDDEN = (
    "socket.__new__",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "os.exec",
    "os.forkpty",
    "os.posix_spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
    "ctypes.dlopen",
)
_FORKS = ("os.fork",)
# Python and Volatility have a dozen open at once.
_MOST_DESCRIPTORS = 64
_DIE_WITH_PARENT, _SET_DUMPABLE, _SET_NO_NEW_PRIVILEGES = 1, 4, 38

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Confinement:
    """The parts that the kernel has granted: the ABI of Landlock (0: none), and a filter of system calls."""

    landlock_abi: int
    seccomp: bool

    @property
    def level(self) -> Literal["full", "partial", "none"]:
        """Full: no file but those named can be read, none written; no process, socket or signal comes of this one."""
        if self.landlock_abi > 0 and self.seccomp:
            return "full"
        return "partial" if self.landlock_abi > 0 or self.seccomp else "none"


def take_stdout(first_unknown: int) -> IO[str]:
    """The stream of our lines. File descriptor 1 becomes stderr, so that no library can write between them.

    Closes the descriptors that nobody told us of.
    """
    close_descriptors(first_unknown)
    lines = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    os.dup2(2, 1)
    return lines


def close_descriptors(first: int) -> None:
    """Those from `first` on."""
    for name in os.listdir("/proc/self/fd"):
        # The listing's own is in it, and closed already.
        with contextlib.suppress(OSError):
            if int(name) >= first:
                os.close(int(name))


def keep_descriptors(kept: Iterable[int]) -> None:
    """Closes all others, once their number is limited: also where /proc cannot be read any more."""
    here = {*range(_MOST_DESCRIPTORS)} - {*kept}
    for descriptor in here:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def set_limits(memory_bytes: int, file_bytes: int) -> None:
    """Address space, size of any file written, descriptors, no core dump. An inherited lower limit stays."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_CORE, 0)
    limit_descriptors()


def limit_descriptors() -> None:
    """The kernel holds memory for them that is in no process's size."""
    _lower(resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS)


def confine(readable: Iterable[str]) -> Confinement:
    """Leaves this process its open descriptors, what it can compute, and to read the named files, Python and what is
    imported from where Python looks. It may still fork: those processes are confined alike. Never raises."""
    confinement = _confine(forbid_system_calls, [*sys.path, *readable])
    _forbid_events(_FORBIDDEN)
    return confinement


def confine_to_python(confinement: Confinement) -> Confinement:
    """After `confine`: no file is left but Python's own. Also puts a border for signals and tracing around this process,
    and those that it will fork, as far as this kernel has it. Never raises."""
    if confinement.landlock_abi > 0:
        with _best_effort("Landlock"):
            restrict_files(confinement.landlock_abi, sys.path)
            return confinement
    return Confinement(0, confinement.seccomp)


def end_with(parent: int) -> None:
    """This process is killed when its parent ends. Raises OSError."""
    set_process_control(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it had ended before


def confine_program(readable: Iterable[str], writable: Iterable[str], programs: Iterable[str]) -> Confinement:
    """Before this process starts one of the programs: leaves it its open descriptors, threads, what it can compute, and
    these files. Never raises."""
    return _confine(forbid_to_programs, readable, writable, programs)


def confine_worker(confinement: Confinement) -> Confinement:
    """After `confine`: no further process comes of this one. Never raises."""
    _forbid_events(_FORKS)
    if confinement.seccomp:
        with _best_effort("seccomp"):
            forbid_forks()
            return confinement
    return Confinement(confinement.landlock_abi, seccomp=False)


def _confine(filter_calls: Callable[[], None], *files: Iterable[str]) -> Confinement:
    abi = 0
    with _best_effort("prctl"):
        set_process_control(_SET_NO_NEW_PRIVILEGES, 1)
        set_process_control(_SET_DUMPABLE, 0)
    with _best_effort("Landlock"):
        found = landlock_abi()
        restrict_files(found, *files)
        abi = found
    seccomp = False
    with _best_effort("seccomp"):
        filter_calls()
        seccomp = True
    return Confinement(abi, seccomp)


@contextlib.contextmanager
def _best_effort(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _log.warning("%s does not confine this process: %s", what, error.strerror)


def _forbid_events(events: Iterable[str]) -> None:
    """Says in Python's words what the kernel would refuse, and is all there is without it. A hook cannot be removed.

    Volatility fetches URLs by itself and falls back to unverified TLS.
    """
    forbidden = frozenset(events)

    def refuse(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in forbidden:
            raise PermissionError(f"{event} is not allowed in an analysis")

    sys.addaudithook(refuse)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))
