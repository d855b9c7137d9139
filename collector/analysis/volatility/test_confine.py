"""Attacks, carried out from inside an analysis of a real (if small) image by the whole program."""

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Any

import seccomp
from system_calls import set_process_control
from testing import attacks
from testing.collector import Collector
from testing.mini_kernel import by_plugin
from testing.node import make_node
from testing.plugins import told

_HERE = os.path.dirname(os.path.abspath(__file__))
_REFUSED = {"EPERM", "EACCES"}
_PLUGINS = [
    *("processes", "sockets", "hiddenModules", "linux.pslist.PsList", "linux.pstree.PsTree", "linux.psaux.PsAux"),
    *("linux.sockstat.Sockstat", "linux.lsof.Lsof", "linux.lsmod.Lsmod"),
]
_ATTACKS = [f"{_HERE}/testing/attacks.py"]
_ENDINGS = {
    **{"clone by clone3": "ENOSYS", "use a descriptor that leaked": "EBADF"},
    **{"write the copy that all workers read": "EBADF"},
    **{"hold a thousand descriptors": "EMFILE", "use what others have open": "EBADF"},
}
_OF_PARENTS = {
    **dict.fromkeys(("fork", "clone", "read another image", "list the evidence", "use what others have open"), "done"),
    **dict.fromkeys(("put another Landlock over it", "outlive the parent"), "done"),
    "put another filter over it": "EFAULT",
}
_KNOWN_TO_PARENTS = {"ownSecretAt": 0, "image": 0, "copy": 0}
_KNOWN_TO_WORKERS = _KNOWN_TO_PARENTS | {"runner": 0, "sibling": 0}
_LEAKED = 29
_LANDLOCK, _SECCOMP = 444, 317


def _forget(calls: tuple[int, ...]) -> None:
    set_process_control(38, 1)
    program = [seccomp._load(0)]
    for number in calls:
        program += seccomp._on(number, [seccomp._return(seccomp._ERRNO | errno.ENOSYS)])
    seccomp._install([*program, seccomp._return(seccomp._ALLOW)])


class Confined(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        written = make_node().write(self.folder)
        self.secret = ctypes.create_string_buffer(b"secret")
        for name in ("authority", "serviceaccount", "evidence/other", "outside", "cache"):
            os.makedirs(f"{self.folder}/{name}")
        self.written = written._replace(image=shutil.move(written.image, f"{self.folder}/evidence/image.lime"))
        self._write("authority/ca.key", 0o600)
        self._write("serviceaccount/token", 0o600)
        self._write("evidence/other/image.lime", 0o400)
        shutil.copy(self.written.isf, f"{self.folder}/isf-copy.json")
        self.target = {
            "parent": os.getpid(),
            "secretAt": ctypes.addressof(self.secret),
            "key": f"{self.folder}/authority/ca.key",
            "token": f"{self.folder}/serviceaccount/token",
            "otherImage": f"{self.folder}/evidence/other/image.lime",
            "isf": self.written.isf,
            "isfCopy": f"{self.folder}/isf-copy.json",
            "outside": f"{self.folder}/outside",
            "mark": f"{self.folder}/outside/shell",
            "cache": f"{self.folder}/cache",
        }
        self._write("target.json", 0o600, json.dumps(self.target))

    def _write(self, name: str, mode: int, text: str = "secret") -> None:
        with open(f"{self.folder}/{name}", "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, mode)) as file:
            file.write(text)

    def _run(
        self,
        plugins: list[str],
        program: list[str],
        must_be_confined: bool = False,
        lacking: tuple[int, ...] = (),
        workers: int = 1,
    ) -> tuple[list[dict[str, Any]], int, str]:
        """All on the last slot. `lacking` are the system calls that this machine's kernel shall not have."""
        collector = Collector(
            program,
            self.folder,
            workers,
            leaked={_LEAKED: f"{self.folder}/authority/ca.key"},
            before=lambda: _forget(lacking) if lacking else None,
        )
        collector.tell(
            {
                "isfPath": self.written.isf,
                "isfSha256": self.written.sha256,
                "plugins": [name for name in plugins if name in _PLUGINS],
                "limits": {"memoryBytes": 1 << 31, "fileBytes": 1 << 20},
                "cacheDir": f"{self.folder}/cache",
                "images": f"{self.folder}/evidence",
                "mustBeConfined": must_be_confined,
            },
            {
                "image": {"kind": "lime", "path": self.written.image},
                "kernel": {"banner": None, "buildId": None, "vmcoreinfo": self.written.note},
            },
        )
        return collector.run(plugins)

    def _attack(self, mode: str) -> dict[str, str]:
        program = [f"{_HERE}/testing/attacks.py", f"{self.folder}/target.json", mode]
        lines, _, errors = self._run(["attacks"], program, workers=2)
        if mode.endswith("parent"):
            outcomes = dict(json.loads(line) for line in errors.splitlines() if line.startswith("["))
            known = self.target | _KNOWN_TO_PARENTS
        else:
            table = by_plugin(lines).get("attacks", {"table": []})["table"]
            outcomes = {row["attack"]: row["outcome"] for row in table}
            known = self.target | _KNOWN_TO_WORKERS
        self.assertEqual(outcomes.keys(), attacks.attacks(known).keys(), errors)
        return outcomes

    def test_every_attack_is_refused(self) -> None:
        self._assert_refused(self._attack("confined"), _ENDINGS)

    def test_every_attack_is_refused_with_the_oldest_landlock_too(self) -> None:
        self._assert_refused(self._attack("oldest"), _ENDINGS)

    def test_a_parent_that_has_no_job_yet_may_fork_and_read_images_and_confine_itself_further(self) -> None:
        self._assert_refused(self._attack("parent"), _ENDINGS | _OF_PARENTS)

    def _assert_refused(self, outcomes: dict[str, str], allowed: dict[str, str]) -> None:
        succeeded = {
            name: outcome
            for name, outcome in outcomes.items()
            if outcome != allowed.get(name) and outcome not in _REFUSED
        }
        self.assertEqual(succeeded, {})
        self.assertEqual(os.listdir(f"{self.folder}/outside"), [])
        self.assertFalse(os.path.exists(f"{self.folder}/cache/new"))
        with open(f"{self.folder}/evidence/other/image.lime", encoding="utf-8") as image:
            self.assertEqual(image.read(), "secret")

    @unittest.skipUnless(os.geteuid() == 0, "without rights the attacks fail anyway")
    def test_each_attack_is_one(self) -> None:
        """Without confinement none is refused: what is refused with it is refused by it."""
        outcomes = self._attack("unconfined")
        refused = {name: outcome for name, outcome in outcomes.items() if outcome in _REFUSED | {"ENOSYS"}}
        self.assertEqual(refused, {})
        self.assertIn("shell", os.listdir(f"{self.folder}/outside"))

    @unittest.skipUnless(os.geteuid() == 0, "without rights the attacks fail anyway")
    def test_each_attack_of_a_parent_is_one(self) -> None:
        outcomes = self._attack("unconfined-parent")
        refused = {name: outcome for name, outcome in outcomes.items() if outcome in _REFUSED | {"ENOSYS"}}
        self.assertEqual(refused, {})

    def test_memory_that_a_process_does_without_is_still_to_be_had(self) -> None:
        script = """
import mmap, resource
from confine import confine, confine_worker, set_limits
set_limits(1 << 31, 4096)
level = confine_worker(confine([])).level
private = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
private.madvise(mmap.MADV_HUGEPAGE)
private.madvise(mmap.MADV_DONTNEED)
print(level, resource.getrlimit(resource.RLIMIT_NOFILE))
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual((ended.stdout, ended.stderr), ("full (64, 64)\n", ""))

    def test_calls_of_another_architecture_end_the_process(self) -> None:
        for name in attacks.DEADLY:
            with self.subTest(name):
                plugin = name.replace(" ", "_").replace("-", "_")
                lines, _, _ = self._run([plugin], [*_ATTACKS, f"{self.folder}/target.json", "confined"])
                self.assertEqual(lines[-1], {"type": "died", "signal": "SIGSYS"})

    def test_a_library_that_aborts_ends_the_process_all_the_same(self) -> None:
        lines, _, _ = self._run([attacks.ABORT], [*_ATTACKS, f"{self.folder}/target.json", "confined"])
        self.assertIn("signal", lines[-1])

    def test_an_analysis_finds_what_it_finds_without_confinement(self) -> None:
        lines, status, errors = self._run(_PLUGINS, [f"{_HERE}/run.py"], workers=2)
        self.assertEqual(status, 0, errors)
        self.assertEqual(lines[0]["type"], "confined")
        self.assertEqual((lines[0]["level"], lines[0]["seccomp"]), ("full", True))
        free = make_node().analyse(self.folder, *_PLUGINS)
        for name, found in by_plugin(lines).items():
            with self.subTest(name):
                for each in (found, free[name]):
                    each.pop("seconds")
                self.assertEqual(found, free[name])

    def test_a_kernel_that_lacks_a_part_is_told_and_refused_if_that_was_asked_for(self) -> None:
        cases = {
            "Landlock": ((_LANDLOCK,), "partial", (0, True)),
            "seccomp": ((_SECCOMP,), "partial", None),
            "Landlock and seccomp": ((_LANDLOCK, _SECCOMP), "none", (0, False)),
        }
        for name, (lacking, level, parts) in cases.items():
            with self.subTest(name):
                lines, status, _ = self._run(["processes"], [f"{_HERE}/run.py"], lacking=lacking)
                self.assertEqual((lines[0]["type"], lines[0]["level"], status), ("confined", level, 0))
                if parts is not None:
                    self.assertEqual((lines[0]["landlockAbi"], lines[0]["seccomp"]), parts)
                lines, _, _ = self._run(["processes"], [f"{_HERE}/run.py"], must_be_confined=True, lacking=lacking)
                self.assertEqual([line["type"] for line in lines], ["fatal"])
                self.assertEqual(lines[0]["reason"], "unconfined")
                self.assertIn(f"without {name},", lines[0]["detail"])
        lines, status, _ = self._run(["processes"], [f"{_HERE}/run.py"], must_be_confined=True)
        self.assertEqual((lines[-1], status), ({"type": "died", "exit": 0}, 0))

    def test_one_process_may_fork_workers_that_fork_no_more(self) -> None:
        script = """
import os, sys
from confine import confine, confine_worker
read, write = os.pipe()
reached = confine([])
worker = os.fork()
if worker == 0:
    level = confine_worker(reached).level
    for fork in (os.fork, lambda: sys.modules["seccomp"].system_call(57)):
        try:
            fork()
        except PermissionError:
            os.write(write, level.encode() + b" ")
    os._exit(0)
os.close(write)
os.waitpid(worker, 0)
print(os.read(read, 100).decode())
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual((ended.stdout, ended.stderr), ("full full \n", ""))

    def test_every_system_call_that_is_not_on_the_list_is_refused(self) -> None:
        script = """
import errno, seccomp
from confine import confine, confine_worker
from system_calls import system_call
confine_worker(confine([]))
# uretprobe and uprobe pass every filter by the kernel's design, and are a signal where there is no probe.
asked = {seccomp._OPENAT, seccomp._PRLIMIT, seccomp._IOCTL, seccomp._FCNTL, seccomp._MMAP, seccomp._MADVISE}
some = asked | {335, 336}
for number in set(range(1024)) - set(seccomp._ALLOWED.values()) - some:
    try:
        print(number, system_call(number, 0, 0, 0, 0, 0, 0))
    except OSError as error:
        if error.errno != errno.EPERM:
            print(number, errno.errorcode[error.errno])
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual((ended.stdout, ended.stderr, ended.returncode), (f"{seccomp._CLONE3} ENOSYS\n", "", 0))

    def test_no_library_prints_between_the_lines_and_python_says_what_is_not_allowed(self) -> None:
        script = """
import os, socket, subprocess, urllib.request
from confine import confine, confine_worker, set_limits, take_stdout
lines = take_stdout(3)
set_limits(1 << 31, 4096)
confine_worker(confine([]))
print("noise", flush=True)
def refused(attempt):
    try:
        attempt()
    except OSError as error:
        return "is not allowed in an analysis" in str(error) or repr(error)
    return False
print(refused(lambda: socket.create_connection(("127.0.0.1", 9))),
      refused(lambda: urllib.request.urlopen("http://127.0.0.1:9/")),
      refused(lambda: subprocess.run(["true"])),
      refused(lambda: os.system("true")),
      refused(os.fork), file=lines, flush=True)
"""
        ended = subprocess.run([sys.executable, "-c", script], cwd=_HERE, capture_output=True, text=True, check=False)
        self.assertEqual(ended.stdout, "True True True True True\n")
        self.assertIn("noise", ended.stderr)


if __name__ == "__main__":
    unittest.main()
