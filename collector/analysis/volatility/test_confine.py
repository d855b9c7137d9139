"""Attacks, carried out from inside an analysis of a real (if small) image by the whole program."""

import ctypes
import errno
import fcntl
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
from testing.mini_kernel import by_plugin
from testing.node import make_node
from testing.plugins import told

_HERE = os.path.dirname(os.path.abspath(__file__))
_REFUSED = {"EPERM", "EACCES"}
_PLUGINS = [
    *("processes", "sockets", "hiddenModules", "linux.pslist.PsList", "linux.pstree.PsTree", "linux.psaux.PsAux"),
    *("linux.sockstat.Sockstat", "linux.lsof.Lsof", "linux.lsmod.Lsmod"),
]
_LEAKED = 9
_LANDLOCK, _SECCOMP = 444, 317


def _open_high(path: str) -> int:
    """Above the descriptors that a child gets: one that is there already would keep its close-on-exec flag."""
    low = os.open(path, os.O_RDONLY)
    high = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 100)
    os.close(low)
    return high


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
        self.written = make_node().write(self.folder)
        self.secret = ctypes.create_string_buffer(b"secret")
        for name in ("authority", "serviceaccount", "evidence/other", "outside", "cache"):
            os.makedirs(f"{self.folder}/{name}")
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
        self, plugins: list[str], program: list[str], must_be_confined: bool = False, lacking: tuple[int, ...] = ()
    ) -> tuple[list[dict[str, Any]], subprocess.CompletedProcess[bytes]]:
        """`lacking` are the system calls that this machine's kernel shall not have."""
        job = {
            "image": {"kind": "lime"},
            "isfPath": self.written.isf,
            "isfSha256": self.written.sha256,
            "kernel": {"banner": None, "buildId": None, "vmcoreinfo": self.written.note},
            "plugins": [told(name) for name in plugins],
            "limits": {"memoryBytes": 1 << 31, "fileBytes": 1 << 20},
            "cacheDir": f"{self.folder}/cache",
            "mustBeConfined": must_be_confined,
        }
        image = _open_high(self.written.image)
        leaked = _open_high(f"{self.folder}/authority/ca.key")

        def hand_over() -> None:
            os.dup2(leaked, _LEAKED, inheritable=True)
            os.dup2(image, 3, inheritable=True)
            if lacking:
                _forget(lacking)

        try:
            ended = subprocess.run(
                [sys.executable, "-B", *program],
                input=json.dumps(job).encode(),
                capture_output=True,
                env={"PATH": "/usr/bin:/bin", "HOME": f"{self.folder}/cache"},
                cwd=f"{self.folder}/cache",
                preexec_fn=hand_over,
                close_fds=False,
                check=False,
            )
        finally:
            os.close(image)
            os.close(leaked)
        return [json.loads(line) for line in ended.stdout.splitlines()], ended

    def _attack(self, *mode: str) -> dict[str, str]:
        program = [f"{_HERE}/testing/attacks.py", f"{self.folder}/target.json", *mode]
        lines, ended = self._run(["attacks"], program)
        table = by_plugin(lines).get("attacks", {"table": []})["table"]
        outcomes = {row["attack"]: row["outcome"] for row in table}
        self.assertEqual(outcomes.keys(), attacks.attacks(self.target).keys(), ended)
        return outcomes

    def test_every_attack_is_refused(self) -> None:
        self._assert_refused(self._attack())

    def test_every_attack_is_refused_with_the_oldest_landlock_too(self) -> None:
        self._assert_refused(self._attack("oldest"))

    def _assert_refused(self, outcomes: dict[str, str]) -> None:
        allowed = {
            **{"clone by clone3": "ENOSYS", "use a descriptor that leaked": "EBADF"},
            **{"hold a thousand descriptors": "EMFILE"},
        }
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
                _, ended = self._run([plugin], [f"{_HERE}/testing/attacks.py", f"{self.folder}/target.json"])
                self.assertEqual(ended.returncode, -signal.SIGSYS, ended.stderr)

    def test_a_library_that_aborts_ends_the_process_all_the_same(self) -> None:
        _, ended = self._run([attacks.ABORT], [f"{_HERE}/testing/attacks.py", f"{self.folder}/target.json"])
        self.assertLess(ended.returncode, 0, ended.stderr)

    def test_an_analysis_finds_what_it_finds_without_confinement(self) -> None:
        lines, ended = self._run(_PLUGINS, [f"{_HERE}/run.py"])
        self.assertEqual(ended.returncode, 0, ended)
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
                lines, ended = self._run(["processes"], [f"{_HERE}/run.py"], lacking=lacking)
                self.assertEqual((lines[0]["type"], lines[0]["level"], ended.returncode), ("confined", level, 0))
                if parts is not None:
                    self.assertEqual((lines[0]["landlockAbi"], lines[0]["seccomp"]), parts)
                lines, ended = self._run(["processes"], [f"{_HERE}/run.py"], must_be_confined=True, lacking=lacking)
                self.assertEqual([line["type"] for line in lines], ["confined", "fatal"])
                self.assertEqual(lines[1]["reason"], "unconfined")
                self.assertIn(f"without {name},", lines[1]["detail"])
        lines, ended = self._run(["processes"], [f"{_HERE}/run.py"], must_be_confined=True)
        self.assertEqual((lines[-1]["type"], ended.returncode), ("done", 0))

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
lines = take_stdout()
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
