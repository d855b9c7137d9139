"""An image that the collector reads for us: bytes are asked for on a socket that was open before.

The protocol is described in range-server.ts beside this folder.
"""

import os
import struct
from collections import OrderedDict
from typing import Any

from fatal import ImageUnreadable
from plain_copy import CHUNK, PlainCopy

_REQUEST = struct.Struct("<QI")
_LARGEST_REQUEST = 4 << 20
_BLOCK = 64 << 10
# The least for which the collector reads a whole chunk.
_LITTLE = 4096
# A scan reads on and on: each time that a read begins where the last one ended, twice as much is asked for.
_LARGEST_AHEAD = _LARGEST_REQUEST // _BLOCK


class RangeReader:
    """Reads what the collector has laid down from there; asks it for the rest, and keeps the blocks that were used last."""

    def __init__(self, size_bytes: int, channel: int, kept_bytes: int, copy: PlainCopy | None = None) -> None:
        self.size_bytes = size_bytes
        self._broken = ""
        self._channel = channel
        self._copy = copy
        self._kept = kept_bytes // _BLOCK
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._small: dict[tuple[int, int], bytes] = {}
        self._next_block = -1
        self._ahead = 1
        self._synchronize()

    def __deepcopy__(self, _memo: Any) -> "RangeReader":
        return self

    def check(self) -> None:
        """Raises ImageUnreadable once a read has failed, whoever caught that."""
        if self._broken:
            raise ImageUnreadable(self._broken)

    def read_small(self, offset: int, length: int) -> bytes:
        """Exactly these bytes and no block around them, which are kept to the end."""
        data = self._fetch(offset, length)
        self._small[offset, length] = data
        return data

    def read(self, offset: int, length: int) -> bytes:
        """The range must lie within the image. Raises ImageUnreadable."""
        data = self._copy.read(offset, length) if self._copy else None
        if data is None and self._copy and length > _BLOCK and self._lay_down(self._copy, offset, length):
            data = self._copy.read(offset, length)
        if data is None:
            return self._ask(offset, length)
        if len(data) < length:
            self._broken = f"bytes {offset} to {offset + length} are not given: the copy is shorter than it was"
            raise ImageUnreadable(self._broken)
        return data

    def _lay_down(self, copy: PlainCopy, offset: int, length: int) -> bool:
        """Has the collector put the whole range into the copy, by asking for a little of each chunk. False if it does not."""
        for chunk in range(offset // CHUNK, (offset + length - 1) // CHUNK + 1):
            start = chunk * CHUNK
            if copy.read(start, 1) is None:
                self._fetch(start, min(_LITTLE, self.size_bytes - start))
                if copy.read(start, 1) is None:
                    return False
        return True

    def _ask(self, offset: int, length: int) -> bytes:
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        if first == last:
            block = self._blocks.get(first)
            if block is None:
                small = self._small.get((offset, length))
                if small is not None:
                    return small
                block = self._load(first, 1)
            else:
                self._blocks.move_to_end(first)
            start = offset - first * _BLOCK
            return block[start : start + length]
        if length >= _LARGEST_REQUEST:
            return self._fetch_long(offset, length)
        parts = [self._block(block, last) for block in range(first, last + 1)]
        start = offset - first * _BLOCK
        return b"".join(parts)[start : start + length]

    def _block(self, block: int, last: int) -> bytes:
        kept = self._blocks.get(block)
        if kept is None:
            return self._load(block, last - block + 1)
        self._blocks.move_to_end(block)
        return kept

    def _load(self, block: int, wanted: int) -> bytes:
        """Fetches this block, and those behind it as far as they are wanted or likely to be."""
        self._ahead = min(2 * self._ahead, _LARGEST_AHEAD) if block == self._next_block else 1
        count = min(max(wanted, self._ahead), _LARGEST_AHEAD)
        start = block * _BLOCK
        data = self._fetch(start, min(count * _BLOCK, self.size_bytes - start))
        self._next_block = block + count
        for index in range(0, len(data), _BLOCK):
            self._blocks[block + index // _BLOCK] = data[index : index + _BLOCK]
        while len(self._blocks) > self._kept:
            self._blocks.popitem(last=False)
        return data[:_BLOCK]

    def _synchronize(self) -> None:
        """Reads over what was answered to a worker that used this channel before and has died."""
        mark = _REQUEST.pack(int.from_bytes(os.urandom(8)), 0)
        last = b""
        self._broken = "the collector does not answer"
        try:
            os.write(self._channel, mark)
            while last != mark:
                data = os.read(self._channel, _BLOCK)
                if not data:
                    raise ImageUnreadable(self._broken)
                last = (last + data)[-len(mark) :]
        except OSError as error:
            self._broken += f" ({error.strerror})"
            raise ImageUnreadable(self._broken) from error
        self._broken = ""

    def _fetch_long(self, offset: int, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            data += self._fetch(offset + len(data), min(_LARGEST_REQUEST, length - len(data)))
        return bytes(data)

    def _fetch(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self.check()
        # Until it has worked it has not.
        self._broken = f"bytes {offset} to {offset + length} are not given"
        try:
            os.write(self._channel, _REQUEST.pack(offset, length))
            rest = memoryview(data)
            while rest and (count := os.readv(self._channel, [rest])) > 0:
                rest = rest[count:]
        except OSError as error:
            self._broken += f" ({error.strerror})"
            raise ImageUnreadable(self._broken) from error
        if rest:
            raise ImageUnreadable(self._broken)
        self._broken = ""
        return bytes(data)
