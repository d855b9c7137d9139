import tempfile
import unittest

from testing.node import make_node

_ARGUMENTS = b"server\0-v\0"
_ENVIRONMENT = b"TOKEN=secret\0HOME=/\0"


class Titles(unittest.TestCase):
    def _command_line(self, memory: bytes, gap_bytes: int = 0, environment_bytes: int = len(_ENVIRONMENT)) -> str:
        """Of a process that has changed the memory where its arguments were, and behind them its environment."""
        kernel = make_node()
        start = kernel.bytes(memory + b"\0" * 64)
        end = start + len(_ARGUMENTS)
        behind = end + gap_bytes
        places = {"arg_start": start, "arg_end": end, "env_start": behind, "env_end": behind + environment_bytes}
        # The kernel's page tables serve as the process's.
        mm = kernel.make("mm_struct", pgd=kernel.symbols["init_top_pgt"]["address"], **places)
        kernel.put(kernel.symbols["a_task"]["address"], "task_struct", "mm", mm)
        with tempfile.TemporaryDirectory() as folder:
            (row,) = kernel.analyse(folder, "processes")["processes"]["table"]
        return row["commandLine"]

    def test_arguments_that_nobody_changed(self) -> None:
        self.assertEqual(self._command_line(_ARGUMENTS + _ENVIRONMENT), "server -v")

    def test_a_title_that_goes_on_where_the_environment_was(self) -> None:
        self.assertEqual(self._command_line(b"server: master process -v\0cret\0HOME=/\0"), "server: master process -v")

    def test_a_title_ends_with_the_arguments_where_no_environment_follows(self) -> None:
        title = b"server: by" + _ENVIRONMENT
        self.assertEqual(self._command_line(title, gap_bytes=8), "server: by")
        self.assertEqual(self._command_line(title, environment_bytes=-1), "server: by")

    def test_a_title_ends_with_the_environment(self) -> None:
        room = len(_ARGUMENTS + _ENVIRONMENT)
        self.assertEqual(self._command_line(b"x" * (room + 9)), "x" * room)

    def test_a_title_without_a_letter_is_empty(self) -> None:
        self.assertEqual(self._command_line(b"\0erver\0-vvTOKEN"), "")
