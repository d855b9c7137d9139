import random
import struct
import unittest
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.symbols.linux.kallsyms import Kallsyms, KASFilter, _KallsymsIO

import accelerated_kallsyms
import accelerations

_NAMES, _TOKENS, _OFFSETS = 0x1000, 0x9000, 0xA000
_MASK = (1 << 48) - 1


class _Layer:
    name, address_mask = "kernel", _MASK

    def __init__(self, parts: dict[int, bytes]) -> None:
        self._parts = parts

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        for start, data in self._parts.items():
            if start <= offset and offset + length <= start + len(data):
                return data[offset - start : offset - start + length]
        raise exceptions.InvalidAddressException("kernel", offset)


def _open(layer: _Layer, index: list[int], count: int) -> Any:
    kas: Any = Kallsyms.__new__(Kallsyms)
    kas._context = SimpleNamespace(layers={"kernel": layer})
    kas._layer_name, kas._endian = "kernel", "little"
    kas._kallsyms_names_io = _KallsymsIO(kas._context, "kernel", _NAMES)
    kas._kallsyms_token_table_io = _KallsymsIO(kas._context, "kernel", _TOKENS)
    kas._kallsyms_token_index = index
    kas._kallsyms_num_syms, kas._kallsyms_offsets_address, kas._kallsyms_relative_base = count, _OFFSETS, 0x81000000
    return kas


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (exceptions.InvalidAddressException, LookupError, TypeError, UnicodeDecodeError) as error:
        return type(error), str(error)


class SameSymbols(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)

    def _both(self, tell: Callable[[], Any]) -> Any:
        stock = tell()
        accelerations.apply()
        accelerated = tell()
        accelerations.remove()
        self.assertEqual(accelerated, stock)
        return stock

    def test_names_of_every_kind_and_where_the_reader_stands_behind_them(self) -> None:
        generator = random.Random(1)
        tokens = [
            b"T",
            b"t",
            b"",
            b"_",
            b"do",
            b"sys_",
            b"\xc3\xa9",
            *(bytes([97 + n % 26]) * (n % 4) for n in range(60)),
        ]
        index: list[Any] = [sum(len(token) + 1 for token in tokens[:n]) for n in range(len(tokens))]
        # A token that is not in memory, one without an end, and one of which nothing is known.
        index += [0x500000, sum(len(token) + 1 for token in tokens), None]
        names, offsets = b"", []
        for length in (0, 1, 2, 5, 30, 127, 128, 200, *(generator.randrange(1, 40) for _ in range(60))):
            offsets.append(len(names))
            head = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
            names += head + bytes(generator.choices(range(len(index)), [40] * (len(index) - 3) + [1, 1, 1], k=length))
        cut = names + b"\x20abc"
        table = b"".join(token + b"\0" for token in tokens) + b"x" * 300

        def tell() -> list[Any]:
            kas = _open(_Layer({_NAMES: cut, _TOKENS: table}), index, 0)
            told = []
            for offset in [*offsets, *offsets, len(names), len(cut) + 9]:
                told.append((_outcome(lambda: kas._expand_symbol(offset)), kas._kallsyms_names_io._position))
                told.append(_outcome(lambda: kas._expand_symbol(offset, [KASFilter("do_sys", None)])))
            return told

        told = self._both(tell)
        self.assertGreater(sum(isinstance(one[0], tuple) for one in told), 20)

    def test_addresses_by_index(self) -> None:
        generator = random.Random(2)
        numbers = [generator.randrange(-(1 << 31), 1 << 31) for _ in range(500)]
        data = struct.pack(f"<{len(numbers)}i", *numbers)
        for part, count in ((data, 500), (data[:800], 500), (data, accelerated_kallsyms._NUMBERS_LIMIT + 1), (data, 0)):
            with self.subTest(count=count, part=len(part)):
                layer = _Layer({_OFFSETS: part})

                def tell(layer: _Layer = layer, count: int = count) -> list[Any]:
                    kas = _open(layer, [], count)
                    return [
                        _outcome(lambda: kas._get_symbol_address_by_index(i)) for i in (-1, 0, 7, 199, 200, 499, 500)
                    ]

                self._both(tell)

    def test_an_address_is_looked_up_once_and_not_kept_for_ever(self) -> None:
        asked: list[int] = []
        kas = SimpleNamespace()
        original, accelerated_kallsyms._stock_look_up = (
            accelerated_kallsyms._stock_look_up,
            lambda _kas, at: asked.append(at),
        )
        self.addCleanup(setattr, accelerated_kallsyms, "_stock_look_up", original)
        for address in (1, 2, 1, 2, 3):
            self.assertIsNone(accelerated_kallsyms._look_up(kas, address))
        self.assertEqual(asked, [1, 2, 3])
        for address in range(accelerated_kallsyms._ADDRESSES_LIMIT + 9):
            accelerated_kallsyms._look_up(kas, address)
        self.assertLessEqual(len(kas.__dict__[accelerated_kallsyms._ADDRESSES]), accelerated_kallsyms._ADDRESSES_LIMIT)


if __name__ == "__main__":
    unittest.main()
