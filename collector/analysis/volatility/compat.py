# 30 November 2026
"""Plugins of Volatility 2.28.2 put right for kernels that they do not know; each with a test of what was wrong.

Structures that changed are in kernel_types.py.
"""

import array
from typing import Any

from volatility3.framework import constants
from volatility3.framework.symbols.linux import kallsyms
from volatility3.plugins.linux.graphics import fbdev

from symbols import KernelSymbols
from vmcoreinfo import KernelPlace

_VERSION = "2.28.2"
_NUM_SYMS = "kallsyms_num_syms"
_OFFSET_BYTES = 4
_NAMES_LIMIT_BYTES = 64 << 20
_LONG_NAME = 0x80


def apply() -> None:
    """Leaves another version of Volatility alone, as speedups.py does."""
    if constants.PACKAGE_VERSION != _VERSION:
        return
    kallsyms.Kallsyms._get_symbol_address_by_index = _address
    kallsyms.Kallsyms._get_symbol_offset = _name_offset
    kallsyms.Kallsyms._expand_symbol = _expand
    # It asks for the package with which it would write pictures, also when it writes none.
    fbdev.has_pil = True


def add_kallsyms(table: KernelSymbols, place: KernelPlace) -> None:
    """Adds the kernel's own symbol table to symbols made of it: it does not list itself, but VMCOREINFO does (6.0)."""
    symbols = table._delegate._json_object["symbols"]
    for name, address in place.symbols.items():
        if name.startswith("kallsyms_") and name not in symbols:
            kind = "unsigned int" if name == _NUM_SYMS else "void"
            symbols[name] = {"type": {"kind": "base", "name": kind}, "address": address - place.kernel_offset}


_stock_address = kallsyms.Kallsyms._get_symbol_address_by_index
_stock_expand = kallsyms.Kallsyms._expand_symbol


def _address(self: kallsyms.Kallsyms, index: int) -> int | None:
    """Stock knows the offsets of kernels before 6.15: per-CPU ones are addresses, others are below the base."""
    offsets = self._kallsyms_offsets_address
    if not offsets or (self._kallsyms_relative_base is not None and _counts_down(self)):
        return _stock_address(self, index)
    place = offsets + index * _OFFSET_BYTES
    offset = self._read_int(place, _OFFSET_BYTES, signed=True)
    if offset is None:
        return None
    if self._kallsyms_relative_base is None:  # 7.3: relative to their own place
        address = place + offset
    else:
        address = self._kallsyms_relative_base + (offset & 0xFFFFFFFF)
    return address & self._context.layers[self._layer_name].address_mask


def _counts_down(self: kallsyms.Kallsyms) -> bool:
    """Those of a kernel's last symbol are negative before 6.15: no kernel has 2 GiB, by which they could be later."""
    found = vars(self).get("_kcorder_counts_down")
    if found is None:
        last = self._kallsyms_offsets_address + (self._kallsyms_num_syms - 1) * _OFFSET_BYTES
        found = (self._read_int(last, _OFFSET_BYTES, signed=True) or 0) < 0
        self._kcorder_counts_down = found
    return found


def _name_offset(self: kallsyms.Kallsyms, index: int) -> int:
    """Stock needs kallsyms_markers, which nobody tells, and takes a long name's length from the wrong place."""
    starts = vars(self).get("_kcorder_name_starts")
    if starts is None:
        starts = self._kcorder_name_starts = _name_starts(self)
    return starts[index]


def _name_starts(self: kallsyms.Kallsyms) -> "array.array[int]":
    """Raises InvalidAddressException, and LookupError when the names are longer than any kernel's."""
    config, layer = self._kas_config, self._context.layers[self._layer_name]
    behind = min(
        (at for at in (config.token_table_address, config.offsets_address) if at and at > config.names_address),
        default=config.names_address,
    )
    if not 0 < behind - config.names_address <= _NAMES_LIMIT_BYTES:
        raise LookupError("the names of the kernel's symbols are not before their tokens")
    names = layer.read(config.names_address, behind - config.names_address)
    starts = array.array("L")
    at = 0
    for _ in range(self._kallsyms_num_syms):
        if at + 1 >= len(names):
            raise LookupError("the kernel's symbols have fewer names than there are symbols")
        starts.append(at)
        length = names[at]
        at += length + 1 if length < _LONG_NAME else (length & 0x7F | names[at + 1] << 7) + 2
    return starts


def _expand(self: kallsyms.Kallsyms, offset: int, filters: Any = None) -> Any:
    """Stock forgets the second byte of a long name's length, and reads whatever follows from the wrong place."""
    symbol, length = _stock_expand(self, offset, filters)
    self._kallsyms_names_io.seek(offset)
    return symbol, length + (self._kallsyms_names_io.read_int(size=1) >= _LONG_NAME)
