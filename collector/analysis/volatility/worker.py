"""A worker: it is forked from a parent that has read no image, and confined before it reads the first byte of one."""

import dataclasses
import json
import os
from collections.abc import Iterator

from confine import Confinement, confine_to_python, confine_worker, end_with, keep_descriptors
from fatal import Fatal
from job import Image, Plugin, parse_plugin
from lines import Lines
from slots import Slot

_STDIN, _STDERR = 0, 2
_READ_BYTES = 1 << 16


def enter(slot: Slot, image: Image, parent: int) -> tuple[Lines, Image]:
    """Leaves this process the slot's sockets, stderr and the image, of all that its parent has open."""
    end_with(parent)
    os.dup2(slot.lines, _STDIN)
    if image.kind == "ranges":
        image = dataclasses.replace(image, descriptor=slot.ranges)
    keep_descriptors((_STDIN, 1, _STDERR, image.descriptor, image.copy))
    return Lines(os.fdopen(_STDIN, "w", encoding="ascii", newline="\n", closefd=False)), image


def confine_and_tell(reached: Confinement, lines: Lines, must_be_confined: bool) -> None:
    """Raises Fatal(unconfined)."""
    tell(confine_worker(confine_to_python(reached)), lines, must_be_confined)


def tell(reached: Confinement, lines: Lines, must_be_confined: bool) -> None:
    """Raises Fatal(unconfined)."""
    lines.write(
        {
            "type": "confined",
            "level": reached.level,
            "landlockAbi": reached.landlock_abi,
            "seccomp": reached.seccomp,
        }
    )
    if must_be_confined and reached.level != "full":
        parts = {"Landlock": reached.landlock_abi, "seccomp": reached.seccomp}
        lacking = [name for name, here in parts.items() if not here]
        raise Fatal("unconfined", f"This machine confines an analysis without {' and '.join(lacking)}, not in full.")


def told_plugins(turn: int) -> Iterator[Plugin]:
    """What the collector sends, one after the other, until it closes the slot."""
    held = b""
    while data := os.read(_STDIN, _READ_BYTES):
        *whole, held = (held + data).split(b"\n")
        for line in whole:
            plugin = _told(line, turn)
            if plugin is not None:
                yield plugin


def _told(line: bytes, turn: int) -> Plugin | None:
    """None for what was sent to the slot's last worker, which may have read the beginning of it."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("turn") != turn:
        return None
    return parse_plugin(told.get("plugin"))
