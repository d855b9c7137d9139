"""What was read of an image by any worker, in a file that the collector alone can write: plain-copy.ts beside this folder
has its form."""

import os
import stat

CHUNK, _PAGE = 1 << 20, 4096


class PlainCopy:
    """Of an image of `size_bytes`."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._marks_at = -(-size_bytes // _PAGE) * _PAGE
        # Those that were set when they were looked at: a mark stays.
        self._marks = bytearray(-(-size_bytes // CHUNK))
        status = os.fstat(descriptor)
        self._is_one = stat.S_ISREG(status.st_mode) and status.st_size == self._marks_at + len(self._marks)

    def read(self, offset: int, length: int) -> bytes | None:
        """Fewer bytes where the file was cut. None for a range that is not there as a whole, or cannot be read."""
        try:
            for chunk in range(offset // CHUNK, (offset + length - 1) // CHUNK + 1):
                if not self._marks[chunk] and not self._look(chunk):
                    return None
            return os.pread(self._descriptor, length, offset)
        except OSError:
            return None

    def _look(self, chunk: int) -> bool:
        if self._is_one and os.pread(self._descriptor, 1, self._marks_at + chunk) == b"\1":
            self._marks[chunk] = 1
        return self._marks[chunk] == 1
