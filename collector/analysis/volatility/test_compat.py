"""What Volatility 2.28.2 gets wrong of kernels from 6.1 to 7.3."""

import struct
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from volatility3.framework.symbols.linux import kallsyms

import analyse
import compat
from kernel import Kernel
from table import Plain, Table
from testing.mini_kernel import MiniKernel
from testing.node import make_node

_LONG = "rust_" + "x" * 300
_NAMES = ("per_cpu", "start", "before", _LONG, "after", "_end")
_PLUGIN = "linux.kallsyms.Kallsyms"


def _make_kernel(kind: str) -> tuple[MiniKernel, dict[str, int]]:
    """A kernel that has a symbol table of that kind, which its symbols do not list, and the addresses in it."""
    kernel = make_node(kernel_symbol="i32 value_offset, i32 name_offset, i32 namespace_offset")
    text = kernel.make("u8", 4096)
    places = dict(zip(_NAMES, (text - 16, text, text + 64, text + 128, text + 256, text + 512), strict=True))
    for name, at in {"_etext": text + 512, "_end": text + 512}.items():
        kernel.name(name, at, "char[0]")
    if kind == "before 6.15":
        places["per_cpu"] = 0x1000
    tables = {
        "num_syms": kernel.bytes(struct.pack("<I", len(_NAMES))),
        "names": kernel.bytes(b"".join(_compress(f"t{name}") for name in _NAMES)),
        # Each token is one letter.
        "token_table": kernel.bytes(b"".join(bytes([max(letter, 1), 0]) for letter in range(256))),
        "token_index": kernel.bytes(struct.pack("<256H", *range(0, 512, 2))),
        "offsets": kernel.bytes(bytes(4 * len(_NAMES))),
    }
    addresses = list(places.values())
    base = min(at for at in addresses if at > 0x1000)
    match kind:
        case "before 6.15":
            offsets = [at if at == 0x1000 else base - 1 - at for at in addresses]
        case "since 6.15":
            offsets = [at - base for at in addresses]
        case _:
            offsets = [at - (tables["offsets"] + 4 * index) for index, at in enumerate(addresses)]
    if kind != "7.3":
        tables["relative_base"] = kernel.bytes(struct.pack("<Q", base))
    kernel.write_bytes(tables["offsets"], struct.pack(f"<{len(offsets)}i", *offsets))
    if kind == "7.3":  # which lists them, and BTF has no types of variables
        for name, at in tables.items():
            kernel.name(f"kallsyms_{name}", at, "void")
    kernel.vmcoreinfo = {f"kallsyms_{name}": at for name, at in tables.items()}
    return kernel, places


def _compress(text: str) -> bytes:
    size = len(text)
    return (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + text.encode()


class Kallsyms(unittest.TestCase):
    def test_each_layout_of_the_table_without_symbols_for_it(self) -> None:
        for kind in ("before 6.15", "since 6.15", "7.3"):
            with self.subTest(kind), tempfile.TemporaryDirectory() as folder:
                kernel, places = _make_kernel(kind)
                with patch("testing.mini_kernel.told", lambda name: {"name": name, "arguments": {"core": True}}):
                    end = kernel.analyse(folder, _PLUGIN)[_PLUGIN]
                self.assertEqual(end["state"], "rows", end)
                mask = (1 << 48) - 1
                found = {row["SymbolName"]: int(row["Addr"], 16) for row in end["table"]}
                self.assertEqual(found, {name: at & mask for name, at in places.items()})
                sizes = {row["SymbolName"]: row["Size"] for row in end["table"]}
                self.assertEqual([sizes[name] for name in _NAMES[1:5]], [64, 64, 128, 256])

    def test_the_symbol_at_an_address(self) -> None:
        for kind in ("before 6.15", "since 6.15", "7.3"):
            kernel, places = _make_kernel(kind)

            def look_up(opened: Kernel, *_: Any) -> Table:
                table = kallsyms.Kallsyms(opened.context, opened.layer.name, opened.module_name)

                def rows() -> Iterator[list[Plain]]:
                    for name in _NAMES[1:5]:
                        found = table.lookup_address(places[name] + 1)
                        yield [found and found.name]

                return Table(["name"], rows())

            with self.subTest(kind), tempfile.TemporaryDirectory() as folder, patch.dict(analyse._OURS, {"a": look_up}):
                end = kernel.analyse(folder, "a")["a"]
                self.assertEqual([row["name"] for row in end["table"]], list(_NAMES[1:5]), end)

    def test_a_kernel_that_tells_no_place_of_its_table(self) -> None:
        kernel, _ = _make_kernel("since 6.15")
        kernel.vmcoreinfo = {}
        with tempfile.TemporaryDirectory() as folder, self.assertLogs("analyse"):
            end = kernel.analyse(folder, _PLUGIN)[_PLUGIN]
        self.assertEqual((end["state"], end["reason"]), ("unsupported", "the kernel's symbols have no kallsyms_num_syms"))

    def test_names_without_an_end(self) -> None:
        kernel, _ = _make_kernel("7.3")
        kernel.write_bytes(kernel.vmcoreinfo["kallsyms_num_syms"], struct.pack("<I", 1 << 30))
        with tempfile.TemporaryDirectory() as folder, self.assertLogs("analyse"):
            with patch("testing.mini_kernel.told", lambda name: {"name": name, "arguments": {"core": True}}):
                end = kernel.analyse(folder, _PLUGIN)[_PLUGIN]
        self.assertEqual(end["state"], "failed")


class ExportedSymbols(unittest.TestCase):
    def test_offsets_are_relative_to_their_own_place(self) -> None:
        kernel = make_node(kernel_symbol="i32 value_offset, i32 name_offset, i32 namespace_offset")
        at, name, value = kernel.make("kernel_symbol"), kernel.text("br_forward"), kernel.make("u64")
        kernel.put(at, "kernel_symbol", "value_offset", value - at)
        kernel.put(at, "kernel_symbol", "name_offset", name - (at + 4))

        def look(opened: Kernel, *_: Any) -> Table:
            symbol = opened.object("kernel_symbol", at)
            return Table(["name", "value"], iter([[symbol.get_name(), symbol.get_value() & opened.layer.address_mask]]))

        with tempfile.TemporaryDirectory() as folder, patch.dict(analyse._OURS, {"a": look}):
            end = kernel.analyse(folder, "a")["a"]
        self.assertEqual(end["table"], [{"name": "br_forward", "value": value & (1 << 48) - 1}], end)


class Pages(unittest.TestCase):
    def test_place_and_flags_by_each_name(self) -> None:
        before = {"page": "u64 flags, u64 index"}
        by_7_3 = {"page": "memdesc_flags_t flags, u64 __folio_index", "memdesc_flags_t": "u64 f"}
        for sentence, structs in {"before": before, "7.3": by_7_3}.items():
            kernel = make_node(**structs)
            page = kernel.make("page")
            kernel.write_bytes(page, struct.pack("<QQ", 0x14, 7))

            def look(opened: Kernel, *_: Any, page: int = page) -> Table:
                found = opened.object("page", page)
                return Table(["flags", "index"], iter([[int(found.flags), int(found.index)]]))

            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder, patch.dict(analyse._OURS, {"a": look}):
                self.assertEqual(kernel.analyse(folder, "a")["a"]["table"], [{"flags": 0x14, "index": 7}])


class Capabilities(unittest.TestCase):
    def test_both_forms_of_a_set(self) -> None:
        sets = ("inheritable", "permitted", "effective", "bset", "ambient")
        cred = "kuid_t uid, kuid_t gid, kuid_t euid, kuid_t egid, " + ", ".join(f"kernel_cap_t cap_{name}" for name in sets)
        name = "linux.capabilities.Capabilities"
        for sentence, form in {"before 6.3": "u32[2] cap", "since 6.3": "u64 val"}.items():
            kernel = make_node(kernel_cap_t=form, cred=cred)
            kernel.name("cap_last_cap", kernel.bytes(struct.pack("<i", 40)), "i32")
            credentials = kernel.symbols["a_cred"]["address"]
            # CAP_NET_RAW and CAP_BPF, of the first and of the second word.
            kernel.write_bytes(kernel.member(credentials, "cred", "cap_effective")[0], struct.pack("<Q", 1 << 13 | 1 << 39))
            with self.subTest(sentence), tempfile.TemporaryDirectory() as folder:
                end = kernel.analyse(folder, name)[name]
                self.assertEqual([row["cap_effective"] for row in end["table"]], ["net_raw, bpf"], end)


class Sockets(unittest.TestCase):
    def test_a_file_of_a_socket_without_an_inode_ends_no_scan(self) -> None:
        def fail(error: AttributeError) -> Any:
            def walk(*_: Any) -> None:
                raise error

            return patch("compat._stock_walk", walk)

        with fail(AttributeError("no inode", name="socket", obj=None)):
            self.assertIsNone(compat._walk(object(), "kernel", "memory", 0, 0))
        with fail(AttributeError("another", name="sk", obj=None)), self.assertRaises(AttributeError):
            compat._walk(object(), "kernel", "memory", 0, 0)


class Framebuffers(unittest.TestCase):
    def test_are_listed_without_a_package_that_writes_pictures(self) -> None:
        name = "linux.graphics.fbdev.Fbdev"
        for count, state in ((0, "empty"), (None, "unsupported")):
            kernel = make_node()
            if count is not None:
                kernel.name("num_registered_fb", kernel.make("u32"), "i32")
            with self.subTest(state), tempfile.TemporaryDirectory() as folder:
                end = kernel.analyse(folder, name)[name]
                self.assertEqual(end["state"], state, end)


if __name__ == "__main__":
    unittest.main()
