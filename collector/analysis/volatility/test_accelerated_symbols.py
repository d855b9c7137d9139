import unittest
from typing import Any
from unittest.mock import patch

from volatility3.framework.symbols import intermed
from volatility3.framework.symbols.linux.extensions import elf
from volatility3.plugins.linux.malware.check_syscall import Check_syscall

import accelerations
from kernel import Kernel
from test_accelerated_modules import OnKernel
from testing.node import make_node


class SameLookUps(OnKernel):
    def test_the_symbol_behind_a_table(self) -> None:
        kernel = make_node()
        table = kernel.make("u64", 64)
        # Two of one address, one at the table itself, and one whose type the symbols do not have.
        for name, at in (("z", 160), ("a", 160), ("table", 0), ("bad", 64), ("last", 400)):
            kernel.name(name, table + at, "u64")
        kernel.symbols["bad"]["type"] = {"kind": "array", "count": 2, "subtype": {"kind": "struct", "name": "no_such"}}

        def told() -> list[Any]:
            opened = self._open(kernel)
            start = opened.module.get_symbol("table").address
            ends = (start, start - 1, start + 64, start + 159, start + 160, start + 400, start + (1 << 40), 0)
            return [Check_syscall._get_table_size_next_symbol(None, end, 8, opened.module) for end in ends]

        stock = told()
        accelerations.apply()
        self.assertEqual(told(), stock)
        self.assertEqual(stock[0], 160 // 8)

    def _elf(self, kernel: Kernel, **options: Any) -> str:
        arguments = (kernel.context, "path", "linux", "elf")
        return intermed.IntermediateSymbolTable.create(*arguments, **options)

    def test_a_symbol_file_is_read_once_for_each_context(self) -> None:
        accelerations.apply()
        one, other = self._open(make_node()), self._open(make_node())
        opener = intermed.resources.ResourceAccessor
        with patch.object(opener, "open", autospec=True, side_effect=opener.open) as opened:
            names = [self._elf(one, class_types=elf.class_types) for _ in range(3)]
            self.assertEqual(opened.call_count, 1)
            self.assertEqual(len(set(names)), 1)
            self.assertNotEqual(self._elf(one), names[0])
            self._elf(other, class_types=elf.class_types)
            self.assertEqual(opened.call_count, 3)
        self.assertIn(names[0], other.context.symbol_space)

    def test_the_types_of_a_table(self) -> None:
        stock = self._open(make_node())
        expected = [*stock.context.symbol_space[stock.module.symbol_table_name].types]
        accelerations.apply()
        kernel = self._open(make_node())
        table = kernel.context.symbol_space[kernel.module.symbol_table_name]
        self.assertEqual([*table.types], expected)
        self.assertIs(table.types, table.types)
        self.assertTrue(kernel.module.has_type("task_struct") and kernel.module.has_type("pointer"))
        self.assertFalse(kernel.module.has_type("nothing"))


if __name__ == "__main__":
    unittest.main()
