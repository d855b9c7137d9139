"""Arguments of Volatility's plugins, compared with what each plugin says that it takes."""

import hashlib
import io
import re
from collections.abc import Mapping
from typing import Any

from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from job import Argument
from warn import Warnings

_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}\Z")

Requirement = interfaces.configuration.RequirementInterface


class Unsupported(Exception):
    """The plugin cannot run: why, as a clause for people."""


def check_arguments(
    plugin: type[interfaces.plugins.PluginInterface], given: Mapping[str, Argument], needs: tuple[str, ...]
) -> dict[str, Any]:
    """The values by name, as the plugin takes them. Raises LookupError or ValueError for what it does not take, and
    Unsupported without one that it needs."""
    known = {requirement.name: requirement for requirement in plugin.get_requirements()}
    values = {name: _value(name, known.get(name), value) for name, value in given.items()}
    if needs and not any(name in values for name in needs):
        raise Unsupported(f"it needs the argument {' or '.join(needs)}")
    return values


def _value(name: str, requirement: Requirement | None, value: Argument) -> Any:
    # Those whose names begin so write files, and a URI is one to read.
    if requirement is None or name.startswith("dump") or isinstance(requirement, requirements.URIRequirement):
        raise LookupError(f"the plugin takes no argument {name}")
    read: Any = None
    match requirement:
        case requirements.BooleanRequirement():
            read = value if isinstance(value, bool) else None
        case requirements.IntRequirement():
            read = _integer(value)
        case requirements.StringRequirement():
            read = value if isinstance(value, str) else None
        case requirements.ChoiceRequirement():
            read = value if value in requirement.choices else None
        case requirements.ListRequirement():
            read = _list(requirement, value)
    if read is None:
        raise ValueError(f"the argument {name} is not of the kind that the plugin takes")
    return read


def _integer(value: Any) -> int | None:
    """Addresses are text, since JSON readers round large numbers."""
    if isinstance(value, str) and _ADDRESS.match(value):
        return int(value, 16)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _list(requirement: requirements.ListRequirement, value: Argument) -> list[Any] | None:
    if not isinstance(value, list):
        return None
    if requirement.element_type is int:
        read = [_integer(item) for item in value]
        return None if None in read else read
    return value if all(isinstance(item, str) for item in value) else None


def forget_files(warnings: Warnings) -> type[interfaces.plugins.FileHandlerInterface]:
    """A class of files for a plugin to write. They are not kept; a warning names each with its size and SHA-256."""

    class Forgotten(interfaces.plugins.FileHandlerInterface):
        def __init__(self, filename: str) -> None:
            super().__init__(filename)
            self._size = 0
            self._hash = hashlib.sha256()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self._size += len(data)
            self._hash.update(data)
            return len(data)

        def close(self) -> None:
            if not self.closed:
                digest = self._hash.hexdigest()
                warnings.note(f"{self.preferred_filename} ({self._size} bytes, SHA-256 {digest}) is not kept.")
            io.RawIOBase.close(self)  # that of Volatility's class does nothing

    return Forgotten
