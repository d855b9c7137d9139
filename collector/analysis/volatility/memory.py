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


def follow_list(layer: layers.DataLayerInterface, head: int, both_ways: bool = False) -> ListWalk:
    """Walks a `struct list_head` forward and, if that breaks off, also backward from the head.

    `both_ways` is for lists that grow at their end while memory is read: a node that was freed and linked anew there
    leads forward to the head, over all that is between."""
    mask = layer.address_mask
    head &= mask
    nodes, complete = _follow(layer, head, 0, mask)
    if len(nodes) > _NODE_LIMIT or (complete and not both_ways):
        return ListWalk(tuple(nodes)[1:], complete)
    before, leads_back = _follow(layer, head, _POINTER_BYTES, mask)
    # Nothing is missing where it breaks off at a known node, as at one that has just exited.
    complete = complete and (leads_back or next(reversed(before)) in nodes)
    return ListWalk(tuple(nodes | before)[1:], complete)


def _follow(
    layer: layers.DataLayerInterface, head: int, link_offset: int, mask: int
) -> tuple[dict[int, None], bool]:
    """The nodes from the head on, with it, and whether they lead back to it."""
    seen = {head: None}
    node = head
    while True:
        try:
            node = int.from_bytes(layer.read(node + link_offset, _POINTER_BYTES), "little") & mask
        except exceptions.InvalidAddressException:
            if node != head:
                del seen[node]
            return seen, False
        if node in seen or len(seen) > _NODE_LIMIT:
            return seen, node == head
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
