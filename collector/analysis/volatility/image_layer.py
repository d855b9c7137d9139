"""The bytes of an image as a layer of Volatility: of descriptors that were opened before, never of a path."""

import os
from typing import Any, Protocol

from volatility3.framework import contexts, exceptions, interfaces

from fatal import ImageUnreadable


class ImageReader(Protocol):
    """Bytes of an image of `size_bytes`. Ranges must lie within it. Each raises ImageUnreadable."""

    size_bytes: int

    def check(self) -> None: ...
    def read(self, offset: int, length: int) -> bytes: ...
    def read_small(self, offset: int, length: int) -> bytes: ...


class FileReader:
    """An image that is a plain file."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._descriptor = descriptor
        self._broken = ""

    def __deepcopy__(self, _memo: Any) -> "FileReader":
        return self

    def check(self) -> None:
        if self._broken:
            raise ImageUnreadable(self._broken)

    def read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length and (more := os.pread(self._descriptor, length - len(data), offset + len(data))):
                data += more
        except OSError as error:
            self._broken = f"bytes {offset} to {offset + length} are not given ({error.strerror})"
            raise ImageUnreadable(self._broken) from error
        if len(data) < length:
            self._broken = f"bytes {offset} to {offset + length} are not given: the file is shorter than it was"
            raise ImageUnreadable(self._broken)
        return data

    read_small = read


class ImageLayer(interfaces.layers.DataLayerInterface):
    """The whole image that a reader reads."""

    def __init__(self, context: contexts.Context, config_path: str, name: str, reader: ImageReader) -> None:
        super().__init__(context, config_path, name)
        self.reader = reader

    @property
    def maximum_address(self) -> int:
        return self.reader.size_bytes - 1

    @property
    def minimum_address(self) -> int:
        return 0

    def is_valid(self, offset: int, length: int = 1) -> bool:
        return 0 <= offset and 0 < length and offset + length <= self.reader.size_bytes

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        if not self.is_valid(offset, length):
            raise exceptions.InvalidAddressException(self.name, offset, "outside of the image")
        return self.reader.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError("an image is never written")

    @classmethod
    def get_requirements(cls) -> list[interfaces.configuration.RequirementInterface]:
        return []
