"""Two look-ups of Volatility 2.28.2 that every attribute access goes through, made cheaper with the same outcome;
and a garbage collector that does not walk hundreds of thousands of live objects for every few hundred new ones."""

import dataclasses
import gc
from typing import Any

from volatility3.framework import constants
from volatility3.framework.interfaces import objects

_VERSION = "2.28.2"


def apply() -> None:
    """Leaves another version of Volatility alone: its look-ups may mean something else."""
    gc.set_threshold(20_000, 10, 10)
    if constants.PACKAGE_VERSION != _VERSION:
        return
    objects.ReadOnlyMapping.__getattr__ = _read_attribute
    objects.ObjectInformation.__contains__ = _is_field


def _read_attribute(self: objects.ReadOnlyMapping, attribute: str) -> Any:
    # Stock asks "in" and then reads: two walks over a chain of four mappings where one tells both.
    if attribute == "_dict":
        return object.__getattribute__(self, attribute)
    try:
        return self._dict[attribute]
    except KeyError:
        raise AttributeError(f"Object has no attribute: {self.__class__.__name__}.{attribute}") from None


_FIELDS = frozenset(field.name for field in dataclasses.fields(objects.ObjectInformation))


def _is_field(_self: objects.ObjectInformation, key: object) -> bool:
    # Stock builds the list of field names anew for each question.
    return key in _FIELDS
