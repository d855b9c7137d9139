"""Volatility's values as plain JSON."""

import datetime
import math
from typing import Any

from volatility3.framework import interfaces, objects, renderers
from volatility3.framework.renderers import format_hints

from table import Plain

_EXACT_IN_JSON = 2**53 - 1


def plain(value: Any) -> Plain:
    """Absent is null, an address "0x…", a time ISO 8601 in UTC, bytes hexadecimal. An integer that a JSON reader
    would round (beyond 2^53) becomes a string of digits; text is made valid Unicode."""
    match value:
        case None | interfaces.renderers.BaseAbsentValue():
            return None
        case bool():
            return value
        case objects.Boolean():
            return bool(value)
        case format_hints.Hex() | objects.Pointer():
            return hex(value)
        case int():
            return int(value) if -_EXACT_IN_JSON <= value <= _EXACT_IN_JSON else str(int(value))
        case float():
            return float(value) if math.isfinite(value) else None
        case datetime.datetime():
            return timestamp(value)
        case bytes() | bytearray():
            return bytes(value).hex()
        case renderers.Disassembly():
            return value.data.hex()
        case renderers.LayerData():
            return value.context.layers[value.layer_name].read(value.offset, value.length, pad=True).hex()
        case _:
            return str(value).encode("utf-8", "replace").decode("utf-8")


def timestamp(value: datetime.datetime) -> str:
    """Volatility's times without a zone are in UTC."""
    aware = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
    return aware.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
