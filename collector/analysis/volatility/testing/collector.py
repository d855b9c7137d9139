"""The collector's end of a run, as far as tests of the whole program need it."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from slots import FIRST_SLOT, copy_behind
from testing.plugins import told

_HIGH = 100


class Collector:
    """Starts run.py, or a program like it, with `workers` slots. Close it."""

    def __init__(
        self,
        program: list[str],
        folder: str,
        workers: int = 1,
        leaked: dict[int, str] | None = None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`leaked`: files that the program gets open by descriptor. `before` is called in it first."""
        self.lines: list[dict[str, Any]] = []
        pairs = [socket.socketpair() for _ in range(2 * workers)]
        self._ours = [ours for ours, _ in pairs]
        theirs = {FIRST_SLOT + index: _high(end.fileno()) for index, (_, end) in enumerate(pairs)}
        with tempfile.NamedTemporaryFile(dir=folder) as copy:
            given = {**(leaked or {}), copy_behind(workers): copy.name}
            lows = {target: os.open(path, os.O_RDONLY) for target, path in given.items()}
        for target, low in lows.items():
            theirs[target] = _high(low)
            os.close(low)

        def hand_over() -> None:
            for target, descriptor in theirs.items():
                os.dup2(descriptor, target, inheritable=True)
            before()

        try:
            self.process = subprocess.Popen(
                [sys.executable, "-B", *program, str(workers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "HOME": f"{folder}/cache"},
                cwd=folder,
                preexec_fn=hand_over,
                close_fds=False,
            )
        finally:
            for descriptor in theirs.values():
                os.close(descriptor)
            for _, end in pairs:
                end.close()

    def tell(self, *objects: dict[str, Any]) -> None:
        assert self.process.stdin
        for each in objects:
            self.process.stdin.write(json.dumps(each).encode() + b"\n")
        self.process.stdin.flush()

    def slot(self, number: int) -> socket.socket:
        return self._ours[2 * number]

    def dispatch(self, slot: int, plugin: str, turn: int = 0) -> None:
        self.slot(slot).sendall(json.dumps({"turn": turn, "plugin": told(plugin)}).encode() + b"\n")

    def run(self, plugins: list[str]) -> tuple[list[dict[str, Any]], int, str]:
        """Everything on the last slot, whose worker reads one plugin after the other. Returns the lines of the worker, and
        of the parent if it gave up; the exit status; and what was written to stderr."""
        last = len(self._ours) // 2 - 1
        for plugin in plugins:
            self.dispatch(last, plugin)
        with contextlib.suppress(OSError):
            self.slot(last).shutdown(socket.SHUT_WR)
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None
        heard = b""
        # Which breaks, as its pipe would not, when something is left unread.
        with contextlib.suppress(ConnectionResetError):
            while part := self.slot(last).recv(1 << 16):
                heard += part
                if b'"type":"died"' in heard:
                    self._close_all()
        out, errors = self.process.communicate()
        for end in self._ours:
            end.close()
        own = [json.loads(line) for line in out.splitlines()]
        fatal = [line for line in own if line["type"] == "fatal"]
        return [*parse(heard), *fatal], self.process.returncode, errors.decode()

    def _close_all(self) -> None:
        for end in self._ours[::2]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_WR)


def parse(text: bytes) -> list[dict[str, Any]]:
    """The lines of a slot, without those that were cut off."""
    return [json.loads(line) for line in text.split(b"\n") if line and not line.endswith(b"\x18")]


def _high(descriptor: int) -> int:
    """Above those that a child gets: one that is there already would keep its close-on-exec flag."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
