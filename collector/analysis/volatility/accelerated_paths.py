"""Paths of files that thousands of processes have open: each is walked up once for a plugin."""

from typing import Any

from volatility3.framework import objects

import paths
from paths import address_of

_KNOWN, _LIMIT = "_kcorder_paths", 1 << 14


def forget_paths(context: Any) -> None:
    """Before each plugin, which so is told what was missing for its own paths."""
    context.__dict__.pop(_KNOWN, None)


def _known_path(utilities: Any, *places: Any) -> str:
    if any(place is None for place in places):
        return _walk_up(utilities, *places)
    known: dict[Any, str] = places[0]._context.__dict__.setdefault(_KNOWN, {})
    key = tuple((place.vol.type_name, isinstance(place, objects.Pointer), address_of(place)) for place in places)
    path = known.get(key)
    if path is None:
        path = _walk_up(utilities, *places)
        if len(known) < _LIMIT:
            known[key] = path
    return path


_walk_up = paths.walk_up

PATCHES: tuple[tuple[Any, str, Any], ...] = ((paths, "walk_up", _known_path),)
