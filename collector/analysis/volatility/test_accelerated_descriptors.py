import struct
import unittest

from volatility3.framework import exceptions

from accelerated_descriptors import _taken

_PAGE = 4096


class _Layer:
    """Memory of which one page is not in the image."""

    address_mask = (1 << 48) - 1

    def __init__(self, data: bytes, lost: int | None = None) -> None:
        self._data = data
        self._lost = lost

    def read(self, offset: int, length: int) -> bytes:
        if self._lost is not None and offset <= self._lost < offset + length:
            raise exceptions.InvalidAddressException("memory", self._lost, "not there")
        return self._data[offset : offset + length]


class Taken(unittest.TestCase):
    def test_free_places_are_left_out(self) -> None:
        places = [0] * 1500
        places[0] = places[511] = places[512] = places[1499] = 7
        data = struct.pack("<1500Q", *places)
        self.assertEqual(list(_taken(_Layer(data), 0, 1500)), [0, 511, 512, 1499])
        self.assertEqual(list(_taken(_Layer(data), 8, 511)), [510])
        self.assertEqual(list(_taken(_Layer(data), 0, 0)), [])

    def test_places_that_cannot_be_read_are_left_to_stock(self) -> None:
        data = struct.pack("<1100Q", 7, *[0] * 1098, 7)
        found = list(_taken(_Layer(data, lost=_PAGE + 8), 0, 1100))
        self.assertEqual(found, [0, *range(512, 1024), 1099])
