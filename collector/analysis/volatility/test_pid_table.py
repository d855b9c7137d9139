import tempfile
import unittest
import unittest.mock
from typing import Any

import pid_table
from testing.mini_kernel import STRUCTS, MiniKernel
from testing.node import make_node

_LINES = dict(line.split(": ", 1) for line in STRUCTS.replace("\n ", " ").strip().splitlines())
_STRUCTS = {
    "xa_node": "u8 shift, ptr[64] slots",
    "xarray": "u64 xa_lock, ptr xa_head",
    "idr": "xarray idr_rt",
    "pid_namespace": "*pid_namespace parent, idr idr, ns_common ns",
    "pid": "i32 count, u32 level, hlist_head[4] tasks, upid[1] numbers",
    "task_struct": f"{_LINES['task_struct']}, hlist_head[4] pid_links",
}
_POISON = 0xDEAD000000000100
_TORN = "The task list is broken in this image (smear or tampering): {}processes may be missing."
_PLUGINS = ("processes", "linux.pslist.PsList")


class PidTable(unittest.TestCase):
    def setUp(self) -> None:
        self.kernel = make_node(**_STRUCTS)
        space = self.kernel.make("pid_namespace")
        self.kernel.name("init_pid_ns", space, "pid_namespace")
        self.head = self.kernel.member(space, "pid_namespace", "idr___idr_rt___xa_head")[0]
        self.node = self.kernel.make("xa_node")
        self._point(self.head, self.node + 2)
        self.task = self.kernel.symbols["a_task"]["address"]
        self.pid = self._pointer(self.task, "thread_pid")
        self._lead(self.pid, self.task)
        self._put(1, self.pid)
        self._init = self.kernel.symbols["init_task"]["address"]
        links = self._links(self._init)
        for at in (links, links + 8):
            self._point(at, _POISON)

    def test_leads_to_what_a_torn_list_does_not(self) -> None:
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_says_nothing_while_the_list_is_whole(self) -> None:
        self._mend_list()
        self._expect([1], None)
        self._lead(self.pid, 0)
        self._expect([1], None)

    def test_leads_to_what_a_list_that_is_closed_leads_over(self) -> None:
        first = self._links(self.kernel.symbols["init_task"]["address"])
        self.kernel.link(first)
        self._expect([1], "The task list leads over 1 processes that the table of PIDs has (smear or tampering).")

    def test_has_no_threads_and_no_tasks_that_are_no_longer_those_of_their_pid(self) -> None:
        held = {"signal": self._pointer(self.task, "signal")}
        thread = self.kernel.make("task_struct", pid=7, tgid=1, **held)
        stale = self.kernel.make("task_struct", pid=8, tgid=8, thread_pid=self.pid, **held)
        for number, task in enumerate((thread, stale, 0xFFFFFFFF90000000, 0), 7):
            pid = self.kernel.make("pid")
            if task == thread:
                self.kernel.put(thread, "task_struct", "thread_pid", pid)
            self._lead(pid, task)
            self._put(number, pid)
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_ends_where_nodes_lead_to_each_other_or_nowhere(self) -> None:
        other = self.kernel.make("xa_node")
        for slot in range(2, 60):
            self._put(slot, other + 2)
            self._point(self._slot(other, slot), self.node + 2)
        for slot, entry in enumerate((0xFFFFFFFF90000002, 0xFFFFFFFF90000000, 3, 0x102, 2), 59):
            self._put(slot, entry)
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_has_bounds_on_an_image_that_has_more_than_a_kernel_can(self) -> None:
        self.kernel.types["xa_node"]["fields"]["slots"]["type"]["count"] = 1 << 30
        other = self._add_process(7)
        for slot, alias in enumerate((other, other, other & (1 << 48) - 1), 61):
            self._put(slot, alias)
        self._expect([1, 7], _TORN.format("2 were found by the table of PIDs instead, "))
        for bound, at_least, found in (("_PID_LIMIT", 2, 2), ("_PID_LIMIT", 1, 1), ("_LEADER_LIMIT", 1, 1)):
            with unittest.mock.patch.object(pid_table, bound, at_least):
                self._expect([1, 7][-found:], _TORN.format(f"{found} were found by the table of PIDs instead, "))

    def test_leads_to_a_process_although_a_forged_task_has_its_pid(self) -> None:
        self._put(9, self._add_process(9))
        forged = self._copy_task(9, self.pid)
        links = [self.kernel.member(one, "task_struct", "tasks")[0] for one in (self._init, forged)]
        self._point(links[0], links[1])
        self._point(links[1], _POISON)
        self._expect([1, 9, 9], _TORN.format("2 were found by the table of PIDs instead, "))

    def test_leads_to_what_is_between_two_tasks_that_are_not_in_the_image(self) -> None:
        outside = [self.kernel.symbols["_stext"]["address"] + at for at in (0x10, 0x20)]
        tasks = (self.kernel.member(one, "task_struct", "tasks")[0] for one in (self._init, self.task))
        self.kernel.link(*(node for pair in zip(tasks, outside, strict=True) for node in pair))
        ends = self._analyse()
        self.assertEqual({plugin: end["rows"] for plugin, end in ends.items()}, dict.fromkeys(_PLUGINS, 1))

    def test_that_has_other_types_costs_nothing_that_the_list_has(self) -> None:
        self._point(*(self.kernel.member(one, "task_struct", "tasks")[0] for one in (self._init, self.task)))
        self._point(self.kernel.member(self.task, "task_struct", "tasks")[0], _POISON)
        for kind, member in (("idr", "idr_rt"), ("xa_node", "slots")):
            self.kernel.types[kind]["fields"][member]["type"] = {"kind": "struct", "name": "nowhere"}
            self._expect([1], _TORN.format(""))

    def test_of_another_kernel_is_left_alone(self) -> None:
        self.kernel.without("xa_node")
        ends = self._analyse()
        self.assertEqual({end["state"] for end in ends.values()}, {"failed"})

    def test_is_not_needed_for_what_a_task_leads_over_that_was_freed_and_made_anew(self) -> None:
        links = [self._make_task_like(self.task, pid) for pid in (2, 3)]
        first, last = (self._links(self.kernel.symbols[name]["address"]) for name in ("init_task", "a_task"))
        self.kernel.link(first, *links, last)
        self._point(first, last)
        self._expect([1, 2, 3], None)

    def test_memory_of_another_thing_is_no_process(self) -> None:
        self._mend_list()
        links = self._make_task_like(self.task, 1)
        self._point(self._links(self.task), links)
        for sentence, pid, tgid in (("negative", -1014580284, -1014580284), ("zeros", 0, 0), ("no leader", 7, 8)):
            with self.subTest(sentence):
                for member, value in (("pid", pid), ("tgid", tgid)):
                    at = self.kernel.member(links - self._links(0), "task_struct", member)[0]
                    self.kernel.write_bytes(at, value.to_bytes(4, "little", signed=True))
                end = self._analyse()["processes"]
                self.assertEqual([row["pid"] for row in end["table"]], [1])
                told = "Links of the task list that lead to no process: 1."
                self.assertTrue(any(warning.startswith(told) for warning in end["warnings"]))

    def _make_task_like(self, task: int, pid: int) -> int:
        """Where it is linked."""
        held = {name: self._pointer(task, name) for name in ("signal", "nsproxy", "real_parent", "cred", "real_cred")}
        return self._links(self.kernel.make("task_struct", pid=pid, tgid=pid, **held))

    def _links(self, task: int) -> int:
        return self.kernel.member(task, "task_struct", "tasks")[0]

    def _add_process(self, number: int) -> int:
        """The address of its struct pid."""
        pid = self.kernel.make("pid")
        self._lead(pid, self._copy_task(number, pid))
        return pid

    def _copy_task(self, number: int, pid: int) -> int:
        copy = self.kernel.make("task_struct")
        self.kernel.write_bytes(copy, self.kernel.read_bytes(self.task, self.kernel.size("task_struct")))
        for member, value in (("pid", number), ("tgid", number), ("thread_pid", pid)):
            self.kernel.put(copy, "task_struct", member, value)
        return copy

    def _mend_list(self) -> None:
        self.kernel.link(*(self._links(self.kernel.symbols[name]["address"]) for name in ("init_task", "a_task")))

    def _expect(self, pids: list[int], warning: str | None) -> None:
        for plugin, end in self._analyse().items():
            self.assertEqual(end["state"], "rows", plugin)
            self.assertEqual(end["rows"], len(pids), plugin)
            told = [text for text in end.get("warnings", []) if text.startswith("The task list")]
            self.assertEqual(told, [warning] if warning else [], plugin)

    def _analyse(self) -> dict[str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            return self.kernel.analyse(folder, *_PLUGINS)

    def _pointer(self, task: int, member: str) -> int:
        return int.from_bytes(self.kernel.read_bytes(self.kernel.member(task, "task_struct", member)[0], 8), "little")

    def _lead(self, pid: int, task: int) -> None:
        links = self.kernel.member(task, "task_struct", "pid_links")[0] if task else 0
        self._point(self.kernel.member(pid, "pid", "tasks")[0], links)

    def _slot(self, node: int, slot: int) -> int:
        return self.kernel.member(node, "xa_node", "slots")[0] + 8 * slot

    def _put(self, slot: int, entry: int) -> None:
        self._point(self._slot(self.node, slot), entry)

    def _point(self, at: int, target: int) -> None:
        self.kernel.write_bytes(at, target.to_bytes(8, "little"))


if __name__ == "__main__":
    unittest.main()
