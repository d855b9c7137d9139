"""A node with one process and a table of PIDs that leads to it, for tests that tear and alter both."""

import tempfile
import unittest
from typing import Any

from testing.mini_kernel import STRUCTS
from testing.node import make_node

_LINES = dict(line.split(": ", 1) for line in STRUCTS.replace("\n ", " ").strip().splitlines())
_STRUCTS = {
    "xa_node": "u8 shift, ptr[64] slots",
    "xarray": "u64 xa_lock, ptr xa_head",
    "idr": "xarray idr_rt",
    "pid_namespace": "*pid_namespace parent, idr idr, ns_common ns",
    "pid": "i32 count, u32 level, hlist_head[4] tasks, upid[1] numbers",
    "task_struct": f"{_LINES['task_struct']}, hlist_head[4] pid_links, list_head sibling",
}
POISON = 0xDEAD000000000100


class PidCase(unittest.TestCase):
    def setUp(self) -> None:
        self.kernel = make_node(**_STRUCTS)
        space = self.kernel.make("pid_namespace")
        self.kernel.name("init_pid_ns", space, "pid_namespace")
        self.head = self.kernel.member(space, "pid_namespace", "idr___idr_rt___xa_head")[0]
        self.node = self.kernel.make("xa_node")
        self.point(self.head, self.node + 2)
        self.task = self.kernel.symbols["a_task"]["address"]
        self.tasks = {1: self.task}
        self.pid = self.pointer(self.task, "thread_pid")
        self.lead(self.pid, self.task)
        self.put(1, self.pid)
        self.init = self.kernel.symbols["init_task"]["address"]
        links = self.links(self.init)
        for at in (links, links + 8):
            self.point(at, POISON)

    def make_task_like(self, task: int, pid: int) -> int:
        """Where it is linked."""
        held = {name: self.pointer(task, name) for name in ("signal", "nsproxy", "real_parent", "cred", "real_cred")}
        return self.links(self.kernel.make("task_struct", pid=pid, tgid=pid, **held))

    def links(self, task: int) -> int:
        return self.kernel.member(task, "task_struct", "tasks")[0]

    def add_process(self, number: int) -> int:
        """The address of its struct pid."""
        pid = self.kernel.make("pid")
        self.tasks[number] = self.copy_task(number, pid)
        self.lead(pid, self.tasks[number])
        return pid

    def copy_task(self, number: int, pid: int) -> int:
        copy = self.kernel.make("task_struct")
        self.kernel.write_bytes(copy, self.kernel.read_bytes(self.task, self.kernel.size("task_struct")))
        for member, value in (("pid", number), ("tgid", number), ("thread_pid", pid)):
            self.kernel.put(copy, "task_struct", member, value)
        return copy

    def mend_list(self) -> None:
        self.kernel.link(*(self.links(self.kernel.symbols[name]["address"]) for name in ("init_task", "a_task")))

    def analyse(self, *plugins: str) -> dict[str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            return self.kernel.analyse(folder, *plugins)

    def pointer(self, task: int, member: str) -> int:
        return int.from_bytes(self.kernel.read_bytes(self.kernel.member(task, "task_struct", member)[0], 8), "little")

    def lead(self, pid: int, task: int) -> None:
        links = self.kernel.member(task, "task_struct", "pid_links")[0] if task else 0
        self.point(self.kernel.member(pid, "pid", "tasks")[0], links)

    def slot(self, node: int, slot: int) -> int:
        return self.kernel.member(node, "xa_node", "slots")[0] + 8 * slot

    def put(self, slot: int, entry: int) -> None:
        self.point(self.slot(self.node, slot), entry)

    def point(self, at: int, target: int) -> None:
        self.kernel.write_bytes(at, target.to_bytes(8, "little"))

