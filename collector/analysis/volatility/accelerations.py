# Why it is done this way: docs/decisions/036-accelerations.md
"""What Volatility 2.28.2 does again and again for each plugin, done once, and its hot paths made short.

No row changes: test_accelerations.py and rows.test.ts compare each byte with these on and off.
"""

import gc
import sys
from typing import Any

from volatility3.framework import constants

import accelerated_capabilities
import accelerated_descriptors
import accelerated_kallsyms
import accelerated_layers
import accelerated_modules
import accelerated_mounts
import accelerated_objects
import accelerated_paths
import accelerated_references
import accelerated_scans
import accelerated_symbols

_VERSION = "2.28.2"
_ABSENT = object()

_PATCHES: tuple[tuple[Any, str, Any], ...] = (
    *accelerated_capabilities.PATCHES,
    *accelerated_descriptors.PATCHES,
    *accelerated_kallsyms.PATCHES,
    *accelerated_layers.PATCHES,
    *accelerated_modules.PATCHES,
    *accelerated_mounts.PATCHES,
    *accelerated_objects.PATCHES,
    *accelerated_paths.PATCHES,
    *accelerated_references.PATCHES,
    *accelerated_scans.PATCHES,
    *accelerated_symbols.PATCHES,
)
_replaced: list[tuple[Any, str, Any]] = []


def apply() -> None:
    """Leaves another version of Volatility alone: what is replaced here may mean something else in it."""
    # Not to walk hundreds of thousands of live objects for every few hundred new ones.
    gc.set_threshold(20_000, 10, 10)
    # Page tables are read as numbers of this machine.
    if constants.PACKAGE_VERSION != _VERSION or sys.byteorder != "little" or _replaced:
        return
    for owner, name, replacement in _PATCHES:
        _replaced.append((owner, name, owner.__dict__.get(name, _ABSENT)))
        setattr(owner, name, replacement)


def remove() -> None:
    """Undoes `apply`. Objects made before keep working; a context must not be used across it."""
    for owner, name, original in reversed(_replaced):
        if original is _ABSENT:
            delattr(owner, name)
        else:
            setattr(owner, name, original)
    _replaced.clear()
