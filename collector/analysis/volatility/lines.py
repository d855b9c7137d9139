"""The lines of a run: JSON objects on the stream that was stdout, nothing else and nothing after `done` or `fatal`."""

import json
import time
from collections.abc import Callable, Iterable
from typing import IO, Any

from table import Plain, Table

BATCH_ROWS = 500
# Half of the longest line that the reader takes; the other half is for what is around the rows.
BATCH_BYTES = 1 << 20
# So many rows a second are written as they are found, for whoever watches; a batch costs a tenth for each.
EARLY_ROWS = 50
_ESCAPED_BYTES = 6

encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


class OutputLost(Exception):
    """The reader of the lines is gone, or their file cannot grow: there is nobody left to tell anything."""


class Lines:
    def __init__(self, stream: IO[str], early_rows: int = EARLY_ROWS) -> None:
        self._stream = stream
        self._early_rows = early_rows
        self._second, self._early = 0.0, 0

    def write(self, line: dict[str, Any]) -> None:
        self._write(encode(line))

    def write_rows(self, plugin: str, table: Table, warn: Callable[[str], None]) -> Iterable[int]:
        """Writes the table in batches, and a few rows as they are found, and gives the number of rows written so far after
        each. Texts that are too long for
        a line are cut, with a warning."""
        head = encode({"type": "rows", "plugin": plugin, "columns": table.columns})[:-1]
        batch: list[str] = []
        written = size = 0
        for row in table.rows:
            text = encode(row)
            if len(text) > BATCH_BYTES:
                text = encode(_cut(row))
                warn("Texts that are longer than a row may be are cut.")
            if batch and (len(batch) == BATCH_ROWS or size + len(text) > BATCH_BYTES):
                written += self._write_batch(head, batch)
                batch, size = [], 0
                yield written
            batch.append(text)
            size += len(text) + 1
            if self._is_early():
                written += self._write_batch(head, batch)
                batch, size = [], 0
                yield written
        # Of a table without rows the columns alone, by which it is asked.
        if batch or not written:
            yield written + self._write_batch(head, batch)

    def _is_early(self) -> bool:
        now = time.monotonic()
        if now - self._second >= 1:
            self._second, self._early = now, 0
        self._early += 1
        return self._early <= self._early_rows

    def _write_batch(self, head: str, batch: list[str]) -> int:
        self._write(f'{head},"rows":[{",".join(batch)}]}}')
        return len(batch)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputLost(str(error)) from error


def _cut(row: list[Plain]) -> list[Plain]:
    """The row with an equal share of a batch for each of its texts."""
    share = BATCH_BYTES // (_ESCAPED_BYTES * 2 * len(row))
    return [value[:share] if isinstance(value, str) else value for value in row]
