import os
import random
import struct
import tempfile
import unittest
from collections.abc import Callable
from typing import Any

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import intel, lime

import accelerated_layers
import accelerations
from image_layer import FileReader, ImageLayer
from paging5 import LinuxIntel5Level

_PAGE = 4096
_PRESENT, _LARGE, _PAT_LARGE, _NONE = 0x1, 0x80, 0x1000, 0x100
# The image: two records that touch, a gap, and one that ends within a page, as AVML's do.
_RECORDS = ((0x100000, 0x110000), (0x110000, 0x118000), (0x200000, 0x200000 + 0x5FFF))
_TABLES = 0x100000
_USER, _KERNEL = 0x7F0000000000, 0xFFFF888000000000


class _Memory:
    """Physical memory of random bytes, and page tables in it."""

    def __init__(self, seed: int, levels: int) -> None:
        self.levels = levels
        generator = random.Random(seed)
        self.records = {start: bytearray(generator.randbytes(end - start)) for start, end in _RECORDS}
        self._free = _TABLES
        self.root = self._table()
        frames = [0x108000, 0x109000, 0x10F000, 0x110000, 0x117000, 0x118000, 0x200000, 0x204000, 0x205000, 1 << 40]
        for base in (_USER, _KERNEL):
            for index, frame in enumerate(frames):
                self._map(base + index * _PAGE, frame | _PRESENT)
            # Between a page that is mapped and one that is not: what PROT_NONE leaves, and a page that is gone.
            self._map(base + 12 * _PAGE, (0x10A000 ^ (1 << 64) - 1) & ~_PRESENT & (1 << 64) - 1)
            self._map(base + 13 * _PAGE, 0x10B000 & ~_PRESENT)
            self._map(base + 14 * _PAGE, 0x10B000 | _PRESENT)
            self._map(base + 0x200000, 0x200000 | _PRESENT | _LARGE | _PAT_LARGE, 2)
            self._map(base + 0x40000000, _PRESENT | _LARGE, 3)
        # A table whose entries are all alike counts as none.
        alike = self._table()
        self._write(alike, struct.pack("<Q", 0x108000 | _PRESENT) * 512)
        self._map(_USER + 0x400000, alike | _PRESENT, 2)
        self._map(_USER + 0x600000, 0x300000 | _PRESENT, 2)

    def _table(self) -> int:
        table, self._free = self._free, self._free + _PAGE
        self._write(table, bytes(_PAGE))
        return table

    def _write(self, address: int, data: bytes) -> None:
        start = max(start for start in self.records if start <= address)
        self.records[start][address - start : address - start + len(data)] = data

    def _read(self, address: int) -> int:
        start = max(start for start in self.records if start <= address)
        return int.from_bytes(self.records[start][address - start : address - start + 8], "little")

    def _map(self, address: int, entry: int, level: int = 1) -> None:
        table = self.root
        for current in range(self.levels, level, -1):
            slot = table + (address >> 12 + 9 * (current - 1) & 511) * 8
            if not self._read(slot):
                self._write(slot, struct.pack("<Q", self._table() | _PRESENT))
            table = self._read(slot) & -_PAGE
        self._write(table + (address >> 12 + 9 * (level - 1) & 511) * 8, struct.pack("<Q", entry))

    def open(self, folder: str) -> tuple[contexts.Context, Any]:
        path = os.path.join(folder, "image.lime")
        with open(path, "wb") as file:
            for start, data in self.records.items():
                file.write(struct.pack("<IIQQQ", 0x4C694D45, 1, start, start + len(data) - 1, 0) + data)
        context = contexts.Context()
        descriptor = os.open(path, os.O_RDONLY)
        context.add_layer(ImageLayer(context, "file", "file", FileReader(descriptor, os.path.getsize(path))))
        context.config["memory.base_layer"] = "file"
        context.add_layer(lime.LimeLayer(context, "memory", "memory"))
        context.config["kernel.memory_layer"] = "memory"
        context.config["kernel.page_map_offset"] = self.root
        kind = LinuxIntel5Level if self.levels == 5 else intel.LinuxIntel32e
        context.add_layer(kind(context, "kernel", "kernel"))
        return context, context.layers["kernel"]


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except exceptions.InvalidAddressException as error:
        return type(error), {name: value for name, value in vars(error).items() if name != "name"}, error.args


def _places(generator: random.Random, count: int) -> list[tuple[int, int]]:
    """Addresses and lengths around everything that is mapped."""
    marks = [_USER, _KERNEL, _USER + 0x200000, _USER + 0x400000, _USER + 0x600000, _KERNEL + 0x200000]
    marks += [_USER + 0x40100000, _KERNEL + 0x40200000, 0, -_PAGE, 1 << 64, _KERNEL & (1 << 48) - 1]
    places = []
    for _ in range(count):
        page = generator.choice(marks) + generator.randrange(-1, 16) * _PAGE
        within = generator.choice((0, 1, 8, 2048, 4088, 4095, generator.randrange(_PAGE)))
        length = generator.choice((0, 1, 8, 8, 64, _PAGE, _PAGE + 1, 3 * _PAGE, 0x10000))
        places.append((page + within, length))
    return places


class SameBytes(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def _outcomes(self, memory: _Memory, seed: int) -> list[Any]:
        context, kernel = memory.open(self.folder)
        physical = context.layers["memory"]
        outcomes = []
        for offset, length in _places(random.Random(seed), 1500):
            for layer, place in ((kernel, offset), (physical, 0x100000 + offset % 0x110000)):
                outcomes += [
                    (layer.name, hex(place), length, _outcome(lambda: layer.read(place, length))),
                    (layer.name, hex(place), length, _outcome(lambda: layer.read(place, length, pad=True))),
                    (layer.name, hex(place), length, _outcome(lambda: layer.is_valid(place, length))),
                ]
            outcomes.append((hex(offset), "translate", _outcome(lambda: kernel._translate(offset))))
            outcomes.append((hex(offset), "maps", _outcome(lambda: list(kernel.mapping(offset, length, True)))))
        return outcomes

    def _compare(self, memory: _Memory, seed: int) -> None:
        stock = self._outcomes(memory, seed)
        accelerations.apply()
        accelerated = self._outcomes(memory, seed)
        accelerations.remove()
        for one, other in zip(accelerated, stock, strict=True):
            self.assertEqual(one, other, f"seed {seed}")
        read = [outcome[-1] for outcome in stock if isinstance(outcome[-1], bytes)]
        self.assertTrue(any(read) and any(isinstance(outcome[-1], tuple) for outcome in stock))

    def test_four_and_five_levels_of_page_tables(self) -> None:
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        for levels in (4, 5):
            with self.subTest(levels=levels, seed=seed):
                self._compare(_Memory(seed, levels), seed)

    def test_what_is_kept_stays_within_its_limits(self) -> None:
        memory = _Memory(1, 4)
        limits = ("_FRAMES_LIMIT", "_TABLES_LIMIT", "_TRANSLATIONS_LIMIT")
        kept = {name: getattr(accelerated_layers, name) for name in limits}
        try:
            for name in limits:
                setattr(accelerated_layers, name, 3)
            self._compare(memory, 2)
            accelerations.apply()
            context, kernel = memory.open(self.folder)
            for page in range(64):
                kernel.is_valid(_KERNEL + page * _PAGE)
            frames = kernel.__dict__[accelerated_layers._SPACE].frames
            self.assertLessEqual(len(kernel.__dict__[accelerated_layers._SPACE].pages), 3)
            self.assertLessEqual(max(len(frames._data), len(frames._tables), len(frames._whole)), 3)
            self.assertIs(context.layers["memory"].__dict__[accelerated_layers._FRAMES], frames)
        finally:
            for name, value in kept.items():
                setattr(accelerated_layers, name, value)


if __name__ == "__main__":
    unittest.main()
