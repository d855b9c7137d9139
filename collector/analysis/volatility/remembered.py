"""What was found out about the kernel of one context, so that the next plugin need not find it out again."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_LIMIT = 1024
_FOUND = "_kcorder_found"

_Found = TypeVar("_Found")


def remembered(context: Any, key: Hashable, find: Callable[[], _Found]) -> _Found:
    """What `find` has returned for that key in this context before, or returns now; what it raises is not remembered.

    What missing.py and lists.py noted of it meanwhile is noted again.
    """
    known: dict[Hashable, Any] = context.__dict__.setdefault(_FOUND, {})
    notes: list[set[str]] = [getattr(context, name, set()) for name in ("missing", "broken")]
    if key in known:
        found, noted = known[key]
        for note, again in zip(notes, noted, strict=True):
            note |= again
        return found
    before = [set(note) for note in notes]
    for note in notes:
        note.clear()
    try:
        found = find()
        if len(known) >= _LIMIT:
            known.clear()
        known[key] = (found, [frozenset(note) for note in notes])
    finally:
        for note, earlier in zip(notes, before, strict=True):
            note |= earlier
    return found
