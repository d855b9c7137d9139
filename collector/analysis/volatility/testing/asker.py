"""A worker that asks for ranges of the image, also as none should."""

import os
import signal
import struct
import time

from fatal import ImageUnreadable
from plain_copy import PlainCopy
from ranges import RangeReader
from testing.speaker import Speaker, kill

_KEPT_BYTES = 1 << 20


class Asker(Speaker):
    def _reads_begin(self, plugin: str) -> None:
        self._read(plugin, 0)

    def _reads_end(self, plugin: str) -> None:
        self._read(plugin, 1 << 20)

    def _read(self, plugin: str, offset: int) -> None:
        """Calls what it cannot read empty, as a plugin does that catches everything."""
        image = self.job.image
        try:
            data = RangeReader(image.size_bytes, image.descriptor, _KEPT_BYTES).read(offset, 64)
        except ImageUnreadable:
            self.end(plugin, "empty", 0)
            return
        self.rows(plugin, [[data.hex()]])
        self.end(plugin, "rows", 1)

    def _reads_copy(self, plugin: str) -> None:
        """Ends once there is what the plugin above has asked for."""
        copy = PlainCopy(self.job.image.copy, self.job.image.size_bytes)
        while (data := copy.read(1 << 20, 64)) is None:
            time.sleep(0.01)
        self.rows(plugin, [[data.hex()]])
        self.end(plugin, "rows", 1)

    def _asks_on(self, plugin: str) -> None:
        request = struct.pack("<QI", 0, 4 << 20)
        RangeReader(self.job.image.size_bytes, self.job.image.descriptor, _KEPT_BYTES)
        os.write(self.job.image.descriptor, request * 1_000 + request[:5])
        signal.pause()

    def _leaves_an_answer(self, _: str) -> None:
        os.write(self.job.image.descriptor, struct.pack("<QI", 1_000, 1 << 20))
        kill("SIGKILL")

    def _leaves_a_part(self, _: str) -> None:
        os.write(self.job.image.descriptor, struct.pack("<QI", 1_000, 1 << 20))
        os.read(self.job.image.descriptor, 777)
        kill("SIGKILL")
