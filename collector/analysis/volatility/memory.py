"""Reads from kernel memory that plugins of ours share: strings, and linked lists that say when they are broken."""

from dataclasses import dataclass

from volatility3.framework import exceptions
from volatility3.framework.interfaces import layers

_PAGE_BYTES = 4096
_POINTER_BYTES = 8
# PID_MAX_LIMIT, the most tasks that Linux can have; no list that is read here is longer.
_NODE_LIMIT = 1 << 22


@dataclass(frozen=True)
class ListWalk:
    """Addresses of the nodes, head left out. `complete` is False when the links did not lead back to the head, or the
    list is longer than any of a kernel."""

    nodes: tuple[int, ...]
    complete: bool


def follow_list(layer: layers.DataLayerInterface, head: int) -> ListWalk:
    """Walks a `struct list_head` forward and, if that breaks off, also backward from the head."""
    mask = layer.address_mask
    head &= mask
    seen = {head: None}
    complete = _follow(layer, head, 0, seen, mask)
    if not complete:
        _follow(layer, head, _POINTER_BYTES, seen, mask)
    return ListWalk(tuple(seen)[1:], complete)


def _follow(layer: layers.DataLayerInterface, head: int, link_offset: int, seen: dict[int, None], mask: int) -> bool:
    node = head
    while True:
        try:
            node = int.from_bytes(layer.read(node + link_offset, _POINTER_BYTES), "little") & mask
        except exceptions.InvalidAddressException:
            if node != head:
                seen.pop(node, None)
            return False
        if node in seen or len(seen) > _NODE_LIMIT:
            return node == head
        seen[node] = None


def read_string(layer: layers.DataLayerInterface, address: int, limit_bytes: int) -> str:
    """A C string as UTF-8 with replacement. Volatility's own readers stop at the first byte that is not UTF-8."""
    return read_to_nul(layer, address, limit_bytes).decode("utf-8", "replace")


def read_to_nul(layer: layers.DataLayerInterface, address: int, limit_bytes: int) -> bytes:
    """Never touches a page beyond the one in which the NUL is. Raises InvalidAddressException for a missing page."""
    text = b""
    while len(text) < limit_bytes:
        step = min(_PAGE_BYTES - (address + len(text)) % _PAGE_BYTES, limit_bytes - len(text))
        text += layer.read(address + len(text), step)
        if b"\0" in text[-step:]:
            return text[: text.index(b"\0")]
    return text
