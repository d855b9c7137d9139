import unittest
import unittest.mock

import pid_table
from testing.pid_case import POISON, PidCase

_TORN = "The task list is broken in this image (smear or tampering): {}processes may be missing."
_PLUGINS = ("processes", "linux.pslist.PsList")


class PidTable(PidCase):
    def test_leads_to_what_a_torn_list_does_not(self) -> None:
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_says_nothing_while_the_list_is_whole(self) -> None:
        self.mend_list()
        self._expect([1], None)
        self.lead(self.pid, 0)
        self._expect([1], None)

    def test_leads_to_what_a_list_that_is_closed_leads_over(self) -> None:
        first = self.links(self.kernel.symbols["init_task"]["address"])
        self.kernel.link(first)
        self._expect([1], "The task list leads over 1 processes that the table of PIDs has (smear or tampering).")

    def test_has_no_threads_and_no_tasks_that_are_no_longer_those_of_their_pid(self) -> None:
        held = {"signal": self.pointer(self.task, "signal")}
        thread = self.kernel.make("task_struct", pid=7, tgid=1, **held)
        stale = self.kernel.make("task_struct", pid=8, tgid=8, thread_pid=self.pid, **held)
        for number, task in enumerate((thread, stale, 0xFFFFFFFF90000000, 0), 7):
            pid = self.kernel.make("pid")
            if task == thread:
                self.kernel.put(thread, "task_struct", "thread_pid", pid)
            self.lead(pid, task)
            self.put(number, pid)
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_ends_where_nodes_lead_to_each_other_or_nowhere(self) -> None:
        other = self.kernel.make("xa_node")
        for slot in range(2, 60):
            self.put(slot, other + 2)
            self.point(self.slot(other, slot), self.node + 2)
        for slot, entry in enumerate((0xFFFFFFFF90000002, 0xFFFFFFFF90000000, 3, 0x102, 2), 59):
            self.put(slot, entry)
        self._expect([1], _TORN.format("1 were found by the table of PIDs instead, "))

    def test_has_bounds_on_an_image_that_has_more_than_a_kernel_can(self) -> None:
        self.kernel.types["xa_node"]["fields"]["slots"]["type"]["count"] = 1 << 30
        other = self.add_process(7)
        for slot, alias in enumerate((other, other, other & (1 << 48) - 1), 61):
            self.put(slot, alias)
        self._expect([1, 7], _TORN.format("2 were found by the table of PIDs instead, "))
        for bound, at_least, found in (("_PID_LIMIT", 2, 2), ("_PID_LIMIT", 1, 1), ("_LEADER_LIMIT", 1, 1)):
            with unittest.mock.patch.object(pid_table, bound, at_least):
                self._expect([1, 7][-found:], _TORN.format(f"{found} were found by the table of PIDs instead, "))

    def test_leads_to_a_process_although_a_forged_task_has_its_pid(self) -> None:
        self.put(9, self.add_process(9))
        forged = self.copy_task(9, self.pid)
        links = [self.kernel.member(one, "task_struct", "tasks")[0] for one in (self.init, forged)]
        self.point(links[0], links[1])
        self.point(links[1], POISON)
        self._expect([1, 9, 9], _TORN.format("2 were found by the table of PIDs instead, "))

    def test_leads_to_what_is_between_two_tasks_that_are_not_in_the_image(self) -> None:
        outside = [self.kernel.symbols["_stext"]["address"] + at for at in (0x10, 0x20)]
        tasks = (self.kernel.member(one, "task_struct", "tasks")[0] for one in (self.init, self.task))
        self.kernel.link(*(node for pair in zip(tasks, outside, strict=True) for node in pair))
        ends = self.analyse(*_PLUGINS)
        self.assertEqual({plugin: end["rows"] for plugin, end in ends.items()}, dict.fromkeys(_PLUGINS, 1))

    def test_that_has_other_types_costs_nothing_that_the_list_has(self) -> None:
        self.point(*(self.kernel.member(one, "task_struct", "tasks")[0] for one in (self.init, self.task)))
        self.point(self.kernel.member(self.task, "task_struct", "tasks")[0], POISON)
        for kind, member in (("idr", "idr_rt"), ("xa_node", "slots")):
            self.kernel.types[kind]["fields"][member]["type"] = {"kind": "struct", "name": "nowhere"}
            self._expect([1], _TORN.format(""))

    def test_of_another_kernel_is_left_alone(self) -> None:
        self.kernel.without("xa_node")
        ends = self.analyse(*_PLUGINS)
        self.assertEqual({end["state"] for end in ends.values()}, {"failed"})

    def test_is_not_needed_for_what_a_task_leads_over_that_was_freed_and_made_anew(self) -> None:
        links = [self.make_task_like(self.task, pid) for pid in (2, 3)]
        first, last = (self.links(self.kernel.symbols[name]["address"]) for name in ("init_task", "a_task"))
        self.kernel.link(first, *links, last)
        self.point(first, last)
        self._expect([1, 2, 3], None)

    def test_memory_of_another_thing_is_no_process(self) -> None:
        self.mend_list()
        links = self.make_task_like(self.task, 1)
        self.point(self.links(self.task), links)
        for sentence, pid, tgid in (("negative", -1014580284, -1014580284), ("zeros", 0, 0), ("no leader", 7, 8)):
            with self.subTest(sentence):
                for member, value in (("pid", pid), ("tgid", tgid)):
                    at = self.kernel.member(links - self.links(0), "task_struct", member)[0]
                    self.kernel.write_bytes(at, value.to_bytes(4, "little", signed=True))
                end = self.analyse(*_PLUGINS)["processes"]
                self.assertEqual([row["pid"] for row in end["table"]], [1])
                told = "Links of the task list that lead to no process: 1."
                self.assertTrue(any(warning.startswith(told) for warning in end["warnings"]))

    def _expect(self, pids: list[int], warning: str | None) -> None:
        for plugin, end in self.analyse(*_PLUGINS).items():
            self.assertEqual(end["state"], "rows", plugin)
            self.assertEqual(end["rows"], len(pids), plugin)
            told = [text for text in end.get("warnings", []) if text.startswith("The task list")]
            self.assertEqual(told, [warning] if warning else [], plugin)


if __name__ == "__main__":
    unittest.main()
