"""The build-id of the kernel in an image, from the notes that the running kernel shows as /sys/kernel/notes."""

import re

from volatility3.framework import exceptions
from volatility3.framework.layers import intel

from symbols import KernelSymbols

_LIMIT_BYTES = 65536
# An ELF note: length of the name, length of the value, type 3, "GNU". Notes before it may be padded to 4 bytes or to 8.
_NOTE = re.compile(rb"\x04\0\0\0([\x04-\x20])\0\0\0\x03\0\0\0GNU\0", re.DOTALL)


def read_build_id(layer: intel.Intel, table: KernelSymbols, kernel_offset: int) -> str | None:
    """Returns lower-case hexadecimal digits, or None when the image or the symbols do not hold it."""
    try:
        start, stop = (table.get_symbol(name).address for name in ("__start_notes", "__stop_notes"))
        if not 0 < stop - start <= _LIMIT_BYTES:
            return None
        notes = layer.read(start + kernel_offset, stop - start)
    except (exceptions.SymbolError, exceptions.InvalidAddressException):
        return None
    for found in _NOTE.finditer(notes):
        value = notes[found.end() : found.end() + found[1][0]]
        if found.start() % 4 == 0 and len(value) == found[1][0]:
            return value.hex()
    return None
