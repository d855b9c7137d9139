"""What every plugin gives, Volatility's or ours."""

from collections.abc import Iterator
from dataclasses import dataclass

Plain = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """`rows` is read once; each has as many values as there are columns."""

    columns: list[str]
    rows: Iterator[list[Plain]]
