import logging
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import analyse
from table import Plain, Table
from testing.mini_kernel import MiniKernel
from testing.node import make_node

_log = logging.getLogger("volatility3.a_plugin")


def _end(rows: Any, kernel: MiniKernel | None = None, **flags: Any) -> dict[str, Any]:
    """The end of a plugin with these rows: a function, or values."""

    def open_table(*_: Any) -> Table:
        return Table(["value"], rows() if callable(rows) else iter(rows))

    with tempfile.TemporaryDirectory() as folder, patch.dict(analyse._OURS, {"a": open_table}):
        with patch("testing.mini_kernel.told", lambda name: {"name": name, **flags}):
            return (kernel or make_node()).analyse(folder, "a")["a"]


class Ending(unittest.TestCase):
    def setUp(self) -> None:
        # Nothing of it on the terminal of the tests.
        quiet = patch("logging.lastResort", None)
        quiet.start()
        self.addCleanup(quiet.stop)

    def test_what_volatility_says_in_its_log_is_a_warning(self) -> None:
        def rows() -> Iterator[list[Plain]]:
            for address in range(3):
                _log.warning("Unable to read %#x", address)
            _log.warning("something else")
            _log.info("nothing of note")
            yield ["one"]

        end = _end(rows)
        self.assertEqual(end["state"], "rows")
        self.assertEqual(
            end["warnings"], ["Volatility: Unable to read 0x0 (and 2 more like this)", "Volatility: something else"]
        )

    def test_nothing_was_found_and_something_was_said(self) -> None:
        failed = "nothing found, but not everything was readable: Volatility: "
        cases = {
            "The head of the list is paged out.": ("failed", failed + "The head of the list is paged out."),
            "Unsupported kernel ring buffer. File a bug.": ("unsupported", "Unsupported kernel ring buffer"),
            "The symbol table has no X.This means much.": ("unsupported", "The symbol table has no X"),
        }
        for message, ending in cases.items():

            def rows(message: str = message) -> Iterator[list[Plain]]:
                _log.error(message)
                yield from ()

            with self.subTest(message):
                end = _end(rows)
                self.assertEqual((end["state"], end["reason"]), ending)

    def test_a_broken_log_is_bounded(self) -> None:
        def rows() -> Iterator[list[Plain]]:
            for letter in range(100):
                _log.warning("message %s", chr(0x4E00 + letter) * 1_000)
            yield ["one"]

        warnings = _end(rows)["warnings"]
        self.assertEqual((len(warnings), warnings[-1]), (21, "Volatility: 80 more messages"))
        self.assertLess(max(map(len, warnings)), 400)

    def test_an_error_that_names_a_missing_symbol(self) -> None:
        kernel = make_node().without("modules")

        def fail(rows: int) -> Any:
            def table(opened: Any, *_: Any) -> Table:
                def values() -> Iterator[list[Plain]]:
                    for index in range(rows):
                        yield [index]
                    opened.module.object_from_symbol("modules")

                return Table(["value"], values())

            return table

        for sentence, name, rows, state in (
            ("before the first row", "a", 0, "unsupported"),
            ("after rows", "a", 1, "failed"),
            ("of what every analysis needs", "sockets", 0, "failed"),
        ):
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                with patch.dict(analyse._OURS, {name: fail(rows)}):
                    end = kernel.analyse(folder, name)[name]
                self.assertEqual((end["state"], end["reason"]), (state, "the kernel's symbols have no modules"))

    def test_an_error_of_python_is_no_word_of_the_kernel(self) -> None:
        def rows() -> Iterator[list[Plain]]:
            yield [None + 1]  # type: ignore[operator]

        end = _end(rows)
        self.assertEqual((end["state"], end["reason"][:10]), ("failed", "TypeError:"))

    def test_an_error_of_several_lines_is_one(self) -> None:
        def rows() -> Iterator[list[Plain]]:
            yield ["one"]
            raise ValueError("invalid value 9\n    given 1001\n  allowed 0001")

        self.assertEqual(_end(rows)["reason"], "ValueError: invalid value 9 given 1001 allowed 0001")

    def test_an_argument_that_was_not_given(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            name = "linux.vmaregexscan.VmaRegExScan"
            with patch("testing.mini_kernel.told", lambda name: {"name": name, "needs": ["pattern"]}):
                end = make_node().analyse(folder, name)[name]
        self.assertEqual((end["state"], end["reason"]), ("unsupported", "it needs the argument pattern"))


if __name__ == "__main__":
    unittest.main()
