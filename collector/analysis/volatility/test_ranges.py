import copy
import os
import random
import socket
import struct
import threading
import unittest

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import lime

from fatal import Fatal, ImageUnreadable
from image_layer import ImageLayer
from images import check_lime, check_readable
from ranges import RangeReader

_REQUEST = struct.Struct("<QI")
_MIB = 1 << 20


class _Collector:
    """Answers on the other end of the channel, up to the byte at which the image cannot be read."""

    def __init__(self, image: bytes, unreadable_from: int | None = None) -> None:
        self.requests: list[tuple[int, int]] = []
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
                self._end.sendall(self._image[offset : offset + length])


class Ranges(unittest.TestCase):
    def _reader(self, image: bytes, unreadable_from: int | None = None, kept_bytes: int = 4 * _MIB) -> RangeReader:
        self.collector = _Collector(image, unreadable_from)
        self.addCleanup(self.collector.close)
        return RangeReader(len(image), self.collector.channel, kept_bytes)

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
