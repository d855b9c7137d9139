"""What was found out about the kernel of one context, so that the next plugin need not find it out again."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_LIMIT = 1024
_FOUND = "_kcorder_found"

_Found = TypeVar("_Found")


def remembered(context: Any, key: Hashable, find: Callable[[], _Found]) -> _Found:
    """What `find` has returned for that key in this context before, or returns now; what it raises is not remembered.

    The names that it asked the symbols for in vain are asked for again, as far as missing.py can tell.
    """
    known: dict[Hashable, Any] = context.__dict__.setdefault(_FOUND, {})
    missing: set[str] = getattr(context, "missing", set())
    if key in known:
        found, lacked = known[key]
        missing |= lacked
        return found
    before = set(missing)
    missing.clear()
    try:
        found = find()
        if len(known) >= _LIMIT:
            known.clear()
        known[key] = (found, frozenset(missing))
    finally:
        missing |= before
    return found
