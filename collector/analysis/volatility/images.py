"""What a run reads: each kind of image adds one layer of physical memory to a Volatility context."""

import os
import stat
import struct
from collections.abc import Callable

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import lime

from fatal import Fatal
from image_layer import FileReader, ImageLayer, ImageReader
from job import Image
from plain_copy import PlainCopy
from ranges import RangeReader

_LIME_HEADER = struct.Struct("<IIQQQ")
_LIME_MAGIC = 0x4C694D45
_LIME_VERSION = 1


def open_image(context: contexts.Context, image: Image) -> str:
    """Adds the image to the context and returns the name of its layer. Raises Fatal(image_rejected)."""
    opener = _KINDS.get(image.kind)
    if opener is None:
        raise Fatal("image_rejected", f"There is no reader for images of kind {image.kind[:40]!r}.")
    reader = opener(image)
    check_lime(reader)
    context.add_layer(ImageLayer(context, "image.file", "image_file", reader))
    context.config["image.memory.base_layer"] = "image_file"
    try:
        context.add_layer(lime.LimeLayer(context, "image.memory", "image_memory"))
    except exceptions.VolatilityException as error:
        raise Fatal("image_rejected", f"The image cannot be opened as LiME: {error}.") from error
    return "image_memory"


def check_readable(context: contexts.Context) -> None:
    """Raises ImageUnreadable when a part of the image could not be read, even if whoever read it has caught that."""
    layer = context.layers["image_file"]
    if isinstance(layer, ImageLayer):
        layer.reader.check()


def check_lime(reader: ImageReader) -> int:
    """Follows the record headers to the end of the image and returns how many there are.

    Volatility would take one whose last record is cut. Raises Fatal(image_rejected).
    """
    offset = records = next_address = 0
    while offset < reader.size_bytes:
        header = reader.read_small(offset, min(_LIME_HEADER.size, reader.size_bytes - offset))
        if len(header) < _LIME_HEADER.size:
            raise Fatal("image_rejected", f"The image is cut in a record's header at byte {offset}.")
        magic, version, start, end, _reserved = _LIME_HEADER.unpack(header)
        if magic != _LIME_MAGIC or version != _LIME_VERSION:
            raise Fatal("image_rejected", f"The image has no LiME record at byte {offset}.")
        if end < start or start < next_address:
            raise Fatal("image_rejected", f"The image has an impossible address range at byte {offset}.")
        offset += _LIME_HEADER.size + end - start + 1
        next_address = end + 1
        records += 1
    if records == 0:
        raise Fatal("image_rejected", "The image is empty.")
    if offset != reader.size_bytes:
        missing = offset - reader.size_bytes
        raise Fatal("image_rejected", f"The image is cut: its last record needs {missing} bytes more.")
    return records


def _open_file(image: Image) -> ImageReader:
    try:
        status = os.fstat(image.descriptor)
    except OSError as error:
        raise Fatal("image_rejected", f"The image was not opened: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise Fatal("image_rejected", "The image is not a regular file.")
    return FileReader(image.descriptor, status.st_size)


def _open_ranges(image: Image) -> ImageReader:
    copy = PlainCopy(image.copy, image.size_bytes)
    return RangeReader(image.size_bytes, image.descriptor, image.kept_bytes, copy)


_KINDS: dict[str, Callable[[Image], ImageReader]] = {"lime": _open_file, "ranges": _open_ranges}
