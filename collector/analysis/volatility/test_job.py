import json
import unittest
from typing import Any

from fatal import Fatal
from job import Image, Plugin, parse_job


def _job(**changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "image": {"kind": "lime"},
        "isfPath": "/symbols/x.json",
        "isfSha256": "ab",
        "kernel": {"banner": "Linux version 6.1.0 (x)\n", "vmcoreinfo": "OSRELEASE=6.1.0"},
        "plugins": [{"name": "processes"}, {"name": "linux.lsof.Lsof", "neverEmpty": True, "processes": "some"}],
        "limits": {"memoryBytes": 1 << 30, "fileBytes": 1 << 20},
        "cacheDir": "/run/private",
        "mustBeConfined": False,
    }
    return job | changes


class ParseJob(unittest.TestCase):
    def test_a_whole_job(self) -> None:
        job = parse_job(json.dumps(_job()))
        self.assertEqual(job.image, Image("lime", descriptor=3))
        self.assertEqual(job.banner, "Linux version 6.1.0 (x)")
        self.assertEqual(job.plugins, (Plugin("processes"), Plugin("linux.lsof.Lsof", True, "some")))

    def test_accelerations_are_on_unless_they_are_switched_off(self) -> None:
        self.assertTrue(parse_job(json.dumps(_job())).accelerated)
        self.assertFalse(parse_job(json.dumps(_job(accelerated=False))).accelerated)

    def test_an_image_that_the_collector_reads_has_a_size(self) -> None:
        job = parse_job(json.dumps(_job(image={"kind": "ranges", "sizeBytes": 4096})))
        self.assertEqual(job.image, Image("ranges", size_bytes=4096))

    def test_a_node_that_told_no_banner(self) -> None:
        for banner in (None, " \n"):
            job = parse_job(json.dumps(_job(kernel={"banner": banner, "vmcoreinfo": ""})))
            self.assertIsNone(job.banner)

    def test_a_build_id_is_hexadecimal_or_none(self) -> None:
        cases = {"0f" * 20: "0f" * 20, "": None, "0F" * 20: None, "0f": None, "0f" * 20 + "\n": None, "0f" * 33: None}
        for told, build_id in cases.items():
            with self.subTest(told):
                job = parse_job(json.dumps(_job(kernel={"banner": None, "buildId": told, "vmcoreinfo": ""})))
                self.assertEqual(job.build_id, build_id)
        self.assertIsNone(parse_job(json.dumps(_job())).build_id)

    def test_a_bad_job_names_the_field(self) -> None:
        cases = {
            "isfPath": _job(isfPath="http://symbols/x.json"),
            "image.kind": _job(image=[]),
            "image.sizeBytes": _job(image={"kind": "ranges"}),
            "kernel.banner": _job(kernel={"banner": 5, "vmcoreinfo": ""}),
            "kernel.buildId": _job(kernel={"banner": None, "buildId": 5, "vmcoreinfo": ""}),
            "limits.memoryBytes": _job(limits={"memoryBytes": True, "fileBytes": 1}),
            "limits.fileBytes": _job(limits={"memoryBytes": 1, "fileBytes": 0}),
            "plugins": _job(plugins=[{"name": "processes"}, {"name": "processes", "tree": True}]),
            "mustBeConfined": _job(mustBeConfined="yes"),
            "field plugins": _job(plugins=[{"name": "../../os"}]),
            "holds something": _job(plugins=["processes"]),
            "plugins.processes": _job(plugins=[{"name": "processes", "processes": "all"}]),
            "neverEmpty": _job(plugins=[{"name": "processes", "neverEmpty": "yes"}]),
        }
        for field, job in cases.items():
            with self.subTest(field), self.assertRaises(Fatal) as raised:
                parse_job(json.dumps(job))
            self.assertEqual(raised.exception.reason, "job_rejected")
            self.assertIn(field, raised.exception.detail)

    def test_what_is_not_a_json_object_is_refused(self) -> None:
        for text in ("", "hello", "[]", "7", "[" * 100_000):
            with self.subTest(text[:10]), self.assertRaises(Fatal):
                parse_job(text)
