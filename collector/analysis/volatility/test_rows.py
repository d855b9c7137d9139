import datetime
import unittest
from typing import Any

from volatility3.framework import renderers
from volatility3.framework.renderers import format_hints

from rows import plain

_UTC = datetime.timezone.utc
_EAST = datetime.timezone(datetime.timedelta(hours=2))


class PlainValues(unittest.TestCase):
    def test_each_kind_of_value(self) -> None:
        cases: dict[str, tuple[Any, Any]] = {
            "a value that is not available is null": (renderers.NotAvailableValue(), None),
            "a value that is not readable is null": (renderers.UnreadableValue(), None),
            "an address is hexadecimal text": (format_hints.Hex(0xFFFF8D87C25F4180), "0xffff8d87c25f4180"),
            "a small number stays a number": (4026531840, 4026531840),
            "the last number that JSON readers keep": (2**53 - 1, 2**53 - 1),
            "a number that they would round becomes digits": (2**53 + 1, "9007199254740993"),
            "a large negative one too": (-(2**60), "-1152921504606846976"),
            "true is not 1": (True, True),
            "infinity has no JSON": (float("inf"), None),
            "a time without a zone is in UTC": (
                datetime.datetime(2026, 11, 22, 19, 9, 23, 5),
                "2026-11-22T19:09:23.000005Z",
            ),
            "a time of another zone is converted": (
                datetime.datetime(2026, 11, 22, 21, 0, tzinfo=_EAST),
                "2026-11-22T19:00:00.000000Z",
            ),
            "microseconds are there even when they are 0": (
                datetime.datetime(1970, 1, 1, tzinfo=_UTC),
                "1970-01-01T00:00:00.000000Z",
            ),
            "bytes are hexadecimal": (b"\x00\xff", "00ff"),
            "bytes with a hint as well": (format_hints.HexBytes(b"\x01"), "01"),
            "text stays, with its escapes": ("na\u00efve \x1b[31m", "na\u00efve \x1b[31m"),
            "text that is no Unicode is made it": ("a\udcff", "a?"),
        }
        for sentence, (value, expected) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(plain(value), expected)
                self.assertIs(type(plain(value)), type(expected))
