"""A worker's lines, and what it writes past them."""

import os
import signal
from collections.abc import Iterable
from typing import Any

from job import Job
from lines import Lines

_SLOT = 0


def kill(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))
    signal.pause()


def raw(text: str | bytes) -> None:
    rest = memoryview(text if isinstance(text, bytes) else text.encode())
    while rest:
        rest = rest[os.write(_SLOT, rest) :]


class Speaker:
    """Of one worker."""

    def __init__(self, job: Job, lines: Lines) -> None:
        self.job = job
        self.lines = lines

    def rows(self, plugin: str, rows: list[list[Any]], columns: Iterable[str] = ("value",)) -> None:
        self.lines.write({"type": "rows", "plugin": plugin, "columns": list(columns), "rows": rows})

    def end(self, plugin: str, state: str, count: int, **more: Any) -> None:
        told = {"rows": count, "seconds": 0.25, "warnings": ["one page was not there"], **more}
        self.lines.write({"type": "plugin", "plugin": plugin, "state": state, **told})

    def start(self, plugin: str) -> None:
        self.lines.write({"type": "plugin", "plugin": plugin, "state": "started"})
