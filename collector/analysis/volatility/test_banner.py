import json
import pathlib
import unittest

from banner import is_banner_of

_CASES = pathlib.Path(__file__).parents[2] / "symbols" / "testing" / "kernel-banners.json"


class IsBannerOf(unittest.TestCase):
    def test_each_case_that_the_search_for_symbols_is_held_to(self) -> None:
        cases = json.loads(_CASES.read_text(encoding="utf-8"))
        self.assertGreater(len(cases), 30)
        for case in cases:
            with self.subTest(case["what"]):
                self.assertIs(is_banner_of(case["linuxBanner"], case["procVersion"]), case["same"])

    def test_a_banner_of_a_megabyte_takes_no_longer_than_its_length(self) -> None:
        long = f"Linux version 6 ({') #1' * (1 << 18)}\n"
        self.assertIs(is_banner_of(f"{long} (x)", long), False)
