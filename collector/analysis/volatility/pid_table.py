"""Processes by the kernel's table of PIDs: it still leads to them where the task list is torn."""

import itertools
from collections.abc import Iterator
from typing import Any

from volatility3.framework import contexts, exceptions

from remembered import remembered

_POINTER_BYTES, _PID_BYTES = 8, 4
# The tag of an entry of an xarray that is a node: lib/xarray.c of Linux, xa_is_node().
_TAG, _NODE = 3, 2
_LOWEST_NODE = 4096
_SLOTS = 64
# As many nodes as the PIDs up to PID_MAX_LIMIT can have; each is read once, wherever an image says that it hangs.
_NODE_LIMIT = 66_577
# More threads and processes than a node has: of a forged table no more are looked at.
_PID_LIMIT, _LEADER_LIMIT = 1 << 20, 1 << 17
_NEEDED = (("pid_namespace", "idr"), ("idr", "idr_rt"), ("xarray", "xa_head"), ("xa_node", "slots"), ("pid", "tasks"))
_OF_TASK = ("pid_links", "thread_pid", "pid", "tgid")


def leaders_by_pid(module: contexts.Module) -> tuple[Any, ...]:
    """The first task of each thread group that the table of the first PID namespace has, by PID, as far as it can be
    read. None before Linux 4.20, whose table is another one."""
    return remembered(module.context, "leaders by PID", lambda: _all_or_none(module))


def _all_or_none(module: contexts.Module) -> tuple[Any, ...]:
    try:
        return tuple(_leaders(module))
    except MemoryError:
        raise
    except Exception:  # a node has made up types, or a kernel changed them: what the list still has is not lost
        return ()


def _leaders(module: contexts.Module) -> Iterator[Any]:
    if not module.has_symbol("init_pid_ns"):
        return
    for kind, member in (*_NEEDED, *(("task_struct", member) for member in _OF_TASK)):
        if not (module.has_type(kind) and module.get_type(kind).has_member(member)):
            return
    table = _Table(module)
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
        self._of_task = {name: module.get_type("task_struct").relative_child_offset(name) for name in _OF_TASK}

    def pids(self) -> Iterator[int]:
        """Addresses of struct pid, each once."""
        slots = self._module.get_type("xa_node").relative_child_offset("slots")
        # The types of a kernel are the node's to name, too.
        size = min(self._module.get_type("xa_node").child_template("slots").size, _SLOTS * _POINTER_BYTES)
        space = self._module.object("pid_namespace", offset=self._module.get_symbol("init_pid_ns").address)
        ahead, nodes, pids = [], set(), set()
        try:
            ahead.append(int(space.idr.idr_rt.xa_head))
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
                data = self._layer.read(entry - _NODE + slots & self._layer.address_mask, size)
            except exceptions.InvalidAddressException:
                continue
            ahead += (int.from_bytes(data[at : at + _POINTER_BYTES], "little") for at in range(0, size, _POINTER_BYTES))

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

    def _read(self, address: int, length: int) -> int:
        return int.from_bytes(self._layer.read(address & self._layer.address_mask, length), "little")
