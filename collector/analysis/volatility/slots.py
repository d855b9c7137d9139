# Why it is done this way: docs/decisions/035-workers.md
"""The parent's part: a worker in each slot, and another where one has died, until the collector has closed the slot.

A slot is a pair of sockets to the collector that lasts: one for lines, one for ranges of the image. What a worker that
has died left of a line is cut off by CAN and a line end, after which it is told how it ended. The parent reads neither.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass

from lines import Lines, encode

FIRST_SLOT = 3
_CUT_OFF = b"\x18\n"
_CLOSED = select.POLLRDHUP | select.POLLHUP | select.POLLERR


@dataclass(frozen=True)
class Slot:
    """`turn` counts its workers; what the collector sends is for one of them."""

    number: int
    turn: int = 0

    @property
    def lines(self) -> int:
        return FIRST_SLOT + 2 * self.number

    @property
    def ranges(self) -> int:
        return self.lines + 1


def copy_behind(slots: int) -> int:
    """The descriptor behind the slots: what was read of the image, for all workers."""
    return FIRST_SLOT + 2 * slots


def serve_slots(count: int, lines: Lines, work: Callable[[Slot], int]) -> None:
    """Tells the collector each worker's pid. `work` is what a worker does, and returns its exit status."""
    running: dict[int, Slot] = {}

    def start(slot: Slot) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = work(slot)
            finally:
                os._exit(status)
        running[pid] = slot
        lines.write({"type": "worker", "slot": slot.number, "pid": pid})

    for number in range(count):
        start(Slot(number))
    while running:
        pid, status = os.wait()
        slot = running.pop(pid)
        _tell_death(slot, os.waitstatus_to_exitcode(status))
        if not _is_closed(slot):
            start(Slot(slot.number, slot.turn + 1))


def _tell_death(slot: Slot, code: int) -> None:
    how = {"exit": code} if code >= 0 else {"signal": _signal_name(-code)}
    # A collector that has closed the slot wants to hear nothing.
    with contextlib.suppress(OSError), os.fdopen(slot.lines, "wb", closefd=False) as stream:
        stream.write(_CUT_OFF + encode({"type": "died", **how}).encode() + b"\n")


def _is_closed(slot: Slot) -> bool:
    """Whether the collector sends no more. The bytes that it has sent are left to the worker."""
    poll = select.poll()
    poll.register(slot.lines, _CLOSED)
    return bool(poll.poll(0))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
