# 30 November 2026
"""Plugins of Volatility 2.28.2 put right for kernels that they do not know; each with a test of what was wrong.

Structures that changed are in kernel_types.py.
"""

import array
import bisect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from volatility3.framework import constants
from volatility3.framework.symbols.linux import kallsyms
from volatility3.plugins.linux import sockscan
from volatility3.plugins.linux.graphics import fbdev

from symbols import KernelSymbols
from vmcoreinfo import KernelPlace

_VERSION = "2.28.2"
_NUM_SYMS = "kallsyms_num_syms"
_VOID = {"kind": "base", "name": "void"}
_OFFSET_BYTES = 4
_NAMES_LIMIT_BYTES = 64 << 20
_LONG_NAME = 0x80

_Value = TypeVar("_Value")


def apply() -> None:
    """Leaves another version of Volatility alone, as speedups.py does."""
    if constants.PACKAGE_VERSION != _VERSION:
        return
    kallsyms.Kallsyms._get_symbol_address_by_index = _address
    kallsyms.Kallsyms._get_symbol_pos = _position
    kallsyms.Kallsyms._get_symbol_offset = _name_offset
    kallsyms.Kallsyms.get_core_symbols = _core_symbols
    sockscan.Sockscan._walk_file_ops_needles = _walk
    # It asks for the package with which it would write pictures, also when it writes none.
    fbdev.has_pil = True


def add_kallsyms(table: KernelSymbols, place: KernelPlace) -> None:
    """Adds the kernel's own symbol table to symbols made of it, which does not list itself before 7.3: VMCOREINFO does
    (6.0). And the type of the number of symbols, which stock takes the size from: an unknown one has none."""
    symbols = table._delegate._json_object["symbols"]
    for name, address in place.symbols.items():
        if name.startswith("kallsyms_"):
            symbols.setdefault(name, {"type": _VOID, "address": address - place.kernel_offset})
    number = symbols.get(_NUM_SYMS)
    if number is not None and number.get("type") == _VOID:
        symbols[_NUM_SYMS] = number | {"type": {"kind": "base", "name": "unsigned int"}}


def _once(self: kallsyms.Kallsyms, name: str, make: Callable[[kallsyms.Kallsyms], _Value]) -> _Value:
    """What `make` finds is kept with the table."""
    if name not in vars(self):
        setattr(self, name, make(self))
    return getattr(self, name)


_stock_address = kallsyms.Kallsyms._get_symbol_address_by_index
_stock_position = kallsyms.Kallsyms._get_symbol_pos


def _address(self: kallsyms.Kallsyms, index: int) -> int | None:
    """Stock knows the offsets of kernels before 6.15: per-CPU ones are addresses, others are below the base."""
    if not self._kallsyms_offsets_address:
        return _stock_address(self, index)
    return _once(self, "_kcorder_table_addresses", _addresses)[index]


def _addresses(self: kallsyms.Kallsyms) -> "array.array[int]":
    layer = self._context.layers[self._layer_name]
    place, base = self._kallsyms_offsets_address, self._kallsyms_relative_base
    offsets = array.array("i")
    offsets.frombytes(layer.read(place, min(self._kallsyms_num_syms * _OFFSET_BYTES, _NAMES_LIMIT_BYTES)))
    mask = layer.address_mask
    if base is None:  # 7.3: relative to their own place
        return array.array("Q", (place + index * _OFFSET_BYTES + at & mask for index, at in enumerate(offsets)))
    # Before 6.15 that of the last symbol is negative; later none is, as no kernel has 2 GiB.
    if offsets[-1] < 0:
        return array.array("Q", ((base - 1 - at if at < 0 else at) & mask for at in offsets))
    return array.array("Q", (base + at & mask for at in offsets))


def _position(self: kallsyms.Kallsyms, address: int) -> tuple[int | None, int | None]:
    """What stock finds in several dozen steps: the first symbol at or before the address, and the room to the next."""
    if not self._kallsyms_offsets_address:
        return _stock_position(self, address)
    addresses = _once(self, "_kcorder_table_addresses", _addresses)
    start = addresses[max(bisect.bisect_right(addresses, address) - 1, 0)]
    behind = bisect.bisect_right(addresses, start)
    if behind == len(addresses):
        return _stock_position(self, address)
    return bisect.bisect_left(addresses, start), addresses[behind] - start


def _name_offset(self: kallsyms.Kallsyms, index: int) -> int:
    """Stock needs kallsyms_markers, which nobody tells, and takes a long name's length from the wrong place."""
    return _once(self, "_kcorder_name_starts", _name_starts)[index]


def _name_starts(self: kallsyms.Kallsyms) -> "array.array[int]":
    """Raises InvalidAddressException, and LookupError when the names are longer than any kernel's."""
    config, layer = self._kas_config, self._context.layers[self._layer_name]
    behind = [config.token_table_address, config.offsets_address]
    end = min((at for at in behind if at and at > config.names_address), default=config.names_address)
    if not 0 < end - config.names_address <= _NAMES_LIMIT_BYTES:
        raise LookupError("the names of the kernel's symbols are not before their tokens")
    names = layer.read(config.names_address, end - config.names_address)
    starts = array.array("L")
    at = 0
    for _ in range(self._kallsyms_num_syms):
        if at + 1 >= len(names):
            raise LookupError("the kernel's symbols have fewer names than there are symbols")
        starts.append(at)
        length = names[at]
        at += length + 1 if length < _LONG_NAME else (length & 0x7F | names[at + 1] << 7) + 2
    return starts


def _core_symbols(self: kallsyms.Kallsyms, _progress: Any = None) -> Iterator[kallsyms.KASSymbol]:
    """Stock loses its place in the names behind a long one."""
    for index in range(self._kallsyms_num_syms):
        symbol, _ = self._get_symbol(self._get_symbol_offset(index), index)
        if symbol:
            yield symbol


_stock_walk = sockscan.Sockscan._walk_file_ops_needles


def _walk(self: sockscan.Sockscan, *places: Any) -> Any:
    """Stock ends with what looks like a file of a socket and has no inode in the image."""
    try:
        return _stock_walk(self, *places)
    except AttributeError as error:
        if error.obj is None and error.name == "socket":
            return None
        raise
