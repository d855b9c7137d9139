"""Mounts of Volatility 2.28.2 by their namespaces: stock goes through all mounts of a namespace for each task in it, and
then leaves out those that it has had."""

from collections.abc import Iterable, Iterator
from typing import Any

from volatility3.plugins.linux.mountinfo import MountInfo


def _task_mounts(tasks: Iterable[Any], filtered_by_pids: bool = False) -> Iterator[tuple[Any, Any, Any]]:
    if filtered_by_pids:
        return _stock_task_mounts(tasks, filtered_by_pids)
    return _stock_task_mounts(_first_of_namespaces(tasks))


def _first_of_namespaces(tasks: Iterable[Any]) -> Iterator[Any]:
    seen: set[int] = set()
    for task in tasks:
        # As stock asks, and in its order: each read may fail.
        if not (task and task.fs and task.fs.is_readable() and task.nsproxy and task.nsproxy.is_readable()):
            continue
        namespace = int(task.nsproxy.mnt_ns)
        if namespace not in seen:
            seen.add(namespace)
            yield task


_stock_task_mounts = MountInfo._get_tasks_mountpoints

PATCHES: tuple[tuple[Any, str, Any], ...] = ((MountInfo, "_get_tasks_mountpoints", staticmethod(_task_mounts)),)
