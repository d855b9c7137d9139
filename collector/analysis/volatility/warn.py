"""Values that a plugin could not read: told in its end line with the reason, so that no gap looks like an absence."""

import re
from collections.abc import Callable
from typing import TypeVar

from volatility3.framework import exceptions

_NAMED = 5
_NO_MEMBER = re.compile(r"has no attribute: (?:\w+!)?([\w.]+)\Z")

_Value = TypeVar("_Value")


class Warnings:
    """Collects sentences; those about single processes or modules are counted and name the first few."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        # Sets: one process can have a million files that cannot be read.
        self._pids: dict[str, set[int]] = {}
        self._modules: dict[str, set[str]] = {}
        self._notes: list[str] = []

    def add(self, sentence: str) -> None:
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    def note(self, sentence: str) -> None:
        """Of nothing that could not be read."""
        self._notes.append(sentence)

    def add_process(self, what: str, pid: int) -> None:
        """`what` is a clause such as "command line is not in the image"."""
        self._pids.setdefault(what, set()).add(pid)

    def add_module(self, what: str, name: str) -> None:
        self._modules.setdefault(what, set()).add(name)

    def add_missing(self, names: set[str]) -> None:
        """Names that the kernel's symbols were asked for in vain, but for those that a warning names already."""
        told = {word.strip(".:,") for sentence in self._sentences for word in sentence.split()}
        for name in sorted(names - told)[:_NAMED]:
            self.add(f"The kernel's symbols have no {name}: what is read by it is missing.")

    def read(self, what: str, pid: int, read: Callable[[], _Value]) -> _Value | None:
        """The value that `read` returns; None, with a warning of why, if it raises. `what` is a noun: "start time"."""
        return self._read(what, lambda clause: self.add_process(clause, pid), read)

    def read_module(self, what: str, name: str, read: Callable[[], _Value]) -> _Value | None:
        return self._read(what, lambda clause: self.add_module(clause, name), read)

    def _read(self, what: str, tell: Callable[[str], None], read: Callable[[], _Value]) -> _Value | None:
        try:
            return read()
        except MemoryError:
            raise
        except Exception as error:  # smeared or hostile memory makes anything of a structure; other values go on
            missing = missing_name(error)
            if missing is not None:
                self.add(f"{what} is unknown: the kernel's symbols have no {missing}")
            elif isinstance(error, exceptions.InvalidAddressException):
                tell(f"{what} is not readable in the image")
            else:
                tell(f"{what} has an impossible value in the image")
            return None

    def sentences(self) -> list[str]:
        return self.unread() + self._notes

    def unread(self) -> list[str]:
        processes = [_summary(what, pids, "process", "processes", "pid ") for what, pids in self._pids.items()]
        modules = [_summary(what, names, "module", "modules", "") for what, names in self._modules.items()]
        return self._sentences + processes + modules


def missing_name(error: BaseException) -> str | None:
    """The symbol, type or member that the kernel's symbols lack, if that is why something failed."""
    if isinstance(error, exceptions.SymbolError):
        return error.symbol_name
    found = _NO_MEMBER.search(str(error)) if isinstance(error, AttributeError) else None
    return found[1] if found else None


def _summary(what: str, subjects: set[int] | set[str], one: str, many: str, label: str) -> str:
    distinct = sorted(subjects)
    named = ", ".join(str(subject) for subject in distinct[:_NAMED])
    more = ", …" if len(distinct) > _NAMED else ""
    return f"{what}: {len(distinct)} {one if len(distinct) == 1 else many} ({label}{named}{more})"
