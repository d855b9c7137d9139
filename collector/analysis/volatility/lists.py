"""The kernel's own lists and trees, with an end on any image, and a word where they are broken.

Volatility stops at a link that it cannot read or that it has seen, without one, and follows some others for ever. The
entries of a list that is whole are the same.
"""

from collections.abc import Iterator
from typing import Any

from volatility3.framework import exceptions
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux import extensions

from pid_table import leaders_by_pid


def _broken(structure: Any) -> set[str]:
    """The context of a run keeps what is told; that of a test may not."""
    return getattr(structure._context, "broken", set())


def _tell_broken(structure: Any, what: str) -> None:
    _broken(structure).add(what)


class List(extensions.list_head):
    def to_list(
        self, symbol_type: str, member: str, forward: bool = True, sentinel: bool = True, layer: str | None = None
    ) -> Iterator[Any]:
        last = None
        for entry in super().to_list(symbol_type, member, forward, sentinel, layer):
            last = entry
            yield entry
        what = f"list of {_name(symbol_type)}.{member}"
        # Backward is walked only after forward, and ends at a task that has just exited: the kernel poisons its `prev`.
        if forward and not self._leads_back(self if last is None else last.member(member), last):
            _tell_broken(self, what)
        # Who walks backward leaves out what it had forward. Links that lead back to the head may have led over some.
        if not forward and what == "list of task_struct.tasks":
            yield from leaders_by_pid(linux.LinuxUtilities.get_module_from_volobj_type(self._context, self))

    def _leads_back(self, link: Any, last: Any) -> bool:
        """A list that was never made, whose links are NULL, has no entries and is not broken."""
        try:
            target = int(link.member("next"))
        except exceptions.InvalidAddressException:
            return False
        head = self.vol.offset
        mask = self._context.layers[self.vol.layer_name].address_mask
        return target & mask == head & mask or (last is None and target == 0)


class Tree(extensions.rb_root):
    """Stock goes down each way to a node, however many there are."""

    def get_nodes(self) -> Iterator[Any]:
        seen: set[int] = set()
        ahead = [self.rb_node]
        while ahead:
            node = ahead.pop()
            if not (node and node.is_readable()):
                continue
            if int(node) in seen:
                _tell_broken(self, "red-black tree")
                continue
            seen.add(int(node))
            yield node
            ahead += [node.rb_right, node.rb_left]


class MapleTree(extensions.maple_tree):
    """Stock leaves out a node that names another parent, as one that was replaced between the reads of two pages does."""

    def _parse_maple_tree_node(self, maple_tree_entry: int, parent: int, *rest: Any, **more: Any) -> Iterator[Any]:
        pointer = int(maple_tree_entry) & ~self.MAPLE_NODE_POINTER_MASK
        layer = self._context.layers[self.vol.native_layer_name]
        # Without an entry there is no node.
        if pointer != 0 and layer.is_valid(pointer, 8):
            named = int.from_bytes(layer.read(pointer, 8), "little") & layer.address_mask
            if named & ~self.MAPLE_NODE_POINTER_MASK != parent:
                _tell_broken(self, "maple tree of a process's mappings")
        yield from super()._parse_maple_tree_node(maple_tree_entry, parent, *rest, **more)


class Mapping(extensions.vm_area_struct):
    """Stock takes one for invalid whose file cannot be read, but fails at a file that has no inode, and all are lost."""

    def is_valid(self) -> bool:
        try:
            return super().is_valid()
        except AttributeError as error:
            if error.obj is not None:
                raise
            _tell_broken(self, "file of a mapping")
            return False


def _name(symbol_type: str) -> str:
    return symbol_type.rpartition("!")[2]
