"""What a run reads: each kind of image adds one layer of physical memory to a Volatility context."""

import os
import pathlib
import stat
import struct
from collections.abc import Callable

from volatility3.framework import contexts, exceptions
from volatility3.framework.layers import lime, physical

from fatal import Fatal

_LIME_HEADER = struct.Struct("<IIQQQ")
_LIME_MAGIC = 0x4C694D45
_LIME_VERSION = 1


def open_image(context: contexts.Context, kind: str, path: str) -> str:
    """Adds the image to the context and returns the name of its layer. Raises Fatal(image_rejected)."""
    opener = _KINDS.get(kind)
    if opener is None:
        raise Fatal("image_rejected", f"There is no reader for images of kind {kind[:40]!r}.")
    return opener(context, path)


def check_lime(path: str) -> int:
    """Follows the record headers to the end of the file and returns how many there are.

    Volatility would take a file whose last record is cut. Raises Fatal(image_rejected).
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Fatal("image_rejected", f"The image {path} is not a regular file.")
        with open(path, "rb", buffering=0) as image:
            return _follow_records(image.fileno(), os.fstat(image.fileno()).st_size, path)
    except OSError as error:
        raise Fatal("image_rejected", f"The image {path} cannot be read: {error.strerror}.") from error


def _follow_records(file: int, size_bytes: int, path: str) -> int:
    offset = records = next_address = 0
    while offset < size_bytes:
        header = os.pread(file, _LIME_HEADER.size, offset)
        if len(header) < _LIME_HEADER.size:
            raise Fatal("image_rejected", f"The image {path} is cut in a record's header at byte {offset}.")
        magic, version, start, end, _reserved = _LIME_HEADER.unpack(header)
        if magic != _LIME_MAGIC or version != _LIME_VERSION:
            raise Fatal("image_rejected", f"The image {path} has no LiME record at byte {offset}.")
        if end < start or start < next_address:
            raise Fatal("image_rejected", f"The image {path} has an impossible address range at byte {offset}.")
        offset += _LIME_HEADER.size + end - start + 1
        next_address = end + 1
        records += 1
    if records == 0:
        raise Fatal("image_rejected", f"The image {path} is empty.")
    if offset != size_bytes:
        missing = offset - size_bytes
        raise Fatal("image_rejected", f"The image {path} is cut: its last record needs {missing} bytes more.")
    return records


def _open_lime(context: contexts.Context, path: str) -> str:
    check_lime(path)
    context.config["image.file.location"] = pathlib.Path(path).as_uri()
    context.config["image.memory.base_layer"] = "image_file"
    try:
        context.add_layer(physical.FileLayer(context, "image.file", "image_file"))
        context.add_layer(lime.LimeLayer(context, "image.memory", "image_memory"))
    except (exceptions.VolatilityException, OSError) as error:
        raise Fatal("image_rejected", f"The image {path} cannot be opened as LiME: {error}.") from error
    return "image_memory"


_KINDS: dict[str, Callable[[contexts.Context, str], str]] = {"lime": _open_lime}
