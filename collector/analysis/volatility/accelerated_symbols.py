"""Look-ups in symbols that Volatility 2.28.2 makes by going through all of them, or by reading their file again."""

from bisect import bisect_left
from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.symbols import intermed
from volatility3.plugins.linux.malware import check_syscall

from remembered import remembered

_TYPES = "_kcorder_types"


def _types(self: Any) -> Any:
    # Stock copies the ten thousand names for each time that it asks whether one is among them.
    known = self.__dict__.get(_TYPES)
    if known is None:
        known = self.__dict__[_TYPES] = _stock_types.__get__(self)
    return known


def _create(kind: Any, context: Any, config_path: str, *arguments: Any, **options: Any) -> str:
    # Of Volatility's own files: library_list reads the one for ELF again for each mapping of each process.
    values = (*arguments, *options.values())
    key = ("symbol file", kind, arguments[:2], tuple(options), tuple(id(value) for value in values[2:]))

    def create() -> tuple[str, Any]:
        # With the values themselves, so that no others can get their identities.
        return _stock_create.__func__(kind, context, config_path, *arguments, **options), values

    return remembered(context, key, create)[0]


def _next_symbol(_self: Any, table_address: int, pointer_bytes: int, kernel: Any) -> int:
    """How many pointers lie between a table and the symbol behind it. Stock makes an object of every symbol first."""
    table = kernel.context.symbol_space[kernel.symbol_table_name]
    next(iter(table.get_symbols_by_location(table_address)), None)
    found = table._sort_symbols
    for address, name in found[bisect_left(found, (table_address + 1, "")) :]:
        try:
            kernel.get_symbol(name)
        except exceptions.SymbolError:
            continue
        return int((address - table_address) / pointer_bytes)
    return 0


_stock_types = intermed.Version1Format.types
_stock_create = intermed.IntermediateSymbolTable.__dict__["create"]

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (intermed.Version1Format, "types", property(_types)),
    (intermed.IntermediateSymbolTable, "create", classmethod(_create)),
    (check_syscall.Check_syscall, "_get_table_size_next_symbol", _next_symbol),
)
