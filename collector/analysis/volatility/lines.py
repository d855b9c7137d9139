"""The lines of a run: JSON objects on the stream that was stdout, nothing else and nothing after `done` or `fatal`."""

import json
from collections.abc import Iterable
from typing import IO, Any

from table import Plain, Table

BATCH_ROWS = 500


class Lines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, line: dict[str, Any]) -> None:
        self._stream.write(json.dumps(line, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n")
        self._stream.flush()

    def write_rows(self, plugin: str, table: Table) -> Iterable[int]:
        """Writes the table in batches and gives the number of rows written so far after each."""
        batch: list[list[Plain]] = []
        written = 0
        for row in table.rows:
            batch.append(row)
            if len(batch) == BATCH_ROWS:
                written += self._write_batch(plugin, table.columns, batch)
                batch = []
                yield written
        if batch:
            yield written + self._write_batch(plugin, table.columns, batch)

    def _write_batch(self, plugin: str, columns: list[str], batch: list[list[Plain]]) -> int:
        self.write({"type": "rows", "plugin": plugin, "columns": columns, "rows": batch})
        return len(batch)
