"""run.py with an analysis that misbehaves on demand: in a plugin as its name says, before the first as the node's banner
says, and the parent as its symbol file is called. It reads nothing, is not confined, and needs no Volatility."""

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

import run
import worker
from confine import Confinement
from fatal import Fatal
from job import Job, Plugin, Preparation
from lines import Lines
from testing.asker import Asker
from testing.impostor import Impostor
from testing.network import interfaces, is_up
from testing.speaker import kill, raw

_BANNER, _BUILD_ID = "banner of the image", "ab" * 20
_told = ""
_stdout = 1


class _Analysis(Impostor, Asker):
    """Of one worker."""

    def open(self) -> None:
        banner = self.job.banner or ""
        if banner == "prints what it is told":
            raw("".join(f"{line}\n" for line in self.job.vmcoreinfo.splitlines()[:-1]))
            return
        match banner:
            case "says fatal":
                raise Fatal("symbols_mismatch", "The symbols are of another kernel.")
            case "lacks a module":
                raise ModuleNotFoundError("No module named 'volatility3'")
            case "hangs":
                signal.pause()
            case "dies by a signal":
                kill("SIGSEGV")
            case "ends silently":
                os._exit(0)
            case "prints rubbish":
                raw("Progress: 100.00\n")
            case "runs a plugin at once":
                self.start("before")
        other_build = self.job.build_id not in (None, _BUILD_ID)
        kernel = {"imageBanner": _BANNER, "imageBuildId": _BUILD_ID, "pagingLevels": 4, "kernelOffset": "0x0"}
        differs = other_build or banner != _BANNER
        self.lines.write({"type": "kernel", "dtb": "0x1", "kernelMismatch": differs, **kernel})

    def run(self, plugin: str) -> None:
        self.start(plugin)
        misbehave: Callable[[str], None] | None = getattr(self, f"_{plugin}", None)
        if misbehave is not None:
            misbehave(plugin)
            return
        self.rows(plugin, [[os.getpid()], ["two"]])
        self.end(plugin, "rows", 2)

    def _hang(self, _: str) -> None:
        signal.pause()

    def _waits(self, plugin: str) -> None:
        """Has two rows, and ends with a third after SIGUSR1."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        self.rows(plugin, [[os.getpid()], ["\x1b[2J\ud800"]])
        signal.sigwait([signal.SIGUSR1])
        self.rows(plugin, [["last"]])
        self.end(plugin, "rows", 3)

    def _many(self, plugin: str) -> None:
        for batch in range(200):
            self.rows(plugin, [[batch * 500 + index] for index in range(500)])
        self.end(plugin, "rows", 100_000)

    def _segv(self, _: str) -> None:
        kill("SIGSEGV")

    def _quit(self, _: str) -> None:
        os._exit(0)

    def _crash(self, _: str) -> None:
        os._exit(1)

    def _gives_up(self, _: str) -> None:
        raise Fatal("out_of_memory", "The memory limit is too low for an analysis.")

    def _garbage(self, _: str) -> None:
        raw('{"type":"rows","plugin":\n')

    def _binary(self, _: str) -> None:
        raw(b"\x00\xff\xfe\n")

    def _unknown_line(self, _: str) -> None:
        raw('{"type":"progress","percent":5}\n')

    def _half_a_line(self, plugin: str) -> None:
        raw(f'{{"type":"plugin","plugin":"{plugin}","state":"empty","rows":0,"seconds":0}}'[:40])
        kill("SIGKILL")

    def _deep(self, plugin: str) -> None:
        """200,000 arrays, one in the other: to print them again takes more stack than there is."""
        cell = "[" * 200_000 + "]" * 200_000
        raw(f'{{"type":"rows","plugin":"{plugin}","columns":["value"],"rows":[[{cell}]]}}\n')

    def _deep_type(self, _: str) -> None:
        raw(f'{{"type":{"[" * 200_000}{"]" * 200_000}}}\n')

    def _nested(self, plugin: str) -> None:
        self.rows(plugin, [[{}]])

    def _no_columns(self, plugin: str) -> None:
        self.rows(plugin, [[], []], ())

    def _many_rows(self, plugin: str) -> None:
        self.rows(plugin, [[0]] * 1_001)

    def _hiddenModules(self, plugin: str) -> None:  # noqa: N802
        for batch in range(10):
            self.rows(plugin, [[f"{batch * 500 + index} {'x' * 1_000}"] for index in range(500)])
        self.end(plugin, "rows", 5_000)

    def _ragged(self, plugin: str) -> None:
        self.rows(plugin, [[1, 2]])

    def _other_rows(self, _: str) -> None:
        self.rows("good", [[1]])

    def _new_columns(self, plugin: str) -> None:
        self.rows(plugin, [[1]])
        self.rows(plugin, [[1]], ("other",))

    def _lost_rows(self, plugin: str) -> None:
        self.end(plugin, "rows", 7)

    def _false_empty(self, plugin: str) -> None:
        self.rows(plugin, [[1]])
        self.end(plugin, "empty", 0)

    def _starts_other(self, _: str) -> None:
        self.start("after")

    def _done_early(self, _: str) -> None:
        self.lines.write({"type": "done", "versions": {}})

    def _unsupported(self, plugin: str) -> None:
        self.end(plugin, "unsupported", 0, reason="the kernel's symbols have no prog_idr", warnings=[])

    def _partial_failure(self, plugin: str) -> None:
        self.rows(plugin, [[1]])
        self.end(plugin, "failed", 1, reason="out_of_memory")

    def _flood(self, plugin: str) -> None:
        while True:
            self.rows(plugin, [["x" * 100]] * 500)

    def _endless_line(self, _: str) -> None:
        while True:
            raw("x" * 65_536)

    def _allocate(self, _: str) -> None:
        held = []
        while True:
            held.append(b"\x01" * (16 << 20))

    def _children(self, plugin: str) -> None:
        def asleep(detached: bool) -> int:
            return subprocess.Popen(
                ["sleep", "1000"],
                start_new_session=detached,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ).pid

        print(f"children {asleep(False)} {asleep(True)}", file=sys.stderr)
        self.rows(plugin, [[0]])
        signal.pause()

    def _nothing(self, plugin: str) -> None:
        self.end(plugin, "empty", 0)

    def _surroundings(self, plugin: str) -> None:
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:
            first_to_go = file.read().strip()
        cells = [",".join(os.environ), ",".join(filter(is_up, interfaces())), os.getcwd(), first_to_go]
        self.rows(plugin, [[cell] for cell in cells])
        self.end(plugin, "rows", 4)

    def _parent(self, plugin: str) -> None:
        self.rows(plugin, [[os.getppid()]])
        self.end(plugin, "rows", 1)

    def _stderr(self, plugin: str) -> None:
        sys.stderr.write("a warning of the runner\n" * 10_000)
        self.end(plugin, "empty", 0)


def _analyse(_symbols: None, job: Job, plugins: Iterable[Plugin], lines: Lines) -> None:
    print(f"pid {os.getpid()}", file=sys.stderr)
    analysis = _Analysis(job, lines)
    analysis.open()
    for plugin in plugins:
        if job.banner != "prints what it is told":
            analysis.run(plugin.name)


def _versions() -> dict[str, str]:
    """The parent's last line, if it is told that too."""
    if _told:
        os.write(_stdout, f"{_told}\n".encode())
        os._exit(0)
    return {"volatility": "2.28.2", "python": "3.11.2"}


def _confine(preparation: Preparation, lines: Lines) -> Confinement:
    name = os.path.basename(preparation.isf_path)
    if name == "is killed as it confines itself":
        kill("SIGSYS")
    in_part = name == "is confined in part"
    reached = Confinement(0 if in_part else 7, seccomp=True)
    worker.tell(reached, lines, preparation.must_be_confined)
    return reached


def _main() -> None:
    fake = {"analyse": {"load": lambda *_: None, "analyse": _analyse, "versions": _versions}}
    fake["symbols"] = {"load_symbols": lambda *_: None}
    for name, members in fake.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    take_stdout, parse_job = run.take_stdout, run.parse_job

    def take(first_unknown: int) -> Any:
        global _stdout
        stream = take_stdout(first_unknown)
        _stdout = stream.fileno()
        return stream

    def parse(text: bytes) -> Job:
        global _told
        job = parse_job(text)
        if job.banner == "prints what it is told":
            _told = job.vmcoreinfo.splitlines()[-1]
        return job

    def confine_worker(reached: Confinement, lines: Lines, preparation: Preparation) -> None:
        match os.path.basename(preparation.isf_path):
            case "tells no confinement":
                return
            case "tells its confinement twice":
                worker.tell(reached, lines, False)
        if not _told:
            worker.tell(reached, lines, preparation.must_be_confined)

    run.take_stdout, run.parse_job = take, parse
    run._prepare = lambda _: None
    run._confine, run._narrow, run._confine_worker = _confine, lambda _: None, confine_worker
    os._exit(run.main(int(sys.argv[1])))


if __name__ == "__main__":
    _main()
