"""The lines of a run: JSON objects on the stream that was stdout, nothing else and nothing after `done` or `fatal`."""

import json
from collections.abc import Iterable
from typing import IO, Any

from table import Plain, Table

BATCH_ROWS = 500
# Bounds the line that a batch of long texts makes: one character is at most six bytes of JSON.
BATCH_CHARACTERS = 256 * 1024


class OutputLost(Exception):
    """The reader of the lines is gone, or their file cannot grow: there is nobody left to tell anything."""


class Lines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputLost(str(error)) from error

    def write_rows(self, plugin: str, table: Table) -> Iterable[int]:
        """Writes the table in batches and gives the number of rows written so far after each."""
        batch: list[list[Plain]] = []
        written = characters = 0
        for row in table.rows:
            batch.append(row)
            characters += sum(len(value) for value in row if isinstance(value, str))
            if len(batch) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
                written += self._write_batch(plugin, table.columns, batch)
                batch, characters = [], 0
                yield written
        if batch:
            yield written + self._write_batch(plugin, table.columns, batch)

    def _write_batch(self, plugin: str, columns: list[str], batch: list[list[Plain]]) -> int:
        self.write({"type": "rows", "plugin": plugin, "columns": columns, "rows": batch})
        return len(batch)
