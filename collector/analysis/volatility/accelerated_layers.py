"""Reads of kernel and process memory within whole pages of the image; whatever else is asked goes to Volatility 2.28.2.

Stock walks the page tables and both layers below for each read, and remembers 512 results of exactly the same reads.
"""

from bisect import bisect_right
from typing import Any

from volatility3.framework.layers import intel, lime, linear, segmented
from volatility3.framework.symbols import generic

_PAGE_BITS, _PAGE_BYTES = 12, 4096
_PRESENT = intel.LinuxIntel32e._PAGE_PRESENT | intel.LinuxIntel32e._PAGE_PROTNONE
_PSE, _PAT_LARGE = intel.LinuxIntel32e._PAGE_PSE, intel.LinuxIntel32e._PAGE_PAT_LARGE
# For each image: 16 MiB of pages, 8 MiB of page tables, and translations of at most 20 MiB.
_FRAMES_LIMIT, _TABLES_LIMIT, _TRANSLATIONS_LIMIT = 4096, 2048, 1 << 17
# Longer reads are rare, and no faster this way.
_LONGEST = 1 << 20
_FRAMES, _SPACE, _PROCESSES = "_kcorder_frames", "_kcorder_space", "_kcorder_processes"
_PROCESSES_LIMIT = 1 << 15
# What a page can be instead of a frame of the image: not mapped at all, or nothing that is simple.
_UNMAPPED, _OTHER = -1, -2


class _Frames:
    """Pages and page tables of one physical layer, for all layers above it."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._data: dict[int, bytes] = {}
        self._whole: dict[int, bool] = {}
        self._tables: dict[int, Any] = {}
        self._spaces: dict[int, _Space] = {}
        self.translations = 0

    def space(self, root: int) -> "_Space":
        """What is known of the address space whose page tables begin there."""
        return self._spaces.setdefault(root, _Space(self))

    def forget_translations(self) -> None:
        for space in self._spaces.values():
            space.pages.clear()
        self._whole.clear()
        self.translations = 0

    def whole(self, frame: int) -> bool:
        """True when each byte of the frame is in the image."""
        known = self._whole.get(frame)
        if known is None:
            known = self._whole[frame] = self._layer.is_valid(frame << _PAGE_BITS, _PAGE_BYTES)
        return known

    def read(self, frame: int) -> bytes:
        """A frame that is whole."""
        data = self._data.get(frame)
        if data is None:
            if len(self._data) >= _FRAMES_LIMIT:
                self._data.clear()
            data = self._data[frame] = self._layer.read(frame << _PAGE_BITS, _PAGE_BYTES)
        return data

    def table(self, layer: Any, address: int) -> Any:
        """The entries of a page table, None when it is not readable or all alike."""
        if address not in self._tables:
            if len(self._tables) >= _TABLES_LIMIT:
                self._tables.clear()
            table = layer._get_valid_table(address)
            self._tables[address] = None if table is None else memoryview(table).cast("Q")
        return self._tables[address]


class _Space:
    """The frames of the pages of an address space, or _UNMAPPED or _OTHER."""

    def __init__(self, frames: _Frames) -> None:
        self.frames = frames
        self.pages: dict[int, int] = {}


def _space_of(layer: Any) -> _Space:
    base = layer.context.layers[layer._base_layer]
    frames = base.__dict__.setdefault(_FRAMES, None) or _Frames(base)
    base.__dict__[_FRAMES] = frames
    space = layer.__dict__[_SPACE] = frames.space(layer._initial_entry)
    return space


def _walk(layer: Any, frames: _Frames, address: int) -> tuple[int, int] | None:
    """What Intel._translate_entry returns; None where that raises."""
    entry, position = layer._initial_entry, layer._initial_position
    limit = (1 << layer._maxphyaddr) - 1
    for _name, bits, can_be_large in layer._structure:
        if not entry & _PRESENT:
            return None
        table = frames.table(layer, entry & limit & -(1 << bits + layer._index_shift))
        if table is None:
            return None
        position -= bits
        entry = table[address >> position + 1 & (1 << bits) - 1]
        if can_be_large and entry & _PSE:
            return entry & ~_PAT_LARGE, position
    return entry, position


def _find_frame(layer: Any, space: _Space, page: int) -> int:
    frames = space.frames
    address = page << _PAGE_BITS
    found = _walk(layer, frames, address)
    if found is None or not found[0] & _PRESENT:
        frame = _UNMAPPED
    else:
        entry, position = found
        frame = layer._pte_pfn(entry) | (address & (2 << position) - 1) >> _PAGE_BITS
        if not frames.whole(frame):
            frame = _OTHER
    if frames.translations >= _TRANSLATIONS_LIMIT:
        frames.forget_translations()
    frames.translations += 1
    space.pages[page] = frame
    return frame


def _translate_entry(self: Any, page_address: int) -> tuple[int, int]:
    space = self.__dict__.get(_SPACE) or _space_of(self)
    return _walk(self, space.frames, page_address) or _stock_translate_entry(self, page_address)


def _read(self: Any, offset: int, length: int, pad: bool = False) -> bytes:
    space = self.__dict__.get(_SPACE) or _space_of(self)
    page, start = offset >> _PAGE_BITS, offset & _PAGE_BYTES - 1
    end = start + length
    if 0 < length and end <= _PAGE_BYTES:
        frame = space.pages.get(page)
        if frame is None:
            frame = _find_frame(self, space, page)
        if frame >= 0:
            return space.frames.read(frame)[start:end]
    elif 0 < length <= _LONGEST:
        parts = _read_pages(self, space, page, offset + length - 1 >> _PAGE_BITS)
        if parts is not None:
            return b"".join(parts)[start:end]
    return _stock_read(self, offset, length, pad)


def _read_pages(layer: Any, space: _Space, first: int, last: int) -> list[bytes] | None:
    """None when one of them is no frame of the image."""
    parts = []
    for page in range(first, last + 1):
        frame = space.pages.get(page)
        if frame is None:
            frame = _find_frame(layer, space, page)
        if frame < 0:
            return None
        parts.append(space.frames.read(frame))
    return parts


def _is_valid(self: Any, offset: int, length: int = 1) -> bool:
    if not 0 < length <= _LONGEST:
        return _stock_is_valid(self, offset, length)
    space = self.__dict__.get(_SPACE) or _space_of(self)
    for page in range(offset >> _PAGE_BITS, (offset + length - 1 >> _PAGE_BITS) + 1):
        frame = space.pages.get(page)
        if frame is None:
            frame = _find_frame(self, space, page)
        if frame == _UNMAPPED:
            return False
        if frame == _OTHER:
            return _stock_is_valid(self, offset, length)
    return True


def _segment(layer: Any, offset: int, length: int) -> int | None:
    """Where a range lies in the file when it is within one record."""
    segments = layer._segments
    index = bisect_right(segments, offset, key=lambda segment: segment[0])
    if index == 0:
        return None
    start, mapped, size, _ = segments[index - 1]
    return mapped + offset - start if offset + length <= start + size else None


def _read_record(self: Any, offset: int, length: int, pad: bool = False) -> bytes:
    mapped = _segment(self, offset, length) if length > 0 else None
    if mapped is None:
        return _stock_read(self, offset, length, pad)
    return self._context.layers[self._base_layer].read(mapped, length, pad)


def _is_record_valid(self: Any, offset: int, length: int = 1) -> bool:
    mapped = _segment(self, offset, length) if length > 0 else None
    if mapped is None:
        return _stock_is_segment_valid(self, offset, length)
    return self._context.layers[self._base_layer].is_valid(mapped)


def _add_process_layer(
    self: Any, context: Any, dtb: int, config_prefix: str | None = None, preferred_name: str | None = None
) -> str:
    """Stock makes a layer for each process and each plugin, and copies the configuration of the kernel's for it."""
    if config_prefix is not None:
        return _stock_add_process_layer(self, context, dtb, config_prefix, preferred_name)
    layers: dict[Any, str] = context.__dict__.setdefault(_PROCESSES, {})
    key = (self.vol.layer_name, int(dtb), preferred_name)
    name = layers.get(key)
    if name is None:
        if len(layers) >= _PROCESSES_LIMIT:
            layers.clear()
        name = layers[key] = _stock_add_process_layer(self, context, dtb, None, preferred_name)
    return name


_stock_read = linear.LinearlyMappedLayer.read
_stock_is_valid = intel.Intel.is_valid
_stock_translate_entry = intel.Intel._translate_entry
_stock_is_segment_valid = segmented.NonLinearlySegmentedLayer.is_valid
_stock_add_process_layer = generic.GenericIntelProcess._add_process_layer

PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (intel.LinuxIntel32e, "_translate_entry", _translate_entry),
    (intel.LinuxIntel32e, "read", _read),
    (intel.LinuxIntel32e, "is_valid", _is_valid),
    (lime.LimeLayer, "read", _read_record),
    (lime.LimeLayer, "is_valid", _is_record_valid),
    (generic.GenericIntelProcess, "_add_process_layer", _add_process_layer),
)
