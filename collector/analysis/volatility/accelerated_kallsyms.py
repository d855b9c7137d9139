"""The kernel's own symbol table as Volatility 2.28.2 reads it from memory, by bytes; here by tokens."""

from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.symbols.linux import kallsyms

_TOKENS, _ADDRESSES = "_kcorder_tokens", "_kcorder_addresses"
_ADDRESSES_LIMIT = 1 << 16
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
    except (exceptions.InvalidAddressException, UnicodeDecodeError):
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


_stock_expand = kallsyms.Kallsyms._expand_symbol
_stock_look_up = kallsyms.Kallsyms.lookup_address

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (kallsyms.Kallsyms, "_expand_symbol", _expand),
    (kallsyms.Kallsyms, "lookup_address", _look_up),
)
