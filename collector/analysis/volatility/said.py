"""What Volatility says in its log while a plugin runs: there it tells what it leaves out, and why it lists nothing."""

import logging
import re
from types import TracebackType
from typing import Self

from warn import Warnings

_KINDS = 20
_LIMIT = 300
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")
# Of the kernel's symbols, which no image can change.
_LACKING = re.compile(
    r"Unsupported (kernel|kthread|Netfilter)|symbol table|does not have performance events"
    r"|Cannot determine which PID hash table|[Uu]nable to (find|get) (the )?system call table"
    r"|Member not present in template|Unable to find sequence operations|Unable to determine the data structure type"
)


class Said(logging.Handler):
    """Messages of level WARNING and above; those that differ in numbers alone are counted."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._first: dict[str, str] = {}
        self._more: dict[str, int] = {}
        self._others = 0

    def __enter__(self) -> Self:
        logging.getLogger("volatility3").addHandler(self)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        logging.getLogger("volatility3").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage()[:_LIMIT].split())
        kind = _NUMBER.sub("#", text)
        if kind in self._first:
            self._more[kind] = self._more.get(kind, 0) + 1
        elif len(self._first) < _KINDS:
            self._first[kind] = text
        else:
            self._others += 1

    @property
    def lacking(self) -> str | None:
        """Why nothing of the kernel can be listed, if that is the reason."""
        return next((text for text in self._first.values() if lacks(text)), None)

    def tell(self, warnings: Warnings) -> None:
        for kind, text in self._first.items():
            more = self._more.get(kind, 0)
            warnings.add(f"Volatility: {text}" + (f" (and {more} more like this)" if more else ""))
        if self._others:
            warnings.add(f"Volatility: {self._others} more messages")


def lacks(text: str) -> bool:
    """True for what Volatility says where a kernel, or its symbols, are without what a plugin needs."""
    return _LACKING.search(text) is not None
