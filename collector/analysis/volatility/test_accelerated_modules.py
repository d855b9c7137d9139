import random
import tempfile
import unittest
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from volatility3.framework import contexts, exceptions
from volatility3.framework.symbols.linux.utilities.modules import Modules

import accelerated_modules
import accelerations
from job import Image, Job
from kernel import Kernel, open_kernel
from remembered import remembered
from symbols import load_symbols
from testing.mini_kernel import MiniKernel
from testing.node import make_node

_PAGE, _AREA_PAGES = 4096, 6
_WORD = ("mod_tree_root", "addr_min")


class OnKernel(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def _open(self, kernel: MiniKernel) -> Kernel:
        written = kernel.write(self.folder)
        file = open(written.image, "rb")
        self.addCleanup(file.close)
        image = Image("lime", descriptor=file.fileno())
        return open_kernel(load_symbols(written.isf, written.sha256), Job(image, written.note))


def _make_area(seed: int) -> tuple[MiniKernel, int, int]:
    """Pages of random pointers, among them modules that point to themselves; and where they begin and end."""
    generator = random.Random(seed)
    kernel = make_node()
    area = kernel.make("u8", _PAGE * (_AREA_PAGES + 1))
    start = area + -area % _PAGE
    end = start + _PAGE * _AREA_PAGES
    at = kernel.member(0, "module", "mkobj")[0] + kernel.member(0, "module_kobject", "mod")[0]
    for _ in range(200):
        kernel.put(generator.randrange(start, end, 8), *_WORD, generator.choice((0, start, end, 1 << 63)))
    for _ in range(20):
        module = generator.randrange(start - at, end - at - 64, 8)
        kernel.put(module + at, *_WORD, module)
        if generator.random() < 0.5 and start <= module < end - kernel.size("module"):
            kernel.put(kernel.member(module, "module", "mem")[0], "module_memory", "size", 0x3000)
    return kernel, start, end


class Scan(OnKernel):
    def _found(self, kernel: MiniKernel, known: list[int], start: int, end: int) -> list[int]:
        opened = self._open(kernel)
        found = Modules.get_hidden_modules(opened.context, opened.module_name, known, (start, end))
        return [int(module.vol.offset) for module in found]

    def test_the_same_modules_as_stock(self) -> None:
        total = 0
        for seed in range(4):
            kernel, start, end = _make_area(seed)
            begins = ((start, end), (start + 24, end - 4088), (start - 3 * _PAGE, end + 8 * _PAGE), (end, start))
            for first, last in begins:
                with self.subTest(seed=seed, first=first - start, last=last - start):
                    stock = self._found(kernel, [], first, last)
                    known = [address | 0xFFFF << 48 for address in stock[:1]]
                    without = self._found(kernel, known, first, last)
                    accelerations.apply()
                    self.assertEqual(self._found(kernel, [], first, last), stock)
                    self.assertEqual(self._found(kernel, known, first, last), without)
                    accelerations.remove()
                    total += len(stock)
        self.assertGreater(total, 10)

    def test_known_addresses_that_are_not_aligned_are_left_to_stock(self) -> None:
        kernel, start, _end = _make_area(3)
        with self.assertLogs("volatility3"):
            stock = self._found(kernel, [start + 1], start, start + 256)
        accelerations.apply()
        with self.assertLogs("volatility3"):
            self.assertEqual(self._found(kernel, [start + 1], start, start + 256), stock)

    def test_an_area_without_end_is_passed_over_where_nothing_is_mapped(self) -> None:
        kernel, start, end = _make_area(1)
        stock = self._found(kernel, [], start, end)
        self.assertTrue(stock)
        accelerations.apply()
        self.assertEqual(self._found(kernel, [], start, (1 << 64) - (1 << 20)), stock)


class Names(unittest.TestCase):
    def _module(self, symbols: list[tuple[str, int]], context: Any = None, offset: int = 1) -> Any:
        def read(_max_symbols: int = 4096) -> Any:
            for name, address in symbols:
                if name == "error":
                    raise exceptions.InvalidAddressException("layer", address)
                self.read.append(name)
                yield name, address

        known = SimpleNamespace(layer_name="kernel", offset=offset)
        context = context or contexts.Context()
        return SimpleNamespace(vol=known, _context=context, get_symbols_names_and_addresses=read)

    def setUp(self) -> None:
        self.read: list[str] = []

    def test_the_first_of_an_address_counts_and_none_is_read_twice(self) -> None:
        module = self._module([("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 3)])
        find = accelerated_modules._symbol_by_address
        found = [find(module, address) for address in (2, 1, 2, 3, 1, 4, 4)]
        self.assertEqual(found, ["b", "a", "b", "e", "a", None, None])
        self.assertEqual(self.read, ["a", "b", "c", "d", "e"])

    def test_an_error_is_met_again(self) -> None:
        module = self._module([("a", 1), ("error", 7), ("b", 2)])
        find = accelerated_modules._symbol_by_address
        for _ in range(2):
            self.assertEqual(find(module, 1), "a")
            with self.assertRaises(exceptions.InvalidAddressException):
                find(module, 2)

    def test_no_more_names_are_kept_than_the_limit(self) -> None:
        context = contexts.Context()
        with patch.object(accelerated_modules, "_NAMES_LIMIT", 5):
            for offset in range(9):
                module = self._module([("a", 1), ("b", 2)], context, offset)
                self.assertIsNone(accelerated_modules._symbol_by_address(module, 3))
            kept = context.__dict__[accelerated_modules._NAMES]
            self.assertLessEqual(len(kept), 4)


class Remembered(OnKernel):
    def test_once_for_each_context_and_not_after_an_error(self) -> None:
        calls = []

        def find() -> int:
            calls.append(1)
            if len(calls) == 1:
                raise ValueError
            return len(calls)

        one, other = contexts.Context(), contexts.Context()
        with self.assertRaises(ValueError):
            remembered(one, "key", find)
        self.assertEqual([remembered(one, "key", find), remembered(one, "key", find)], [2, 2])
        self.assertEqual(remembered(other, "key", find), 3)
        self.assertEqual(remembered(one, "another", find), 4)

    def test_names_that_were_asked_for_in_vain_are_told_to_each(self) -> None:
        context = self._open(make_node()).context

        def find() -> None:
            with self.assertRaises(exceptions.SymbolError):
                context.symbol_space.get_type("kernel_symbols!nothing")

        for earlier in ({"before"}, {"between"}):
            context.missing.clear()
            context.missing.update(earlier)
            remembered(context, "key", find)
            self.assertEqual(context.missing, {*earlier, "nothing"})


if __name__ == "__main__":
    unittest.main()
