import io
import itertools
import json
import unittest
import unittest.mock
from collections.abc import Iterator

from lines import BATCH_BYTES, BATCH_ROWS, EARLY_ROWS, Lines
from table import Plain, Table
from warn import Warnings


class WriteRows(unittest.TestCase):
    def _written(self, count: int) -> tuple[list[int], list[list[list[Plain]]]]:
        stream = io.StringIO()
        table = Table(["pid", "comm"], ([number, "\u2028\x1b\udc80"] for number in range(count)))
        totals = list(Lines(stream, early_rows=0).write_rows("p", table, self.fail))
        lines = stream.getvalue().splitlines()
        self.assertTrue(all(line.isascii() for line in lines))
        return totals, [json.loads(line)["rows"] for line in lines]

    def test_no_row_writes_the_columns(self) -> None:
        self.assertEqual(self._written(0), ([0], [[]]))

    def test_rows_go_in_batches_and_none_is_lost(self) -> None:
        for count in (1, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS - 1):
            with self.subTest(count):
                totals, batches = self._written(count)
                self.assertEqual(totals[-1], count)
                self.assertLessEqual(max(len(batch) for batch in batches), BATCH_ROWS)
                self.assertEqual([row[0] for batch in batches for row in batch], list(range(count)))

    def test_the_first_rows_are_written_before_the_next_are_found(self) -> None:
        stream = io.StringIO()
        seen: list[int] = []

        def rows() -> Iterator[list[Plain]]:
            for number in range(2 * EARLY_ROWS):
                seen.append(stream.getvalue().count("\n"))
                yield [number]

        # Less than a second: the others go together.
        totals = list(Lines(stream).write_rows("p", Table(["pid"], rows()), self.fail))
        self.assertEqual(seen, [*range(EARLY_ROWS), *[EARLY_ROWS] * EARLY_ROWS])
        self.assertEqual(totals, [*range(1, EARLY_ROWS + 1), 2 * EARLY_ROWS])

    def test_rows_that_are_long_in_coming_are_written_at_once(self) -> None:
        stream = io.StringIO()
        with unittest.mock.patch("time.monotonic", side_effect=itertools.count(0, 1 / 40)):
            totals = list(Lines(stream).write_rows("p", Table(["pid"], iter([[1]] * 200)), self.fail))
        self.assertEqual(totals, [*range(1, 201)])

    def test_long_texts_make_more_lines_and_not_longer_ones(self) -> None:
        stream = io.StringIO()
        table = Table(["commandLine"], (["\x1b" * (BATCH_BYTES // 20)] for _ in range(10)))
        warnings = Warnings()
        lines = Lines(stream, early_rows=0)
        self.assertEqual(list(lines.write_rows("p", table, warnings.add)), [3, 6, 9, 10])
        self.assertLess(max(len(line) for line in stream.getvalue().splitlines()), BATCH_BYTES + 200)
        self.assertEqual(warnings.sentences(), [])

    def test_a_row_that_fits_into_no_line_is_cut_and_says_so(self) -> None:
        stream = io.StringIO()
        table = Table(["pid", "commandLine", "exe"], iter([[1, "\x1b" * BATCH_BYTES, "\U0001f600" * BATCH_BYTES]]))
        warnings = Warnings()
        self.assertEqual(list(Lines(stream).write_rows("p", table, warnings.add)), [1])
        [line] = stream.getvalue().splitlines()
        self.assertLess(len(line), BATCH_BYTES + 200)
        [[pid, command_line, executable]] = json.loads(line)["rows"]
        self.assertEqual((pid, command_line.strip("\x1b"), executable.strip("\U0001f600")), (1, "", ""))
        self.assertEqual(len(command_line), len(executable))
        self.assertIn("cut", warnings.sentences()[0])


class Sentences(unittest.TestCase):
    def test_processes_are_counted_once_and_the_first_few_named(self) -> None:
        warnings = Warnings()
        warnings.add("The list is broken.")
        warnings.add("The list is broken.")
        for pid in (9, 3, 3, 12, 7, 5, 40):
            warnings.add_process("command line is not readable", pid)
        warnings.add_process("cgroup is not readable", 1)
        self.assertEqual(
            warnings.sentences(),
            [
                "The list is broken.",
                "command line is not readable: 6 processes (pid 3, 5, 7, 9, 12, …)",
                "cgroup is not readable: 1 process (pid 1)",
            ],
        )
