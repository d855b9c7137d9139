"""What a worker says that a hostile image has taken over, to do harm to the others."""

import signal

import worker
from confine import Confinement
from testing.speaker import Speaker, raw


class Impostor(Speaker):
    def _claims_to_have_died(self, _: str) -> None:
        self.lines.write({"type": "died", "signal": "SIGXFSZ"})
        signal.pause()

    def _voids_all(self, _: str) -> None:
        self.lines.write({"type": "fatal", "reason": "image_unreadable", "detail": "Nothing can be read."})
        signal.pause()

    def _succeeds_itself(self, _: str) -> None:
        self.lines.write({"type": "died", "exit": 0})
        worker.tell(Confinement(7, seccomp=True), self.lines, False)
        self.lines.write({"type": "fatal", "reason": "symbols_mismatch", "detail": "Of another kernel."})
        signal.pause()

    def _cuts_off_for_ever(self, _: str) -> None:
        while True:
            raw(b"x" * 65_536 + b"\x18\n")

    def _stays(self, plugin: str) -> None:
        self.end(plugin, "empty", 0)
        signal.pause()
