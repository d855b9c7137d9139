"""Which of the kernel's two lists has a process: the list of tasks and the table of PIDs, by which /proc is made.

A process is in one of them alone if it is hidden, or if it began or ended while the memory was read. An image is written
in the order in which it is read, so what has ended is there in an earlier part and gone in a later one. What is there
both before and after it is gone was hidden.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from volatility3.framework import exceptions

from kernel import Kernel
from pid_table import Entry, entry_of

_POINTER_BYTES = 8
_PAGE_BYTES = 4096
# list_del() leaves these: include/linux/poison.h of Linux.
_POISON = (0xDEAD000000000100, 0xDEAD000000000122)
# The kernel takes a process off one list after the other, and this much may be read meanwhile.
_AT_ONCE_BYTES = 256 << 10


@dataclass(frozen=True)
class Membership:
    """`pid_table` is None if that cannot be told; `hidden`: no process that began or ended leaves an image like this."""

    pid_table: bool | None
    hidden: bool


def membership_of(kernel: Kernel, task: Any, listed: bool) -> Membership:
    """`task` is the first of its thread group; `listed`: the list of tasks leads to it."""
    entry = entry_of(kernel.module, int(task.pid))
    in_table = None if entry is None else entry.task == task.vol.offset & kernel.layer.address_mask
    try:
        # A zombie is taken off both when its parent asks for it.
        hidden = int(task.exit_state) == 0 and _Evidence(kernel, task).is_hidden(listed, in_table, entry)
    except exceptions.InvalidAddressException:
        hidden = False
    return Membership(in_table, hidden)


class _Evidence:
    """What other structures say of one task: places in the image, in the order in which it was read."""

    def __init__(self, kernel: Kernel, task: Any) -> None:
        self._kernel = kernel
        self._mask = kernel.layer.address_mask
        self._task = task
        self._links = task.member("tasks").vol.offset

    def is_hidden(self, listed: bool, in_table: bool | None, entry: Entry | None) -> bool:
        """Raises InvalidAddressException."""
        if listed and in_table is not False:
            return False
        there = [self._links, *self._siblings()]
        gone: list[int] = []
        if listed:
            there += [at for at, target in self._neighbors(self._links) if target == self._links]
        elif self._is_unlinked():
            return in_table is True
        elif self._is_closed_around():
            gone += [at for at, _ in self._neighbors(self._links)]
        if entry is not None and in_table is True:
            there += entry.read
        elif entry is not None and in_table is False:
            gone += entry.read[-1:]
        return self._contradicts([self._place(at) for at in there], [self._place(at) for at in gone])

    def _is_unlinked(self) -> bool:
        """It lives, and says itself that it is in no list: the kernel takes off its list only what has ended before."""
        before, back = self._links + _POINTER_BYTES, self._read(self._links + _POINTER_BYTES)
        # Read at one moment.
        pages = {self._place(at) // _PAGE_BYTES for at in (before, self._task.member("exit_state").vol.offset)}
        return len(pages) == 1 and (back in _POISON or back & self._mask == self._links)

    def _is_closed_around(self) -> bool:
        """Both neighbors have each other instead: they are in the list, and are none of memory that was used anew."""
        after, before = self._read(self._links) & self._mask, self._read(self._links + _POINTER_BYTES) & self._mask
        return self._target(before) == after and self._target(after + _POINTER_BYTES) == before

    def _siblings(self) -> Iterator[int]:
        """Where the children of its parent have it: it is taken off those at the same moment as off the lists."""
        if self._task.has_member("sibling"):
            links = self._task.member("sibling").vol.offset
            yield from (at for at, target in self._neighbors(links) if target == links)

    def _neighbors(self, links: int) -> Iterator[tuple[int, int]]:
        """Of a `struct list_head`: where its neighbors lead back, and to what."""
        for at, back in ((links, _POINTER_BYTES), (links + _POINTER_BYTES, 0)):
            try:
                place = self._read(at) + back & self._mask
                yield place, self._target(place)
            except exceptions.InvalidAddressException:
                continue

    def _target(self, address: int) -> int:
        return self._read(address) & self._mask

    def _read(self, address: int) -> int:
        return int.from_bytes(self._kernel.layer.read(address & self._mask, _POINTER_BYTES), "little")

    def _place(self, address: int) -> int:
        """Where in the image that address of the kernel is."""
        [(_, _, physical, _, memory)] = self._kernel.layer.mapping(address & self._mask, 1)
        [(_, _, place, _, _)] = self._kernel.context.layers[memory].mapping(physical, 1)
        return place

    @staticmethod
    def _contradicts(there: list[int], gone: list[int]) -> bool:
        """True if it neither began nor ended at one moment."""
        if not gone:
            return False
        ended = max(there) <= min(gone) + _AT_ONCE_BYTES
        began = max(gone) <= min(there) + _AT_ONCE_BYTES
        return not (ended or began)
