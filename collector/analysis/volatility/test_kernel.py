"""Opens the memory of a kernel that holds its banner, its notes and its page tables, and nothing else."""

import base64
import hashlib
import json
import os
import pathlib
import struct
import tempfile
import unittest
from typing import Any

from fatal import Fatal
from job import Image, Job
from kernel import Kernel, open_kernel
from symbols import load_symbols

_MAP = 0xFFFFFFFF80000000
_BASE = 0x1000000
_BANNER, _NOTES, _TOP_TABLE = _MAP + _BASE, _MAP + _BASE + 0x800, _MAP + _BASE + 0x1000
_TOLD = "Linux version 6.17.1-test (b@h) (gcc-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0) #9-Ubuntu SMP"
_UBUNTU = f"{_TOLD} (Ubuntu 6.17.1-9.9-test 6.17.1)"
_OTHER = _TOLD.replace("#9", "#8")
_BUILD_ID = "0f" * 20
_TYPES = (
    "address_space cred dentry file files_struct fs_struct hlist_head idr in_device in_ifaddr inet6_dev inet6_ifaddr "
    "inet_sock inode kobject list_head mm_struct net net_device page qstr sock socket super_block task_struct "
    "unix_sock vfsmount vm_area_struct"
).split()


def _note(name: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<III", len(name), len(value), kind) + name + value + bytes(-len(value) % 4)


def _memory(banner: str, notes: bytes) -> bytes:
    """A LiME image: banner and notes, the top page table, and one below it that maps 2 MiB by way of itself."""
    first = banner.encode() + b"\n\0"
    page = first + bytes(0x800 - len(first)) + notes + bytes(0x800 - len(notes))
    tables = {0x1000 + 511 * 8: _BASE + 0x2067, 0x2000 + 510 * 8: _BASE + 0x3067, 0x3000 + 8 * 8: _BASE + 0x1E3}
    memory = bytearray(page + bytes(0x3000))
    for offset, entry in tables.items():
        memory[offset : offset + 8] = struct.pack("<Q", entry)
    return struct.pack("<IIQQQ", 0x4C694D45, 1, _BASE, _BASE + len(memory) - 1, 0) + memory


def _symbols(banner: str, notes_bytes: int) -> str:
    symbols: dict[str, Any] = {
        "linux_banner": {"address": _BANNER, "constant_data": base64.b64encode(f"{banner}\n\0".encode()).decode()},
        "_stext": {"address": _BANNER},
        "__start_notes": {"address": _NOTES},
        "__stop_notes": {"address": _NOTES + notes_bytes},
    }
    base = {"size": 8, "signed": False, "kind": "int", "endian": "little"}
    return json.dumps(
        {
            "metadata": {"format": "6.2.0", "producer": {"name": "test", "version": "1"}},
            "base_types": {"pointer": base},
            "user_types": {name: {"size": 8, "fields": {}, "kind": "struct"} for name in _TYPES},
            "enums": {},
            "symbols": symbols,
        }
    )


class OpenKernel(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def _open(
        self,
        told: str | None,
        symbols: str,
        image: str,
        *,
        build_id: str | None = None,
        notes: bytes = b"",
        notes_bytes: int | None = None,
    ) -> Kernel:
        isf = _symbols(symbols, len(notes) if notes_bytes is None else notes_bytes)
        (self.folder / "kernel.json").write_text(isf, encoding="utf-8")
        (self.folder / "image.lime").write_bytes(_memory(image, notes))
        image_file = os.open(self.folder / "image.lime", os.O_RDONLY)
        self.addCleanup(os.close, image_file)
        return open_kernel(
            load_symbols(os.fspath(self.folder / "kernel.json"), hashlib.sha256(isf.encode()).hexdigest()),
            Job(
                image=Image("lime", descriptor=image_file),
                banner=told,
                vmcoreinfo=(
                    f"KERNELOFFSET=0\nSYMBOL(swapper_pg_dir)={_TOP_TABLE:x}\n"
                    f"SYMBOL(_stext)={_BANNER:x}\nNUMBER(phys_base)=0\n"
                ),
                build_id=build_id,
            ),
        )

    def test_symbols_are_found_by_their_address_in_the_layer(self) -> None:
        kernel = self._open(_TOLD, _TOLD, _TOLD)
        address = _BANNER & kernel.layer.address_mask
        self.assertEqual(kernel.module.get_symbol("linux_banner").address, address)
        names = {name.split("!")[1] for name in kernel.module.get_symbols_by_absolute_location(address)}
        self.assertEqual(names, {"linux_banner", "_stext"})

    def test_banners_of_one_kernel(self) -> None:
        cases = {
            "all the same": (_TOLD, _TOLD, _TOLD),
            "Ubuntu, symbols from its file": (_TOLD, _UBUNTU, _UBUNTU),
            "Ubuntu, symbols from the node": (_TOLD, _TOLD, _UBUNTU),
            "a node that tells nothing": (None, _UBUNTU, _UBUNTU),
            "a node that tells nothing, symbols from a node": (None, _TOLD, _UBUNTU),
        }
        for sentence, (told, symbols, image) in cases.items():
            with self.subTest(sentence):
                kernel = self._open(told, symbols, image)
                self.assertEqual((kernel.banner, kernel.differs), (image, False))

    def test_a_node_that_lies_about_its_kernel_is_found_out(self) -> None:
        cases = {
            "another banner in the image": (_TOLD, _TOLD, _OTHER),
            "another one, with a group": (_TOLD, _TOLD, _UBUNTU.replace("#9", "#8")),
            "two groups": (_TOLD, _TOLD, f"{_UBUNTU} (x)"),
            "a group that only the node tells": (_UBUNTU, _UBUNTU, _TOLD),
            "another group than that of the symbols": (_TOLD, _UBUNTU, f"{_TOLD} (Ubuntu 6.17.1-9.8-test 6.17.1)"),
            "no group where the symbols have one": (_TOLD, _UBUNTU, _TOLD),
        }
        for sentence, (told, symbols, image) in cases.items():
            with self.subTest(sentence):
                kernel = self._open(told, symbols, image)
                self.assertEqual((kernel.banner, kernel.differs), (image, True))

    def test_symbols_of_another_kernel_are_not_used(self) -> None:
        for sentence, symbols in {"another": _OTHER, "two groups": f"{_UBUNTU} (x)", "less": _TOLD[:-4]}.items():
            with self.subTest(sentence), self.assertRaises(Fatal) as raised:
                self._open(_TOLD, symbols, _TOLD)
            self.assertEqual(raised.exception.reason, "symbols_mismatch")

    def test_the_build_id_in_the_image(self) -> None:
        xen = _note(b"Xen\0", 6, b"linux\0")
        real = _note(b"GNU\0", 3, bytes.fromhex(_BUILD_ID))
        padded = xen + bytes(-len(xen) % 8 + 4) + _note(b"GNU\0", 5, bytes(16))
        cases: dict[str, tuple[bytes, str | None, str | None, bool]] = {
            "is the node's": (xen + real, _BUILD_ID, _BUILD_ID, False),
            "is another, though the banners match": (xen + real, "0e" * 20, _BUILD_ID, True),
            "was not told by the node": (real, None, _BUILD_ID, False),
            "comes after notes that are padded to 8 bytes": (padded + real, "0e" * 20, _BUILD_ID, True),
            "is not among the notes": (xen, _BUILD_ID, None, False),
            "is cut off": (real[:-1], _BUILD_ID, None, False),
            "has no end": (b"\xff" * 64, _BUILD_ID, None, False),
        }
        for sentence, (notes, told, found, differs) in cases.items():
            with self.subTest(sentence):
                kernel = self._open(_TOLD, _TOLD, _UBUNTU, build_id=told, notes=notes)
                self.assertEqual((kernel.build_id, kernel.differs), (found, differs))

    def test_an_equal_build_id_does_not_excuse_another_banner(self) -> None:
        notes = _note(b"GNU\0", 3, bytes.fromhex(_BUILD_ID))
        self.assertTrue(self._open(_TOLD, _TOLD, _OTHER, build_id=_BUILD_ID, notes=notes).differs)

    def test_notes_of_a_size_that_cannot_be(self) -> None:
        for size in (-8, 0, 1 << 40, 1 << 16):
            with self.subTest(str(size)):
                kernel = self._open(_TOLD, _TOLD, _TOLD, build_id=_BUILD_ID, notes_bytes=size)
                self.assertEqual((kernel.build_id, kernel.differs), (None, False))
