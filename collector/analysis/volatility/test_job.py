import json
import unittest
from typing import Any

from fatal import Fatal
from job import Image, Plugin, parse_job, parse_plugin, parse_preparation


def _preparation(**changes: Any) -> str:
    preparation: dict[str, Any] = {
        "isfPath": "/symbols/x.json",
        "isfSha256": "ab",
        "plugins": ["processes", "linux.lsof.Lsof"],
        "limits": {"memoryBytes": 1 << 30, "fileBytes": 1 << 20},
        "cacheDir": "/run/private",
        "images": "/evidence",
        "mustBeConfined": False,
    }
    return json.dumps(preparation | changes)


def _job(**changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "image": {"kind": "lime", "path": "/evidence/image.lime"},
        "kernel": {"banner": "Linux version 6.1.0 (x)\n", "vmcoreinfo": "OSRELEASE=6.1.0"},
    }
    return job | changes


class ParsePreparation(unittest.TestCase):
    def test_a_whole_one(self) -> None:
        preparation = parse_preparation(_preparation())
        self.assertEqual(preparation.plugins, ("processes", "linux.lsof.Lsof"))
        self.assertEqual((preparation.memory_bytes, preparation.file_bytes), (1 << 30, 1 << 20))

    def test_a_bad_one_names_the_field(self) -> None:
        cases = {
            "isfPath": _preparation(isfPath="http://symbols/x.json"),
            "limits.memoryBytes": _preparation(limits={"memoryBytes": True, "fileBytes": 1}),
            "limits.fileBytes": _preparation(limits={"memoryBytes": 1, "fileBytes": 0}),
            "mustBeConfined": _preparation(mustBeConfined="yes"),
            "field plugins": _preparation(plugins=["../../os"]),
            "holds something": _preparation(plugins=[5]),
            "images": _preparation(images="evidence"),
        }
        for field, text in cases.items():
            with self.subTest(field), self.assertRaises(Fatal) as raised:
                parse_preparation(text)
            self.assertEqual(raised.exception.reason, "job_rejected")
            self.assertIn(field, raised.exception.detail)

    def test_accelerations_are_on_unless_they_are_switched_off(self) -> None:
        self.assertTrue(parse_preparation(_preparation()).accelerated)
        self.assertFalse(parse_preparation(_preparation(accelerated=False)).accelerated)


class ParseJob(unittest.TestCase):
    def test_a_whole_job(self) -> None:
        job = parse_job(json.dumps(_job()))
        self.assertEqual(job.image, Image("lime", path="/evidence/image.lime"))
        self.assertEqual(job.banner, "Linux version 6.1.0 (x)")

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
            "image.kind": _job(image=[]),
            "image.path": _job(image={"kind": "lime"}),
            "image.sizeBytes": _job(image={"kind": "ranges"}),
            "kernel.banner": _job(kernel={"banner": 5, "vmcoreinfo": ""}),
            "kernel.buildId": _job(kernel={"banner": None, "buildId": 5, "vmcoreinfo": ""}),
        }
        for field, job in cases.items():
            with self.subTest(field), self.assertRaises(Fatal) as raised:
                parse_job(json.dumps(job))
            self.assertEqual(raised.exception.reason, "job_rejected")
            self.assertIn(field, raised.exception.detail)

    def test_what_is_not_a_json_object_is_refused(self) -> None:
        for text in ("", "hello", "[]", "7", "[" * 100_000):
            for parse in (parse_job, parse_preparation):
                with self.subTest(text[:10]), self.assertRaises(Fatal):
                    parse(text)


class ParsePlugin(unittest.TestCase):
    def test_what_the_collector_knows_of_it(self) -> None:
        told = {"name": "linux.lsof.Lsof", "neverEmpty": True, "processes": "some"}
        self.assertEqual(parse_plugin(told), Plugin("linux.lsof.Lsof", True, "some"))
        self.assertEqual(parse_plugin({"name": "processes"}), Plugin("processes"))

    def test_arguments(self) -> None:
        values = {"pid": [1, 2], "inode": "0xffff888000000000", "wide": True, "hexdump-size": 64}
        plugin = parse_plugin({"name": "x.Y", "needs": ["inode"], "arguments": values})
        self.assertEqual(plugin, Plugin("x.Y", needs=("inode",), arguments=values))

    def test_a_bad_one_names_the_field(self) -> None:
        cases: dict[str, Any] = {
            "holds something": "processes",
            "no plugin": {"name": "../../os"},
            "plugins.processes": {"name": "processes", "processes": "all"},
            "neverEmpty": {"name": "processes", "neverEmpty": "yes"},
            "plugins.needs": {"name": "processes", "needs": "pattern"},
            "plugins.arguments": {"name": "processes", "arguments": ["x"]},
            **{
                f"plugins.arguments of {name}": {"name": name, "arguments": {argument: value}}
                for name, argument, value in (
                    ("dots", "a.b", 1),
                    ("negative", "a", -1),
                    ("large", "a", 1 << 32),
                    ("fraction", "a", 0.5),
                    ("nothing", "a", None),
                    ("nested", "a", [[1]]),
                    ("flags", "a", [True]),
                    ("long", "a", "x" * 4097),
                    ("nul", "a", "x\0"),
                    ("many", "a", [1] * 257),
                    ("odd", "a.b", [1]),
                )
            },
        }
        for field, told in cases.items():
            with self.subTest(field), self.assertRaises(Fatal) as raised:
                parse_plugin(told)
            self.assertIn(field, raised.exception.detail)
