import unittest
from types import SimpleNamespace
from typing import Any

from volatility3.plugins.linux.mountinfo import MountInfo

import accelerations


class _Pointer(SimpleNamespace):
    readable = True

    def is_readable(self) -> bool:
        return self.readable


class _Namespace(_Pointer):
    """A mount namespace at an address, which counts how often its mounts are listed."""

    walks = 0

    def __int__(self) -> int:
        return self.address

    def get_inode(self) -> int:
        return self.address + 1

    def get_mount_points(self) -> list[SimpleNamespace]:
        self.walks += 1
        return [SimpleNamespace(mnt_id=mount) for mount in self.mounts]


def _task(name: str, namespace: Any, **other: Any) -> SimpleNamespace:
    members = {"fs": _Pointer(), "nsproxy": _Pointer(mnt_ns=namespace)} | other
    return SimpleNamespace(name=name, **members)


class Mounts(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)

    def _found(self, tasks: list[Any], by_pid: bool = False) -> list[tuple[str, int, int]]:
        found = MountInfo._get_tasks_mountpoints(tasks, by_pid)
        return [(task.name, mount.mnt_id, number) for task, mount, number in found]

    def test_the_mounts_of_a_namespace_are_listed_once_for_all_its_tasks(self) -> None:
        host, pod = _Namespace(address=16, mounts=[1, 2, 2]), _Namespace(address=32, mounts=[2, 3])
        gone = [_task("kernel", host, fs=None), _task("exited", host, nsproxy=None)]
        unreadable = [_task("swapped", host, fs=_Pointer(readable=False)), _task("freed", _Namespace(address=0))]
        unreadable[1].nsproxy.readable = False
        tasks = [*gone, *unreadable, _task("a", host), _task("b", pod), _task("c", host), _task("d", pod)]
        stock, walks = self._found(tasks), (host.walks, pod.walks)
        self.assertEqual((stock, walks), ([("a", 1, 17), ("a", 2, 17), ("b", 3, 33)], (2, 2)))
        accelerations.apply()
        self.assertEqual(self._found(tasks), stock)
        self.assertEqual((host.walks, pod.walks), (3, 3))

    def test_each_process_that_is_asked_for_has_its_own(self) -> None:
        host = _Namespace(address=16, mounts=[1])
        accelerations.apply()
        self.assertEqual(self._found([_task("a", host), _task("b", host)], True), [("a", 1, 17), ("b", 1, 17)])
