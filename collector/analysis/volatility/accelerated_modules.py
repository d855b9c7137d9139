"""Kernel modules as Volatility 2.28.2 finds them: in its lists, by a scan, and by the addresses of their symbols.

Ten plugins ask for all of it before they begin, which takes longer than what they do then.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.layers import intel
from volatility3.framework.symbols.linux import extensions
from volatility3.framework.symbols.linux.utilities.modules import Modules

from remembered import remembered

_PAGE_BYTES, _POINTER_BYTES = 4096, 8
# Of all modules of a context together.
_NAMES_LIMIT = 1 << 18
_NAMES = "_kcorder_names"


def _run_scanners(
    kind: Any, context: Any, kernel_module_name: str, caller_wanted_gatherers: Any, flatten: bool = True
) -> Any:
    def run(gatherers: Any, flat: bool) -> Any:
        return _stock_scanners.__func__(kind, context, kernel_module_name, gatherers, flat)

    wanted = caller_wanted_gatherers
    if not (isinstance(wanted, list) and wanted and len({gatherer.name for gatherer in wanted}) == len(wanted)):
        return run(wanted, flatten)
    found = {}
    for gatherer in wanted:
        key = ("modules", kernel_module_name, gatherer)
        modules = remembered(context, key, partial(run, [gatherer], False))
        found[gatherer.name] = list(modules[gatherer.name])
    return kind.flatten_run_modules_results(found) if flatten else found


def _hidden_modules(
    kind: Any, context: Any, vmlinux_module_name: str, known_module_addresses: Any, modules_memory_boundaries: Any
) -> Iterator[Any]:
    """Stock reads each eight bytes by a call of its own; this looks at whole pages."""
    kernel = context.modules[vmlinux_module_name]
    layer = context.layers[kernel.layer_name]
    start, end = (int(address) for address in modules_memory_boundaries)
    kobject = kernel.get_type("module").relative_child_offset("mkobj")
    at = kobject + kernel.get_type("module_kobject").relative_child_offset("mod")
    pointer = kernel.get_type("module_kobject").child_template("mod")
    simple = (
        kind.get_module_address_alignment(context, vmlinux_module_name) == _POINTER_BYTES
        and (start % _POINTER_BYTES, at % _POINTER_BYTES) == (0, 0)
        and pointer.data_format == (_POINTER_BYTES, "little", False)
        and isinstance(layer, intel.LinuxIntel32e)
        and start >= 0
        and end + at < 1 << 64
        and kind.validate_alignment_patterns(known_module_addresses, _POINTER_BYTES)
    )
    if not simple:
        boundaries = (vmlinux_module_name, known_module_addresses, modules_memory_boundaries)
        yield from _stock_hidden_modules.__func__(kind, context, *boundaries)
        return
    for address in _self_references(layer, start + at, end + at, at):
        if address in known_module_addresses:
            continue
        module = kernel.object("module", offset=address, absolute=True)
        if module and module.is_valid():
            yield module


def _self_references(layer: Any, start: int, end: int, at: int) -> Iterator[int]:
    """Addresses, ascending, that are in memory `at` bytes behind themselves, from `start` up to `end`."""
    position = start
    while position < end:
        stop = min(end, (position | _PAGE_BYTES - 1) + 1)
        try:
            place, _page_bytes, physical = layer._translate(position)
            data = layer.read(position, stop - position)
        except exceptions.PagedInvalidAddressException as error:
            position = max(stop, (position | (1 << error.invalid_bits) - 1) + 1)
            continue
        except exceptions.InvalidAddressException:
            # Not all of it is in the image.
            parts = layer.context.layers[physical].mapping(place, stop - position, ignore_errors=True)
            if any(length > 0 for _, length, *_ in parts):
                yield from _single_references(layer, range(position, stop, _POINTER_BYTES), at)
        else:
            words = memoryview(data)[: len(data) & -_POINTER_BYTES].cast("Q")
            first = position - at
            expected = range(first, first + len(data), _POINTER_BYTES)
            yield from (address for address, word in zip(expected, words) if address == word)
        position = stop


def _single_references(layer: Any, positions: Iterable[int], at: int) -> Iterator[int]:
    for position in positions:
        try:
            data = layer.read(position, _POINTER_BYTES)
        except exceptions.InvalidAddressException:
            continue
        if int.from_bytes(data, "little") == position - at:
            yield position - at


class _Names:
    """The symbols of one module as they were read so far, by their addresses; the first of an address counts."""

    def __init__(self, symbols: Iterator[tuple[str, int]]) -> None:
        self._symbols = symbols
        self._known: dict[int, str] = {}

    def find(self, address: int) -> str | None:
        name = self._known.get(address)
        if name is not None:
            return name
        for name, found in self._symbols:
            self._known.setdefault(found, name)
            if found == address:
                return name
        return None

    def __len__(self) -> int:
        return len(self._known)


def _symbol_by_address(self: Any, wanted_sym_address: int) -> str | None:
    of_context: dict[tuple[str, int], _Names] = self._context.__dict__.setdefault(_NAMES, {})
    key = (self.vol.layer_name, self.vol.offset)
    names = of_context.pop(key, None)
    if names is None:
        if sum(len(one) + 1 for one in of_context.values()) >= _NAMES_LIMIT:
            of_context.clear()
        names = _Names(self.get_symbols_names_and_addresses())
    found = names.find(wanted_sym_address)
    # Only now: what an error has interrupted is read anew.
    of_context[key] = names
    return found


_stock_scanners = Modules.__dict__["run_modules_scanners"]
_stock_hidden_modules = Modules.__dict__["get_hidden_modules"]

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (Modules, "run_modules_scanners", classmethod(_run_scanners)),
    (Modules, "get_hidden_modules", classmethod(_hidden_modules)),
    (extensions.module, "get_symbol_by_address", _symbol_by_address),
)
