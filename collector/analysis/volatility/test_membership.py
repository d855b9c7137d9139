import unittest
import unittest.mock

import membership
from testing.pid_case import POISON, PidCase

_BOTH = {"inTaskList": True, "inPidTable": True, "hidden": False}
_OFF_LIST = {"inTaskList": False, "inPidTable": True, "hidden": False}
_OFF_TABLE = {"inTaskList": True, "inPidTable": False, "hidden": False}


class Membership(PidCase):
    """Three processes, 1 to 3, whose places in the image are in the order in which a test makes them."""

    def setUp(self) -> None:
        super().setUp()
        at_once = unittest.mock.patch.object(membership, "_AT_ONCE_BYTES", 0)
        at_once.start()
        self.addCleanup(at_once.stop)

    def test_of_processes_that_both_lists_have(self) -> None:
        self._add(2, 3)
        self._link(1, 2, 3)
        self._expect({1: _BOTH, 2: _BOTH, 3: _BOTH})

    def test_off_the_list_of_tasks_with_poisoned_or_own_links_is_hidden_while_it_lives(self) -> None:
        self._add(2, 3)
        self._link(1, 3)
        links = self.links(self.tasks[2])
        ways = {"list_del": (POISON, POISON + 0x22), "list_del_init": (links, links)}
        ways["list_del_rcu"] = (self.links(self.tasks[3]), POISON + 0x22)
        for sentence, targets in ways.items():
            with self.subTest(sentence):
                self._set_links(2, *targets)
                self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST | {"hidden": True}})
        # One of the pages in which that stands was read before the process ended, the other one after.
        with unittest.mock.patch.object(membership, "_PAGE_BYTES", 8):
            self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST})
        self.kernel.put(self.tasks[2], "task_struct", "exit_state", 16)
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST})

    def test_there_before_and_after_it_is_gone_is_hidden(self) -> None:
        self._add(2, 3)
        self._link_around(2, 1, 3)
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST | {"hidden": True}})

    def test_there_before_it_is_gone_may_have_ended(self) -> None:
        self._add(2, 3, 4)
        self._link_around(2, 3, 4)
        self._expect({1: _BOTH, 3: _BOTH, 4: _BOTH, 2: _OFF_LIST})

    def test_gone_before_it_is_there_may_have_begun(self) -> None:
        self._add(3)
        self._move_table()
        self._add(2)
        self._link_around(2, 1, 3)
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST})

    def test_gone_before_it_is_there_is_hidden_if_its_parent_had_it_before(self) -> None:
        sibling = self.kernel.make("list_head")
        self._add(3)
        self._move_table()
        self._add(2)
        self._link_around(2, 1, 3)
        self.kernel.link(sibling, self.kernel.member(self.tasks[2], "task_struct", "sibling")[0])
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST | {"hidden": True}})

    def test_led_over_by_neighbors_that_are_others_by_now_proves_nothing(self) -> None:
        self._add(2, 3)
        self._link_around(2, 1, 3)
        self.point(self.links(self.tasks[3]) + 8, self.links(self.init))
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_LIST})

    def test_off_the_table_may_have_begun(self) -> None:
        self._add(2, 3, 4)
        self._link(1, 3, 2, 4)
        self.put(2, 0)
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_TABLE, 4: _BOTH})

    def test_off_the_table_between_what_has_it_is_hidden(self) -> None:
        self._add(2)
        self._move_table()
        self._add(3)
        self._link(1, 2, 3)
        self.put(2, 0)
        self._expect({1: _BOTH, 2: _OFF_TABLE | {"hidden": True}, 3: _BOTH})

    def test_of_a_pid_that_another_task_has_and_of_a_table_that_is_another_thing(self) -> None:
        self._add(2, 3, 4)
        self._link(1, 3, 2, 4)
        self.lead(self.pointer(self.tasks[2], "thread_pid"), self.tasks[3])
        self._expect({1: _BOTH, 3: _BOTH, 2: _OFF_TABLE, 4: _BOTH})
        self.kernel.write_bytes(self.node, b"\x05")
        unknown = {"inTaskList": True, "inPidTable": None, "hidden": False}
        self._expect(dict.fromkeys((1, 3, 2, 4), unknown))

    def test_of_a_kernel_without_a_member_costs_no_row(self) -> None:
        self._add(2, 3, 4)
        self._link(1, 3, 2, 4)
        self.put(2, 0)
        del self.kernel.types["task_struct"]["fields"]["exit_state"]
        rows = self.analyse("processes")["processes"]["table"]
        unknown = [(pid, None, False) for pid in (1, 3, 2, 4)]
        self.assertEqual([(row["pid"], row["inPidTable"], row["hidden"]) for row in rows], unknown)

    def _add(self, *pids: int) -> None:
        for pid in pids:
            self.put(pid, self.add_process(pid))

    def _link(self, *pids: int) -> None:
        self.kernel.link(*(self.links(task) for task in (self.init, *(self.tasks[pid] for pid in pids))))

    def _link_around(self, pid: int, before: int, after: int) -> None:
        """What list_del() does to the neighbors, and not to the one that is taken off."""
        others = [number for number in self.tasks if number not in (pid, before, after)]
        self._link(*others, before, after)
        self._set_links(pid, self.links(self.tasks[after]), self.links(self.tasks[before]))

    def _set_links(self, pid: int, after: int, before: int) -> None:
        for at, target in zip((0, 8), (after, before), strict=True):
            self.point(self.links(self.tasks[pid]) + at, target)

    def _move_table(self) -> None:
        """Behind all that there is."""
        content = self.kernel.read_bytes(self.node, self.kernel.size("xa_node"))
        self.node = self.kernel.make("xa_node")
        self.kernel.write_bytes(self.node, content)
        self.point(self.head, self.node + 2)

    def _expect(self, expected: dict[int, dict[str, bool | None]]) -> None:
        rows = self.analyse("processes")["processes"]["table"]
        self.assertEqual({row["pid"]: {name: row[name] for name in _BOTH} for row in rows}, expected)


if __name__ == "__main__":
    unittest.main()
