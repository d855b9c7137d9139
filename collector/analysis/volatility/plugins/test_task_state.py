import unittest

from plugins.task_state import task_state


class TaskState(unittest.TestCase):
    def test_each_state(self) -> None:
        cases = {
            "on a processor or waiting for one": ((0, 0, 1), "running"),
            "waiting, can be woken by a signal": ((1, 0, 1), "sleeping"),
            "waiting for a device": ((2, 0, 1), "disk sleep"),
            "a kernel thread without work": ((0x402, 0, 1), "idle"),
            "stopped by a signal": ((4, 0, 1), "stopped"),
            "stopped and wakeable only by a fatal signal": ((0x104, 0, 1), "stopped"),
            "held by a debugger": ((8, 0, 1), "tracing stop"),
            "parked": ((0x40, 0, 1), "parked"),
            "exited, not yet waited for": ((0x80, 0x20, 0), "zombie"),
            "exited and waited for": ((0x80, 0x10, 0), "dead"),
            "first thread exited, others live": ((0x80, 0x20, 2), "leader exited"),
            "just about to leave": ((0x80, 0, 1), "dead"),
        }
        for sentence, (arguments, expected) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(task_state(*arguments), expected)
