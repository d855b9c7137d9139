"""Processes by the kernel's table of PIDs: it still leads to them where the task list is torn."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from volatility3.framework import contexts, exceptions

from remembered import remembered

_Value = TypeVar("_Value")

_POINTER_BYTES, _PID_BYTES = 8, 4
# The tag of an entry of an xarray that is a node: lib/xarray.c of Linux, xa_is_node().
_TAG, _NODE = 3, 2
_LOWEST_NODE = 4096
_SLOTS = 64
# As many nodes as the PIDs up to PID_MAX_LIMIT can have; each is read once, wherever an image says that it hangs.
_NODE_LIMIT = 66_577
# More threads and processes than a node has: of a forged table no more are looked at.
_PID_LIMIT, _LEADER_LIMIT = 1 << 20, 1 << 17
_NEEDED = (("pid_namespace", "idr"), ("idr", "idr_rt"), ("xarray", "xa_head"), ("xa_node", "slots"), ("xa_node", "shift"), ("pid", "tasks"))
# An xarray node has 64 slots; no PID has more bits than the highest node and those below it tell apart.
_SHIFT_STEP, _HIGHEST_SHIFT = 6, 36
_OF_TASK = ("pid_links", "thread_pid", "pid", "tgid")


@dataclass(frozen=True)
class Entry:
    """Where the table says that a task has a PID, or does not: addresses that were read on the way. `task` is the
    address of the task that has it, None if none has."""

    task: int | None
    read: tuple[int, ...]


def leaders_by_pid(module: contexts.Module) -> tuple[Any, ...]:
    """The first task of each thread group that the table of the first PID namespace has, by PID, as far as it can be
    read. None before Linux 4.20, whose table is another one."""
    return remembered(module.context, "leaders by PID", lambda: _or_nothing(lambda: tuple(_leaders(module)), ()))


def entry_of(module: contexts.Module, pid: int) -> Entry | None:
    """What the table has at that PID; None if nobody can tell."""
    table = remembered(module.context, "table of PIDs", lambda: _or_nothing(lambda: _table(module), None))
    return None if table is None else _or_nothing(lambda: table.entry(pid), None)


def _or_nothing(read: Callable[[], _Value], nothing: _Value) -> _Value:
    try:
        return read()
    except MemoryError:
        raise
    except Exception:  # a node has made up types, or a kernel changed them: what the list still has is not lost
        return nothing


def _table(module: contexts.Module) -> "_Table | None":
    needed = (*_NEEDED, *(("task_struct", member) for member in _OF_TASK))
    known = module.has_symbol("init_pid_ns") and all(
        module.has_type(kind) and module.get_type(kind).has_member(member) for kind, member in needed
    )
    return _Table(module) if known else None


def _leaders(module: contexts.Module) -> Iterator[Any]:
    table = _table(module)
    if table is None:
        return
    pids = itertools.islice(table.pids(), _PID_LIMIT)
    leaders = itertools.islice((leader for leader in map(table.leader, pids) if leader), _LEADER_LIMIT)
    for _pid, address in sorted(leaders):
        yield module.object("task_struct", offset=address, absolute=True)


class _Table:
    """Reads bytes instead of objects: an image can have a million PIDs that lead nowhere."""

    def __init__(self, module: contexts.Module) -> None:
        self._module = module
        self._layer = module.context.layers[module.layer_name]
        self._tasks = module.get_type("pid").relative_child_offset("tasks")
        self._slots, self._shift = (module.get_type("xa_node").relative_child_offset(name) for name in ("slots", "shift"))
        self._of_task = {name: module.get_type("task_struct").relative_child_offset(name) for name in _OF_TASK}

    def pids(self) -> Iterator[int]:
        """Addresses of struct pid, each once."""
        # The types of a kernel are the node's to name, too.
        size = min(self._module.get_type("xa_node").child_template("slots").size, _SLOTS * _POINTER_BYTES)
        ahead, nodes, pids = [], set(), set()
        try:
            ahead.append(self._head)
        except exceptions.InvalidAddressException:
            return
        while ahead:
            entry = ahead.pop() & self._layer.address_mask
            if entry & _TAG == 0 and entry and entry not in pids:
                pids.add(entry)
                yield entry
            if entry & _TAG != _NODE or entry <= _LOWEST_NODE or entry in nodes or len(nodes) == _NODE_LIMIT:
                continue
            nodes.add(entry)
            try:
                data = self._layer.read(entry - _NODE + self._slots & self._layer.address_mask, size)
            except exceptions.InvalidAddressException:
                continue
            ahead += (int.from_bytes(data[at : at + _POINTER_BYTES], "little") for at in range(0, size, _POINTER_BYTES))

    def entry(self, number: int) -> Entry | None:
        """Walks down as the kernel does. Raises InvalidAddressException where memory is missing."""
        entry, shift, at = self._head, _HIGHEST_SHIFT, 0
        while shift > 0 and entry & _TAG == _NODE and entry > _LOWEST_NODE:
            node, above = entry - _NODE, shift
            shift = self._read(node + self._shift, 1)
            # Memory that is another thing by now, or a PID that this tree is too low for.
            if shift % _SHIFT_STEP or shift >= above or (at == 0 and number >> shift >= _SLOTS):
                return None
            at = node + self._slots + (number >> shift) % _SLOTS * _POINTER_BYTES
            entry = self._read(at, _POINTER_BYTES)
        if at == 0:
            return None
        if entry == 0 or entry & _TAG:
            return Entry(None, (at,))
        first = self._read(entry + self._tasks, _POINTER_BYTES)
        task = first - self._of_task["pid_links"] & self._layer.address_mask if first else None
        return Entry(task, (at, entry + self._tasks))

    def leader(self, pid: int) -> tuple[int, int] | None:
        """PID and address; None for a thread that is not the first, and for a task that names another struct pid."""
        try:
            first = self._read(pid + self._tasks, _POINTER_BYTES)
            if not first:
                return None
            task = first - self._of_task["pid_links"]
            if self._read(task + self._of_task["thread_pid"], _POINTER_BYTES) & self._layer.address_mask != pid:
                return None
            number = self._read(task + self._of_task["pid"], _PID_BYTES)
            return (number, task) if number == self._read(task + self._of_task["tgid"], _PID_BYTES) else None
        except exceptions.InvalidAddressException:
            return None

    @cached_property
    def _head(self) -> int:
        space = self._module.object("pid_namespace", offset=self._module.get_symbol("init_pid_ns").address)
        return int(space.idr.idr_rt.xa_head)

    def _read(self, address: int, length: int) -> int:
        return int.from_bytes(self._layer.read(address & self._layer.address_mask, length), "little")
