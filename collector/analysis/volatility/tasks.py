"""The kernel's task list, as thread group leaders, with what is needed to trust it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from volatility3.framework import exceptions

from kernel import Kernel
from memory import follow_list
from pid_table import leaders_by_pid
from warn import Warnings

_LIST = "task list"


@dataclass(frozen=True)
class TaskList:
    """`leaders` without the idle task, `recovered` of them by PID, for what the list does not lead to. `unreadable`
    are linked, but what is there is not the first thread of a process."""

    leaders: tuple[Any, ...]
    unreadable: int
    complete: bool
    recovered: int

    def explain(self, warnings: Warnings) -> None:
        if not self.complete:
            found = f"{self.recovered} were found by the table of PIDs instead, " if self.recovered else ""
            warnings.add(
                f"The task list is broken in this image (smear or tampering): {found}processes may be missing."
            )
        elif self.recovered:
            warnings.note(
                f"The task list leads over {self.recovered} processes that the table of PIDs has (smear or tampering)."
            )
        if self.unreadable:
            warnings.add(
                f"Links of the task list that lead to no process: {self.unreadable}. It ended while the memory was read, or"
                " is not in the image."
            )


class Process:
    """A thread group. A leader that has exited gave up its memory, files and namespaces: they are asked of a thread."""

    def __init__(self, kernel: Kernel, leader: Any) -> None:
        self._kernel = kernel
        self.leader = leader
        self.pid = int(leader.tgid)

    @property
    def live_threads(self) -> tuple[Any, ...]:
        """Threads that have not exited, leader first if it has not."""
        return tuple(task for task in self._threads[0] if int(task.exit_state) == 0)

    @property
    def threads_complete(self) -> bool:
        """False when the thread list is broken or a thread of it is not in the image."""
        return self._threads[1]

    @cached_property
    def _threads(self) -> tuple[list[Any], bool]:
        head = self.leader.signal.thread_head.vol.offset
        offset = self._kernel.module.get_type("task_struct").relative_child_offset("thread_node")
        walk = follow_list(self._kernel.layer, head, both_ways=True)
        tasks = [self._kernel.object("task_struct", node - offset) for node in walk.nodes]
        readable = [task for task in tasks if _readable(self._kernel, task, self.pid)]
        if all(task.vol.offset != self.leader.vol.offset for task in readable):
            readable.insert(0, self.leader)
            return readable, False
        return readable, walk.complete and len(readable) == len(tasks)

    @cached_property
    def leader_gone(self) -> bool:
        return int(self.leader.exit_state) != 0

    def holder(self, member: str) -> Any:
        """The leader, or else a live thread, whose pointer `member` is not NULL; None if no thread has one."""
        if int(getattr(self.leader, member)):
            return self.leader
        if not self.leader_gone:
            return None
        return next((task for task in self.live_threads if int(getattr(task, member))), None)


def task_list(kernel: Kernel) -> TaskList:
    """Read once in a run. Unlike Volatility's list it keeps tasks without nsproxy: zombies and exited leaders.

    Raises LookupError when there is not one task in it, which cannot be true of a running kernel.
    """
    if _LIST not in kernel.findings:
        kernel.findings[_LIST] = _read_task_list(kernel)
    return kernel.findings[_LIST]


def _read_task_list(kernel: Kernel) -> TaskList:
    offset = kernel.module.get_type("task_struct").relative_child_offset("tasks")
    init_task = kernel.module.object_from_symbol("init_task")
    walk = follow_list(kernel.layer, init_task.vol.offset + offset, both_ways=True)
    tasks = [kernel.object("task_struct", node - offset) for node in walk.nodes]
    leaders = [task for task in tasks if _readable(kernel, task)]
    unreadable = len(tasks) - len(leaders)
    # Links that lead back to the head may have led over some: what they lead to can be another task by now.
    recovered = _recover(kernel, {task.vol.offset for task in leaders})
    if not leaders and not recovered:
        raise LookupError("the kernel's task list is not readable in this image")
    return TaskList((*leaders, *recovered), unreadable, walk.complete, len(recovered))


def _recover(kernel: Kernel, known: set[int]) -> list[Any]:
    """By address: who forges a task can give it the PID of one that is to be left out."""
    by_pid = leaders_by_pid(kernel.module)
    return [task for task in by_pid if task.vol.offset not in known and _readable(kernel, task)]


def _readable(kernel: Kernel, task: Any, group: int | None = None) -> bool:
    """False also for what is no task of this thread group, or no leader of one: the memory of one that has ended is
    soon another thing's."""
    try:
        if not (kernel.layer.is_valid(task.vol.offset, task.vol.size) and task.signal.is_readable()):
            return False
        return 0 < int(task.tgid) == (int(task.pid) if group is None else group)
    except exceptions.InvalidAddressException:
        return False
