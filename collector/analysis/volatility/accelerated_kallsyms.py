"""The kernel's own symbol table as Volatility 2.28.2 reads it from memory, by bytes; here by tokens."""

from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.symbols.linux import kallsyms

_TOKENS, _ADDRESSES, _NUMBERS = "_kcorder_tokens", "_kcorder_addresses", "_kcorder_numbers"
_ADDRESSES_LIMIT = 1 << 16
# Kernels have a tenth of it.
_NUMBERS_LIMIT, _NUMBER_BYTES = 1 << 21, 4
_LONGEST_TOKEN = 256


def _expand(self: Any, offset: int, filters: Any = None) -> Any:
    if filters:
        return _stock_expand(self, offset, filters)
    names = self._kallsyms_names_io
    try:
        layer = self._context.layers[self._layer_name]
        address = names._base + offset
        (length,) = layer.read(address, 1)
        address += 1
        if length & 0x80:
            (upper,) = layer.read(address, 1)
            length = upper << 7 | length & 0x7F
            address += 1
        text = "".join([_token(self, layer, index) for index in layer.read(address, length)]) if length else ""
    except (exceptions.InvalidAddressException, LookupError, TypeError, UnicodeDecodeError):
        return _stock_expand(self, offset, filters)
    # Where stock's reader stands afterwards matters: it is read from there without being put anywhere first.
    names._position = address + length
    return kallsyms.KASSymbolBasic(name=text[1:], type=text[0] if text else None), length


def _token(kas: Any, layer: Any, index: int) -> str:
    tokens: dict[int, str] = kas.__dict__.setdefault(_TOKENS, {})
    token = tokens.get(index)
    if token is None:
        address = kas._kallsyms_token_table_io._base + kas._kallsyms_token_index[index]
        data = b""
        while b"\0" not in data:
            data += layer.read(address + len(data), 1)
            if len(data) > _LONGEST_TOKEN:
                raise exceptions.InvalidAddressException(layer.name, address)
        # Byte by byte, as stock decodes it: no character has two.
        token = tokens[index] = data[:-1].decode("ascii")
    return token


def _look_up(self: Any, address: int) -> Any:
    # The stacks of all threads hold the same few return addresses.
    known: dict[int, Any] = self.__dict__.setdefault(_ADDRESSES, {})
    if address not in known:
        if len(known) >= _ADDRESSES_LIMIT:
            known.clear()
        known[int(address)] = _stock_look_up(self, address)
    return known[address]


def _address_by_index(self: Any, index: int) -> int | None:
    # A look-up by address asks for twenty of these, in another place of the list each time.
    numbers = self.__dict__.get(_NUMBERS)
    if numbers is None:
        numbers = self.__dict__[_NUMBERS] = _read_numbers(self)
    if not 0 <= index < len(numbers):
        return _stock_address_by_index(self, index)
    number = numbers[index]
    if number < 0:
        return self._kallsyms_relative_base - 1 - number
    return number & self._context.layers[self._layer_name].address_mask


def _read_numbers(kas: Any) -> Any:
    """Offsets of all symbols; none where they are not what all kernels since 4.6 have, or not all in the image."""
    address, count = kas._kallsyms_offsets_address, kas._kallsyms_num_syms
    if not address or not count or count > _NUMBERS_LIMIT or kas._endian != "little":
        return ()
    try:
        data = kas._context.layers[kas._layer_name].read(address, count * _NUMBER_BYTES)
    except exceptions.InvalidAddressException:
        return ()
    return memoryview(data).cast("i")


_stock_expand = kallsyms.Kallsyms._expand_symbol
_stock_look_up = kallsyms.Kallsyms.lookup_address
_stock_address_by_index = kallsyms.Kallsyms._get_symbol_address_by_index

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (kallsyms.Kallsyms, "_expand_symbol", _expand),
    (kallsyms.Kallsyms, "lookup_address", _look_up),
    (kallsyms.Kallsyms, "_get_symbol_address_by_index", _address_by_index),
)
