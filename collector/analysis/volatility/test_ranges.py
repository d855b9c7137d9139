import copy
import os
import random
import socket
import struct
import tempfile
import threading
import unittest
from collections.abc import Callable

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import lime

from fatal import Fatal, ImageUnreadable
from image_layer import ImageLayer
from images import check_lime, check_readable
from plain_copy import PlainCopy
from ranges import RangeReader

_REQUEST = struct.Struct("<QI")
_MIB = 1 << 20


class _Collector:
    """Answers on the other end of the channel, up to the byte at which the image cannot be read."""

    def __init__(self, image: bytes, unreadable_from: int | None = None) -> None:
        self.requests: list[tuple[int, int]] = []
        self.lay_down: Callable[[int], None] = lambda _chunk: None
        self._image = image
        self._limit = len(image) if unreadable_from is None else unreadable_from
        self._end, runner = socket.socketpair()
        self.channel = runner.detach()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        os.close(self.channel)
        self._thread.join()

    def _serve(self) -> None:
        with self._end:
            while len(request := self._end.recv(_REQUEST.size, socket.MSG_WAITALL)) == _REQUEST.size:
                offset, length = _REQUEST.unpack(request)
                if length == 0:
                    self._end.sendall(request)
                    continue
                self.requests.append((offset, length))
                if offset + length > self._limit:
                    return
                self.lay_down(offset // _MIB)
                self._end.sendall(self._image[offset : offset + length])


class Ranges(unittest.TestCase):
    def _reader(
        self,
        image: bytes,
        unreadable_from: int | None = None,
        kept_bytes: int = 4 * _MIB,
        copy: PlainCopy | None = None,
    ) -> RangeReader:
        self.collector = _Collector(image, unreadable_from)
        self.addCleanup(self.collector.close)
        return RangeReader(len(image), self.collector.channel, kept_bytes, copy)

    def test_any_range_is_the_images_bytes_whatever_is_kept(self) -> None:
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        image = dice.randbytes(9 * _MIB + 12_345)
        reader = self._reader(image, kept_bytes=_MIB)
        lengths = (1, 8, 4096, 65_536, 200_000, 5 * _MIB)
        for _ in range(2_000):
            length = dice.choice(lengths)
            offset = dice.randrange(len(image) - length + 1)
            self.assertEqual(reader.read(offset, length), image[offset : offset + length], f"seed {seed}")

    def test_what_was_read_is_not_asked_for_again(self) -> None:
        reader = self._reader(bytes(_MIB))
        for offset in (0, 8, 65_528):
            reader.read(offset, 8)
        self.assertEqual(self.collector.requests, [(0, 65_536)])

    def test_a_read_over_the_end_of_a_block_takes_one_request(self) -> None:
        reader = self._reader(bytes(_MIB))
        reader.read(65_530, 12)
        self.assertEqual(self.collector.requests, [(0, 131_072)])

    def test_reading_on_and_on_asks_for_more_each_time(self) -> None:
        reader = self._reader(bytes(32 * _MIB), kept_bytes=64 * _MIB)
        for offset in range(0, 32 * _MIB, 4096):
            reader.read(offset, 4096)
        lengths = [length for _, length in self.collector.requests]
        self.assertEqual(max(lengths), 4 * _MIB)
        self.assertLess(len(lengths), 20)
        self.assertEqual(sum(lengths), 32 * _MIB)

    def test_of_a_long_range_a_little_is_asked_for_where_the_rest_comes_into_the_copy(self) -> None:
        image = random.randbytes(6 * _MIB)
        for full_from, asked in (
            (6, [(chunk * _MIB, 4096) for chunk in (0, 1, 2, 4)]),
            (2, [(0, 4096), (_MIB, 4096), (2 * _MIB, 4096), (0, 4 * _MIB), (4 * _MIB, 5)]),
        ):
            with self.subTest(full_from):
                copy, file = self._copy(image, [3])
                reader = self._reader(image, copy=copy)

                def lay_down(chunk: int, file: int = file, full_from: int = full_from) -> None:
                    if chunk < full_from:
                        os.pwrite(file, image[chunk * _MIB : (chunk + 1) * _MIB], chunk * _MIB)
                        os.pwrite(file, b"\1", 6 * _MIB + chunk)

                self.collector.lay_down = lay_down
                self.assertEqual(reader.read(0, 4 * _MIB + 5), image[: 4 * _MIB + 5])
                self.assertEqual(self.collector.requests, asked)

    def _copy(self, image: bytes, chunks: list[int], cut: int = 0) -> tuple[PlainCopy, int]:
        """A copy in which these chunks are, and its file. `cut`: bytes that its end lacks."""
        file = tempfile.TemporaryFile()
        self.addCleanup(file.close)
        marks_at = -(-len(image) // 4096) * 4096
        file.truncate(marks_at + -(-len(image) // _MIB) - cut)
        for chunk in chunks:
            os.pwrite(file.fileno(), image[chunk * _MIB : (chunk + 1) * _MIB], chunk * _MIB)
            os.pwrite(file.fileno(), b"\1", marks_at + chunk)
        return PlainCopy(file.fileno(), len(image)), file.fileno()

    def test_what_is_in_the_copy_as_a_whole_is_not_asked_for(self) -> None:
        image = random.randbytes(3 * _MIB + 1_000)
        copy, file = self._copy(image, [0, 1, 3])
        reader = self._reader(image, copy=copy)
        for offset, length in ((5, 9), (_MIB - 10, 20), (100, 2 * _MIB - 100), (3 * _MIB + 990, 10)):
            self.assertEqual(reader.read(offset, length), image[offset : offset + length])
        self.assertEqual(self.collector.requests, [])
        self.assertEqual(reader.read(2 * _MIB - 5, 10), image[2 * _MIB - 5 : 2 * _MIB + 5])
        self.assertEqual(len(self.collector.requests), 1)
        os.pwrite(file, image[2 * _MIB : 3 * _MIB], 2 * _MIB)
        os.pwrite(file, b"\1", 3 * _MIB + 4096 + 2)
        self.assertEqual(reader.read(0, len(image)), image)
        self.assertEqual(len(self.collector.requests), 1)

    def test_what_has_not_the_form_of_a_copy_is_none(self) -> None:
        image = bytes(range(256)) * 5_000
        with open("/dev/null", "rb") as nothing:
            for copy in (self._copy(image, [0], cut=1)[0], PlainCopy(nothing.fileno(), len(image))):
                reader = self._reader(image, copy=copy)
                self.assertEqual(reader.read(100, 300), image[100:400])
                self.assertEqual(self.collector.requests, [(0, 65_536)])

    def test_a_copy_that_was_cut_is_an_image_that_cannot_be_read_and_never_zeros(self) -> None:
        image = bytes(_MIB)
        copy, file = self._copy(image, [0])
        reader = self._reader(image, copy=copy)
        reader.read(0, 8)
        os.truncate(file, 500_000)
        with self.assertRaises(ImageUnreadable):
            reader.read(499_999, 2)
        with self.assertRaises(ImageUnreadable):
            reader.check()

    def test_a_copy_whose_disk_fails_is_gone_on_without(self) -> None:
        image = bytes(range(256)) * 5_000
        copy, file = self._copy(image, [0])
        reader = self._reader(image, copy=copy)
        reader.read(0, 8)
        # A folder gives EISDIR for EIO.
        folder = os.open("/", os.O_RDONLY)
        os.dup2(folder, file)
        os.close(folder)
        self.assertEqual(reader.read(100, 300), image[100:400])

    def test_small_reads_stay_small_and_are_kept(self) -> None:
        reader = self._reader(bytes(_MIB))
        reader.read_small(5, 32)
        reader.read(5, 32)
        self.assertEqual(self.collector.requests, [(5, 32)])

    def test_what_cannot_be_read_ends_everything_also_where_somebody_catches_it(self) -> None:
        reader = self._reader(bytes(_MIB), unreadable_from=100_000)
        reader.read(0, 8)
        with self.assertRaises(ImageUnreadable):
            try:
                reader.read(200_000, 8)
            except Exception:
                self.fail("nothing that catches exceptions may take it for a missing page")
        with self.assertRaises(ImageUnreadable):
            reader.read(500_000, 8)
        context = contexts.Context()
        context.add_layer(ImageLayer(context, "image.file", "image_file", reader))
        with self.assertRaises(ImageUnreadable):
            check_readable(context)

    def test_what_was_answered_to_a_worker_that_has_died_is_read_over(self) -> None:
        image = bytes(range(256)) * 1024
        for read_bytes in (0, 1, 100, 65_536):
            with self.subTest(read_bytes):
                self._reader(image)
                os.write(self.collector.channel, _REQUEST.pack(3, 200_000))
                for _ in range(read_bytes):
                    os.read(self.collector.channel, 1)
                reader = RangeReader(len(image), self.collector.channel, _MIB)
                self.assertEqual(reader.read(70_000, 300), image[70_000:70_300])

    def test_a_channel_that_is_not_there_is_told(self) -> None:
        with self.assertRaises(ImageUnreadable):
            RangeReader(100, channel=os.open("/dev/null", os.O_RDONLY), kept_bytes=_MIB)

    def test_a_layer_knows_its_bounds_and_outlives_a_copy_of_its_context(self) -> None:
        reader = self._reader(b"abcdef")
        context = contexts.Context()
        context.add_layer(ImageLayer(context, "image.file", "image_file", reader))
        layer = copy.deepcopy(context).layers["image_file"]
        self.assertEqual((layer.minimum_address, layer.maximum_address), (0, 5))
        self.assertEqual(layer.read(4, 2), b"ef")
        for offset, length in ((5, 2), (6, 1), (-1, 2)):
            self.assertFalse(layer.is_valid(offset, length))
            with self.assertRaises(exceptions.InvalidAddressException):
                layer.read(offset, length)


class LimeRanges(unittest.TestCase):
    def _record(self, start: int, data: bytes) -> bytes:
        return struct.pack("<IIQQQ", 0x4C694D45, 1, start, start + len(data) - 1, 0) + data

    def _reader(self, image: bytes) -> RangeReader:
        self.collector = _Collector(image)
        self.addCleanup(self.collector.close)
        return RangeReader(len(image), self.collector.channel, 4 * _MIB)

    def test_headers_are_followed_with_small_reads_and_taken_again_by_volatility_for_nothing(self) -> None:
        image = self._record(0x1000, b"a" * 4096) + self._record(0x100000, b"b" * 200_000)
        reader = self._reader(image)
        self.assertEqual(check_lime(reader), 2)
        context = contexts.Context()
        context.config["image.memory.base_layer"] = "image_file"
        context.add_layer(ImageLayer(context, "image.file", "image_file", reader))
        layer = lime.LimeLayer(context, "image.memory", "image_memory")
        self.assertEqual(self.collector.requests, [(0, 32), (4128, 32)])
        context.add_layer(layer)
        self.assertEqual(layer.read(0x100000 + 199_998, 2), b"bb")

    def test_an_image_that_is_cut_is_refused(self) -> None:
        whole = self._record(0x1000, b"a" * 4096) + self._record(0x100000, b"b" * 8192)
        for length in (1, 31, 33, 4127, 4129, 4140, len(whole) - 1):
            with self.subTest(length), self.assertRaises(Fatal) as raised:
                check_lime(self._reader(whole[:length]))
            self.assertEqual(raised.exception.reason, "image_rejected")
