import hashlib
import unittest
from typing import Any

from volatility3.plugins.linux import elfs, kallsyms, lsof, module_extract, pagecache, vmaregexscan

from arguments import Unsupported, check_arguments, forget_files
from warn import Warnings


class Arguments(unittest.TestCase):
    def test_values_of_each_kind(self) -> None:
        cases: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
            (kallsyms.Kallsyms, {"core": True}, {"core": True}),
            (lsof.Lsof, {"pid": [1, 2], "files_only": False}, {"pid": [1, 2], "files_only": False}),
            (module_extract.ModuleExtract, {"base": "0xffffffffc0000000"}, {"base": 0xFFFFFFFFC0000000}),
            (vmaregexscan.VmaRegExScan, {"pattern": "a+", "maxsize": 64}, {"pattern": "a+", "maxsize": 64}),
            (pagecache.Files, {"type": ["REG", "DIR"]}, {"type": ["REG", "DIR"]}),
            (pagecache.RecoverFs, {"compression_format": "xz"}, {"compression_format": "xz"}),
        ]
        for plugin, given, expected in cases:
            with self.subTest(plugin.__name__):
                self.assertEqual(check_arguments(plugin, given, ()), expected)

    def test_what_a_plugin_does_not_take_is_refused(self) -> None:
        cases: list[tuple[Any, dict[str, Any]]] = [
            (kallsyms.Kallsyms, {"core": 1}),
            (lsof.Lsof, {"pid": 1}),
            (lsof.Lsof, {"pid": ["one"]}),
            (lsof.Lsof, {"pid": [True]}),
            (module_extract.ModuleExtract, {"base": "0x12345678123456789"}),
            (module_extract.ModuleExtract, {"base": True}),
            (vmaregexscan.VmaRegExScan, {"pattern": 5}),
            (pagecache.Files, {"type": [5]}),
            (pagecache.RecoverFs, {"compression_format": "zip"}),
            (lsof.Lsof, {"no_such": 1}),
        ]
        for plugin, given in cases:
            with self.subTest(f"{plugin.__name__} {given}"), self.assertRaises((LookupError, ValueError)):
                check_arguments(plugin, given, ())

    def test_nothing_that_writes_files_is_taken(self) -> None:
        for plugin in (elfs.Elfs, pagecache.InodePages):
            with self.subTest(plugin.__name__), self.assertRaises(LookupError):
                check_arguments(plugin, {"dump": True}, ())

    def test_an_argument_that_is_needed(self) -> None:
        with self.assertRaisesRegex(Unsupported, "it needs the argument find or inode"):
            check_arguments(pagecache.InodePages, {}, ("find", "inode"))
        check_arguments(pagecache.InodePages, {"find": "/etc/passwd"}, ("find", "inode"))


class Files(unittest.TestCase):
    def test_what_a_plugin_writes_is_told_and_not_kept(self) -> None:
        warnings = Warnings()
        with forget_files(warnings)("module.elf") as file:
            file.write(b"\x7fELF")
            file.write(b"rest")
        file.close()
        digest = hashlib.sha256(b"\x7fELFrest").hexdigest()
        self.assertEqual(warnings.sentences(), [f"module.elf (8 bytes, SHA-256 {digest}) is not kept."])
        self.assertEqual(warnings.unread(), [])


if __name__ == "__main__":
    unittest.main()
