"""How a plugin has ended: rows, empty, failed or unsupported, and why."""

import re
from collections.abc import Set
from typing import Any

from arguments import Unsupported
from job import Plugin
from missing import TRIED_IN_VAIN
from said import Said, lacks
from warn import Warnings, missing_name

_REASON_LIMIT = 500
_NEXT_SENTENCE = re.compile(r"\.\s|\.(?=This )|\.\Z")


def end_with_error(error: BaseException, rows: int) -> dict[str, Any]:
    """State and reason. A plugin that had rows before was supported so far, and the rest of them is lost."""
    if isinstance(error, MemoryError):
        return {"state": "failed", "reason": "out_of_memory"}
    missing = missing_name(error)
    why = f"the kernel's symbols have no {missing}" if missing else " ".join(str(error).split())
    if rows == 0 and (missing or isinstance(error, Unsupported) or lacks(why)):
        return {"state": "unsupported", "reason": _first_sentence(why)}
    return {"state": "failed", "reason": (why if missing else f"{type(error).__name__}: {why}")[:_REASON_LIMIT]}


def end_with_rows(rows: int, plugin: Plugin, said: Said, missing: Set[str], warnings: Warnings) -> dict[str, Any]:
    """State and, unless that is rows, the reason. `missing` are names that the symbols were asked for in vain.

    `empty` is a statement about the node, so it is made only when everything was looked at.
    """
    said.tell(warnings)
    unread = next(iter(warnings.unread()), None)
    warnings.add_missing(missing - TRIED_IN_VAIN)
    if rows > 0:
        return {"state": "rows"}
    if said.lacking is not None:
        return {"state": "unsupported", "reason": _first_sentence(said.lacking)}
    why = next(iter(warnings.unread()), None)
    if plugin.never_empty:
        what = why or "its memory is not readable in this image"
        return {"state": "failed", "reason": f"nothing found, which cannot be true of a running node: {what}"}
    if unread is not None:
        return {"state": "failed", "reason": f"nothing found, but not everything was readable: {unread}"}
    if why is not None:
        return {"state": "unsupported", "reason": f"nothing found, but not everything was looked at: {why}"}
    return {"state": "empty"}


def _first_sentence(text: str) -> str:
    """Volatility goes on with what its users should do about their symbols."""
    return _NEXT_SENTENCE.split(text)[0][:_REASON_LIMIT]
