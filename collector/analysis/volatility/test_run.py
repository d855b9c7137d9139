"""The program as its caller sees it: a child process, its lines and its exit status."""

import os
import struct
import tempfile
import unittest
from typing import Any

from testing.collector import Collector
from testing.mini_kernel import Written
from testing.node import make_node

_HEADER = struct.Struct("<IIQQQ")
_LARGE = 64 << 30
_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")


class Run(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def _run(self, *told: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
        collector = Collector([_RUN], self.folder)
        collector.tell(*told)
        lines, status, _ = collector.run([])
        return lines, status

    def _preparation(self, **changes: Any) -> dict[str, Any]:
        preparation = {
            "isfPath": f"{self.folder}/none.json",
            "isfSha256": "ab",
            "plugins": ["processes"],
            "limits": {"memoryBytes": 1 << 31, "fileBytes": 1 << 20},
            "cacheDir": f"{self.folder}/cache",
            "images": self.folder,
            "mustBeConfined": False,
        }
        return preparation | changes

    def test_a_run_that_cannot_begin_is_one_fatal_line_and_status_3(self) -> None:
        written = make_node().write(self.folder)
        isf = self._preparation(isfPath=written.isf, isfSha256=written.sha256)
        image = {"kind": "lime", "path": written.image}
        told = {"banner": None, "buildId": None, "vmcoreinfo": written.note}
        none = {"kind": "lime", "path": f"{self.folder}/none.lime"}
        cases: dict[str, tuple[list[dict[str, Any]], str]] = {
            "nothing to prepare": ([{}], "job_rejected"),
            "no symbols": ([self._preparation()], "symbols_rejected"),
            "no job": ([isf, {}], "job_rejected"),
            "an image that is not there": ([isf, {"image": none, "kernel": told}], "image_rejected"),
        }
        for sentence, (objects, reason) in cases.items():
            with self.subTest(sentence):
                lines, status = self._run(*objects)
                said = [(line["type"], line["reason"]) for line in lines if line["type"] != "confined"]
                self.assertEqual((said, status), ([("fatal", reason)], 3))
        with self.subTest("a kernel that tells nothing about itself"):
            lines, status = self._run(isf, {"image": image, "kernel": {**told, "vmcoreinfo": ""}})
            self.assertEqual([line["type"] for line in lines], ["confined", "fatal", "died"])
            self.assertEqual((lines[1]["reason"], lines[2]["exit"], status), ("kernel_unknown", 3, 0))

    def test_a_parent_that_is_not_needed_ends(self) -> None:
        written = make_node().write(self.folder)
        lines, status = self._run(self._preparation(isfPath=written.isf, isfSha256=written.sha256))
        self.assertEqual((lines, status), ([], 0))

    def test_nothing_is_written_outside_the_private_folder(self) -> None:
        os.mkdir(f"{self.folder}/images")
        written = make_node().write(f"{self.folder}/images")
        self._run(self._preparation(isfPath=written.isf, isfSha256=written.sha256))
        self.assertEqual(sorted(os.listdir(self.folder)), ["cache", "images"])

    def test_an_image_of_64_gib_takes_no_more_memory_than_a_small_one(self) -> None:
        written = make_node().write(self.folder)
        beyond = os.path.getsize(written.image) - _HEADER.size
        start = 0x1000000 + beyond
        with open(written.image, "ab") as image:
            image.write(_HEADER.pack(0x4C694D45, 1, start, start + _LARGE - 1, 0))
            image.truncate(image.tell() + _LARGE)
        collector = self._start(written, workers=2, limits={"memoryBytes": 1 << 29, "fileBytes": 1 << 20})
        lines, status, errors = collector.run(["processes", "linux.pslist.PsList"])
        ends = {line["plugin"]: line["state"] for line in lines if line["type"] == "plugin"}
        self.assertEqual((ends, status), ({"processes": "rows", "linux.pslist.PsList": "rows"}, 0), errors)

    def test_a_worker_ends_with_its_parent(self) -> None:
        collector = self._start(make_node().write(self.folder))
        heard = b""
        while b'"type":"kernel"' not in heard:
            heard += collector.slot(0).recv(1 << 16)
        collector.process.kill()
        # As long as it lives it has the other end open.
        self.assertEqual(collector.slot(0).recv(1), b"")
        collector.run([])

    def _start(self, written: Written, workers: int = 1, **changes: Any) -> Collector:
        collector = Collector([_RUN], self.folder, workers)
        collector.tell(
            self._preparation(isfPath=written.isf, isfSha256=written.sha256, **changes),
            {
                "image": {"kind": "lime", "path": written.image},
                "kernel": {"banner": None, "buildId": None, "vmcoreinfo": written.note},
            },
        )
        return collector
