"""`hiddenModules`: modules that are loaded and not in the kernel's own list of them.

Volatility's plugin of that name asks for each 64 bytes by a call of its own; this one reads whole pages, and only those that are mapped.
"""

from collections.abc import Iterator
from typing import Any

from volatility3.framework import exceptions

from kernel import Kernel
from memory import follow_list, read_string
from table import Plain, Table
from warn import Warnings

COLUMNS = ["name", "offset"]

_PAGE_BYTES = 4096
_POINTER_BYTES = 8
# struct module is aligned to a cache line since 4.2
_ALIGNMENT_BYTES = 64
_NAME_LIMIT_BYTES = 64
_AREA_LIMIT_BYTES = 2 << 30
_STATE_LIVE = 0


def open_hidden_modules(kernel: Kernel, warnings: Warnings) -> Table:
    """Raises LookupError when the list is broken in the image: whatever is behind the break would seem to be hidden."""
    module = kernel.module.get_type("module")
    walk = follow_list(kernel.layer, kernel.module.object_from_symbol("modules").vol.offset)
    if not walk.complete:
        raise LookupError("the kernel's module list is broken in this image: what is hidden from it cannot be told")
    listed = {node - module.relative_child_offset("list") for node in walk.nodes}
    return Table(COLUMNS, _rows(kernel, listed))


def _rows(kernel: Kernel, listed: set[int]) -> Iterator[list[Plain]]:
    start, end = _area(kernel)
    for address in self_references(kernel.layer, start, end, _self_offset(kernel)):
        if address in listed:
            continue
        name = _name_of_live(kernel, address)
        if name is not None:
            yield [name, hex(kernel.layer.canonicalize(address))]


def _area(kernel: Kernel) -> tuple[int, int]:
    """Where modules are. Raises LookupError when it is larger than any kernel's: the image is smeared or hostile."""
    if kernel.module.has_symbol("mod_tree"):  # since 5.19
        tree = kernel.module.object_from_symbol("mod_tree")
        start, end = int(tree.addr_min), int(tree.addr_max)
    else:
        start = int(kernel.module.object_from_symbol("module_addr_min"))
        end = int(kernel.module.object_from_symbol("module_addr_max"))
    mask = kernel.layer.address_mask
    start, end = start & mask & -_PAGE_BYTES, end & mask
    if not 0 <= end - start <= _AREA_LIMIT_BYTES:
        raise LookupError(f"modules are said to lie from {start:#x} to {end:#x}, which cannot be")
    return start, end


def _self_offset(kernel: Kernel) -> int:
    """Where a module keeps a pointer to itself: module.mkobj.mod."""
    in_module = kernel.module.get_type("module").relative_child_offset("mkobj")
    return in_module + kernel.module.get_type("module_kobject").relative_child_offset("mod")


def self_references(layer: Any, start: int, end: int, self_offset: int) -> Iterator[int]:
    """Aligned addresses of what keeps a pointer to itself at `self_offset`, between the two (masked) addresses."""
    mask = layer.address_mask
    for offset, length, _, _, _ in layer.mapping(start, end - start, ignore_errors=True):
        for page in range(offset & -_PAGE_BYTES, offset + length, _PAGE_BYTES):
            try:
                words = memoryview(layer.read(page, _PAGE_BYTES)).cast("Q")
            except exceptions.InvalidAddressException:
                continue
            first = (self_offset - page) % _ALIGNMENT_BYTES
            if first % _POINTER_BYTES:
                return
            address = page + first - self_offset
            for index in range(first // _POINTER_BYTES, len(words), _ALIGNMENT_BYTES // _POINTER_BYTES):
                if words[index] & mask == address:
                    yield address
                address += _ALIGNMENT_BYTES


def _name_of_live(kernel: Kernel, address: int) -> str | None:
    """None when it is no module in use: one that is being loaded or unloaded may be out of the list for a moment."""
    module = kernel.object("module", address)
    try:
        if int(module.state) != _STATE_LIVE:
            return None
        name = read_string(kernel.layer, module.member("name").vol.offset, _NAME_LIMIT_BYTES)
    except exceptions.InvalidAddressException:
        return None
    return name if name.isprintable() and name else None
