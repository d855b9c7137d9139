import sys
import unittest
from typing import Any

from volatility3.framework import exceptions

from warn import Warnings, missing_name


def _fail(error: BaseException) -> Any:
    raise error


class Read(unittest.TestCase):
    def test_each_reason_has_its_own_warning(self) -> None:
        absent = exceptions.InvalidAddressException("memory", 0x1000)
        member = AttributeError("StructType has no attribute: kernel_symbols!module.taints")
        symbol = exceptions.SymbolError("modules", "kernel_symbols", "Unknown symbol: modules")
        impossible = "x has an impossible value in the image: 2 processes (pid 7, 8)"
        cases = {
            "memory that is not there": (absent, "x is not readable in the image: 2 processes (pid 7, 8)"),
            "a member that is not there": (member, "x is unknown: the kernel's symbols have no module.taints"),
            "a symbol that is not there": (symbol, "x is unknown: the kernel's symbols have no modules"),
            "a value that cannot be": (ValueError("year 0"), impossible),
            "a loop without an end": (RecursionError(), impossible),
        }
        for sentence, (error, expected) in cases.items():
            with self.subTest(sentence):
                warnings = Warnings()
                for pid in (8, 7):
                    self.assertIsNone(warnings.read("x", pid, lambda error=error: _fail(error)))
                self.assertEqual(warnings.sentences(), [expected])

    def test_memory_that_ran_out_is_no_value(self) -> None:
        with self.assertRaises(MemoryError):
            Warnings().read("x", 7, lambda: _fail(MemoryError()))

    def test_a_process_is_kept_once_however_much_of_it_cannot_be_read(self) -> None:
        warnings = Warnings()
        before = sys.getsizeof(warnings._pids.setdefault("x is not readable", set()))
        for _ in range(10_000):
            warnings.add_process("x is not readable", 7)
        self.assertEqual(sys.getsizeof(warnings._pids["x is not readable"]), before)
        self.assertEqual(warnings.sentences(), ["x is not readable: 1 process (pid 7)"])

    def test_modules_are_named(self) -> None:
        warnings = Warnings()
        self.assertEqual(warnings.read_module("x", "nf_tables", lambda: 5), 5)
        warnings.read_module("x", "nf_tables", lambda: _fail(ValueError()))
        self.assertEqual(warnings.sentences(), ["x has an impossible value in the image: 1 module (nf_tables)"])


class Missing(unittest.TestCase):
    def test_a_name_is_told_once(self) -> None:
        warnings = Warnings()
        warnings.add("x is unknown: the kernel's symbols have no tk_data")
        warnings.add_missing({"tk_data", "packet_sock"})
        self.assertEqual(
            warnings.sentences()[1:], ["The kernel's symbols have no packet_sock: what is read by it is missing."]
        )

    def test_a_name_within_another_word_is_not_told_by_it(self) -> None:
        warnings = Warnings()
        warnings.add("x is unknown: the kernel's symbols have no unix_sock.peer")
        warnings.add("socket state is unknown: the kernel's symbols have no socket")
        warnings.add_missing({"sock", "socket"})
        self.assertEqual(warnings.sentences()[2:], ["The kernel's symbols have no sock: what is read by it is missing."])

    def test_other_errors_name_nothing(self) -> None:
        for error in (AttributeError("'NoneType' object has no attribute 'x'"), ValueError("x"), KeyError("x")):
            self.assertIsNone(missing_name(error))


if __name__ == "__main__":
    unittest.main()
