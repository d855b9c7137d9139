import os
import random
import unittest

from volatility3.framework.layers.scanners import MultiStringScanner

import accelerated_scans
import accelerations

_AREA = bytes.fromhex("82ffffffff")


class SameMatches(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)

    def _compare(self, needles: list[bytes], haystack: bytes) -> int:
        stock = list(MultiStringScanner(needles).search(haystack))
        accelerations.apply()
        accelerated = list(MultiStringScanner(needles).search(haystack))
        accelerations.remove()
        self.assertEqual(accelerated, stock)
        return len(stock)

    def test_needles_of_few_ends_and_of_others(self) -> None:
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        generator = random.Random(seed)
        areas = [_AREA, bytes.fromhex("83ffffffff"), bytes.fromhex("ffffffffff"), bytes(5), b"ababa"]
        found = 0
        for _ in range(200):
            ends = generator.sample(areas, generator.randrange(1, 4))
            short = generator.random() < 0.2
            needles = [
                bytes(generator.choices((0x61, 0x62, 0xFF, 0x82), k=3)) + generator.choice(ends)[: 4 if short else 5]
                for _ in range(generator.randrange(1, 9))
            ]
            parts = [*needles, *(needle[2:] for needle in needles), *areas, b"a", b"\xff", bytes(3)]
            with self.subTest(seed=seed, needles=needles):
                found += self._compare(needles, b"".join(generator.choices(parts, k=60)))
        self.assertGreater(found, 1000)

    def test_more_ends_than_pay_are_left_to_stock(self) -> None:
        needles = [bytes((number,)) * 3 + bytes((number, 0, 1, 2, 3)) for number in range(20)]
        self.assertEqual(accelerated_scans._by_end(set(needles))[1], [])
        self.assertEqual(self._compare(needles, b"".join(needles)), 20)

    def test_nothing_to_look_for_is_refused_as_by_stock(self) -> None:
        accelerations.apply()
        with self.assertRaisesRegex(ValueError, "empty set"):
            list(MultiStringScanner([]).search(b"x"))
        with self.assertRaisesRegex(TypeError, "must be a byte string"):
            list(MultiStringScanner([bytes(8)]).search(bytearray(8)))


if __name__ == "__main__":
    unittest.main()
