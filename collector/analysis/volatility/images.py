"""What a run reads: each kind of image adds one layer of physical memory to a Volatility context."""

import os
import pathlib
import stat
import struct
from collections.abc import Callable

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import lime, physical

from fatal import Fatal
from job import Image
from ranges import RangeReader, RangesLayer

_LIME_HEADER = struct.Struct("<IIQQQ")
_LIME_MAGIC = 0x4C694D45
_LIME_VERSION = 1


def open_image(context: contexts.Context, image: Image) -> str:
    """Adds the image to the context and returns the name of its layer. Raises Fatal(image_rejected)."""
    opener = _KINDS.get(image.kind)
    if opener is None:
        raise Fatal("image_rejected", f"There is no reader for images of kind {image.kind[:40]!r}.")
    return opener(context, image)


def check_readable(context: contexts.Context) -> None:
    """Raises ImageUnreadable when a part of the image could not be read, even if whoever read it has caught that."""
    layer = context.layers["image_file"]
    if isinstance(layer, RangesLayer):
        layer.reader.check()


def check_lime(path: str) -> int:
    """Follows the record headers to the end of the file and returns how many there are.

    Volatility would take a file whose last record is cut. Raises Fatal(image_rejected).
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Fatal("image_rejected", f"The image {path} is not a regular file.")
        with open(path, "rb", buffering=0) as image:
            file = image.fileno()
            return _follow_records(lambda offset, length: os.pread(file, length, offset), os.fstat(file).st_size, path)
    except OSError as error:
        raise Fatal("image_rejected", f"The image {path} cannot be read: {error.strerror}.") from error


def check_lime_ranges(reader: RangeReader) -> int:
    """The same for an image that the collector reads."""
    size_bytes = reader.size_bytes

    def read(offset: int, length: int) -> bytes:
        return reader.read_small(offset, min(length, size_bytes - offset))

    return _follow_records(read, size_bytes, "that the collector reads")


def _follow_records(read: Callable[[int, int], bytes], size_bytes: int, name: str) -> int:
    offset = records = next_address = 0
    while offset < size_bytes:
        header = read(offset, _LIME_HEADER.size)
        if len(header) < _LIME_HEADER.size:
            raise Fatal("image_rejected", f"The image {name} is cut in a record's header at byte {offset}.")
        magic, version, start, end, _reserved = _LIME_HEADER.unpack(header)
        if magic != _LIME_MAGIC or version != _LIME_VERSION:
            raise Fatal("image_rejected", f"The image {name} has no LiME record at byte {offset}.")
        if end < start or start < next_address:
            raise Fatal("image_rejected", f"The image {name} has an impossible address range at byte {offset}.")
        offset += _LIME_HEADER.size + end - start + 1
        next_address = end + 1
        records += 1
    if records == 0:
        raise Fatal("image_rejected", f"The image {name} is empty.")
    if offset != size_bytes:
        missing = offset - size_bytes
        raise Fatal("image_rejected", f"The image {name} is cut: its last record needs {missing} bytes more.")
    return records


def _open_lime(context: contexts.Context, image: Image) -> str:
    check_lime(image.path)
    context.config["image.file.location"] = pathlib.Path(image.path).as_uri()
    try:
        context.add_layer(physical.FileLayer(context, "image.file", "image_file"))
    except (exceptions.VolatilityException, OSError) as error:
        raise Fatal("image_rejected", f"The image {image.path} cannot be opened: {error}.") from error
    return _add_lime(context, image.path)


def _open_ranges(context: contexts.Context, image: Image) -> str:
    reader = RangeReader(image.size_bytes)
    check_lime_ranges(reader)
    context.add_layer(RangesLayer(context, "image.file", "image_file", reader))
    return _add_lime(context, "that the collector reads")


def _add_lime(context: contexts.Context, name: str) -> str:
    context.config["image.memory.base_layer"] = "image_file"
    try:
        context.add_layer(lime.LimeLayer(context, "image.memory", "image_memory"))
    except (exceptions.VolatilityException, OSError) as error:
        raise Fatal("image_rejected", f"The image {name} cannot be opened as LiME: {error}.") from error
    return "image_memory"


_KINDS: dict[str, Callable[[contexts.Context, Image], str]] = {"lime": _open_lime, "ranges": _open_ranges}
