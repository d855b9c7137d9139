import unittest
from collections.abc import Iterator

from volatility3.framework import exceptions

from plugins.hidden_modules import self_references

_MASK = 0xFFFFFFFFFFFF
_PAGE = 4096


class _Layer:
    """Pages at addresses; whatever was not put there is not in the image."""

    address_mask = _MASK

    def __init__(self, *pages: int) -> None:
        self.pages = {page: bytearray(_PAGE) for page in pages}

    def point(self, address: int, target: int) -> None:
        page = self.pages[address & -_PAGE]
        page[address % _PAGE : address % _PAGE + 8] = (target | 0xFFFF << 48).to_bytes(8, "little")

    def mapping(self, offset: int, length: int, ignore_errors: bool) -> Iterator[tuple[int, int, int, int, str]]:
        for page in sorted(self.pages):
            if ignore_errors and offset <= page < offset + length:
                yield page, _PAGE, 0, _PAGE, "memory"

    def read(self, offset: int, length: int) -> bytes:
        if offset not in self.pages or length != _PAGE:
            raise exceptions.InvalidAddressException("memory", offset)
        return bytes(self.pages[offset])


class SelfReferences(unittest.TestCase):
    def test_what_points_to_itself_is_found(self) -> None:
        cases = {
            "within a page": 0x10040,
            "with its pointer at the first word of the next page": 0x11000 - 0x148,
            "at the very beginning": 0x10000,
        }
        for sentence, address in cases.items():
            for offset in (0x148, 0x150):
                with self.subTest(sentence, offset=offset):
                    layer = _Layer(0x10000, 0x11000)
                    aligned = address & -64
                    layer.point(aligned + offset, aligned)
                    self.assertEqual(list(self_references(layer, 0x10000, 0x12000, offset)), [aligned])

    def test_what_does_not_is_not(self) -> None:
        layer = _Layer(0x10000, 0x13000)
        layer.point(0x10048, 0x10000)
        layer.point(0x13148, 0x10000)
        layer.point(0x10008 + 0x148, 0x10008)
        self.assertEqual(list(self_references(layer, 0x10000, 0x14000, 0x148)), [])

    def test_nothing_outside_of_the_area_is_read(self) -> None:
        layer = _Layer(0x10000, 0x20000)
        layer.point(0x20148, 0x20000)
        self.assertEqual(list(self_references(layer, 0x10000, 0x11000, 0x148)), [])
