"""The program as its caller sees it: a child process, its lines and its exit status."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from typing import Any

_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")
_VMCOREINFO = "KERNELOFFSET=0\nSYMBOL(swapper_pg_dir)=ffffffff82a10000\nNUMBER(phys_base)=0\n"


class Run(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def _run(self, stdin: str) -> tuple[list[dict[str, Any]], int]:
        environment = {**os.environ, "HOME": self.folder, "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(
            [sys.executable, _RUN], input=stdin.encode(), capture_output=True, env=environment, timeout=120, check=False
        )
        return [json.loads(line) for line in ended.stdout.splitlines()], ended.returncode

    def _job(self, **changes: Any) -> str:
        job = {
            "image": {"kind": "lime"},
            "isfPath": f"{self.folder}/none.json",
            "isfSha256": "ab",
            "kernel": {"banner": None, "vmcoreinfo": _VMCOREINFO},
            "plugins": [{"name": "processes"}],
            "limits": {"memoryBytes": 1 << 31, "fileBytes": 1 << 20},
            "cacheDir": f"{self.folder}/cache",
            "mustBeConfined": False,
        }
        return json.dumps(job | changes)

    def test_a_run_that_cannot_begin_is_one_fatal_line_and_status_3(self) -> None:
        cases = {
            "no job": ("", "job_rejected"),
            "a kernel that tells nothing about itself": (
                self._job(kernel={"banner": None, "vmcoreinfo": ""}),
                "kernel_unknown",
            ),
            "an image that is not there": (self._job(), "image_rejected"),
        }
        for sentence, (stdin, reason) in cases.items():
            with self.subTest(sentence):
                lines, status = self._run(stdin)
                said = [(line["type"], line["reason"]) for line in lines if line["type"] != "confined"]
                self.assertEqual(said, [("fatal", reason)])
                self.assertEqual(status, 3)

    def test_nothing_is_written_outside_the_private_folder(self) -> None:
        self._run("")
        self._run(self._job())
        self.assertEqual(os.listdir(self.folder), ["cache"])
