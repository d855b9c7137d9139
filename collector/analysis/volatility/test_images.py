import os
import struct
import tempfile
import unittest

from volatility3.framework import contexts

from fatal import Fatal, ImageUnreadable
from image_layer import FileReader
from images import check_lime, check_readable, open_image
from job import Image

_MAGIC = 0x4C694D45


def _record(start: int, data: bytes, magic: int = _MAGIC, version: int = 1) -> bytes:
    return struct.pack("<IIQQQ", magic, version, start, start + len(data) - 1, 0) + data


_WHOLE = _record(0x1000, b"a" * 4096) + _record(0x100000, b"b" * 8192)


class LimeImages(unittest.TestCase):
    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)

    def _image(self, content: bytes) -> Image:
        path = os.path.join(self._folder.name, "x.lime")
        with open(path, "wb") as image:
            image.write(content)
        return self._open(path)

    def _open(self, path: str) -> Image:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, descriptor)
        return Image("lime", descriptor=descriptor)

    def test_a_whole_image_is_read_at_its_physical_addresses(self) -> None:
        context = contexts.Context()
        layer = context.layers[open_image(context, self._image(_WHOLE))]
        self.assertEqual(layer.read(0x1000, 2), b"aa")
        self.assertEqual(layer.read(0x100000 + 8190, 2), b"bb")
        self.assertFalse(layer.is_valid(0x2000))

    def test_the_records_are_counted(self) -> None:
        self.assertEqual(check_lime(FileReader(self._image(_WHOLE).descriptor, len(_WHOLE))), 2)

    def test_an_image_cut_at_any_other_byte_than_the_records_end_is_refused(self) -> None:
        between = len(_record(0x1000, b"a" * 4096))
        for length in (0, 1, 31, 32, 33, between - 1, between + 1, between + 40, len(_WHOLE) - 1):
            with self.subTest(length), self.assertRaises(Fatal) as raised:
                open_image(contexts.Context(), self._image(_WHOLE[:length]))
            self.assertEqual(raised.exception.reason, "image_rejected")

    def test_what_is_no_lime_is_refused(self) -> None:
        cases = {
            "another magic": _record(0, b"a", magic=0x464C457F),
            "AVML's compressed version": _record(0, b"a", version=2),
            "an address range that ends before it starts": struct.pack("<IIQQQ", _MAGIC, 1, 0x2000, 0x1000, 0),
            "records that overlap": _record(0x1000, b"a" * 4096) + _record(0x1800, b"b" * 4096),
            "more bytes after the last record": _WHOLE + b"\0",
        }
        for sentence, content in cases.items():
            with self.subTest(sentence), self.assertRaises(Fatal):
                open_image(contexts.Context(), self._image(content))

    def test_what_is_no_file_is_refused_and_never_waited_for(self) -> None:
        fifo = os.path.join(self._folder.name, "fifo")
        os.mkfifo(fifo)
        for image in (self._open(self._folder.name), self._open(fifo), Image("lime", descriptor=1 << 20)):
            with self.subTest(image), self.assertRaises(Fatal):
                open_image(contexts.Context(), image)

    def test_a_file_that_became_shorter_is_no_missing_page(self) -> None:
        image = self._image(_WHOLE)
        context = contexts.Context()
        layer = context.layers[open_image(context, image)]
        os.truncate(f"/proc/self/fd/{image.descriptor}", 5000)
        with self.assertRaises(ImageUnreadable):
            layer.read(0x100000 + 8190, 2)
        with self.assertRaises(ImageUnreadable):
            check_readable(context)

    def test_a_kind_without_a_reader_is_refused(self) -> None:
        with self.assertRaises(Fatal):
            open_image(contexts.Context(), Image("raw"))
