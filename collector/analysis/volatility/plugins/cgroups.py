"""Each process's cgroup as /proc/PID/cgroup shows it, read from the css_set and the kernfs tree above it."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from kernel import Kernel
from memory import follow_list, read_string

# enum in include/linux/cgroup-defs.h: CSS_NO_REF is bit 0, CSS_ONLINE bit 1
_CSS_ONLINE = 1 << 1
_NAME_LIMIT_BYTES = 256
_DEPTH_LIMIT = 256
_POD_MARK = "kubepods"


def climb(node: Any, name_of: Callable[[Any], str], parent_of: Callable[[Any], Any]) -> str | None:
    """Path from the root ("/", whose `parent_of` is None) to `node`; None when the chain has no end."""
    names: list[str] = []
    for _ in range(_DEPTH_LIMIT):
        parent = parent_of(node)
        if parent is None:
            return "/" + "/".join(reversed(names))
        names.append(name_of(node))
        node = parent
    return None


def choose(unified: str | None, others: Sequence[str | None]) -> str | None:
    """The pod's path that most hierarchies have, else the unified one's, else what most of version 1 agree on.

    On a node with version 1 hierarchies the unified one exists too, with everything or nearly so in its root.
    """
    pods = [path for path in (unified, *others) if path is not None and _POD_MARK in path]
    if pods:
        # After a failed restart one hierarchy can still have the process in a cgroup that all others have left.
        return max(pods, key=pods.count)
    if unified not in (None, "/"):
        return unified
    rest = [path for path in others if path not in (None, "/")]
    return max(rest, key=rest.count, default=unified)


class CgroupPaths:
    """Paths by css_set: processes of one container share theirs."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._paths: dict[int, str | None] = {}

    @cached_property
    def _parent_field(self) -> str:
        # kernel 6.15 renamed the field when it put it under RCU
        return "parent" if self._kernel.module.get_type("kernfs_node").has_member("parent") else "__parent"

    def path(self, task: Any) -> str | None:
        """None when the chain does not end; raises InvalidAddressException when it leaves the image."""
        css_set = task.cgroups
        if int(css_set) == 0:
            return None
        if int(css_set) not in self._paths:
            self._paths[int(css_set)] = self._of_css_set(css_set.dereference())
        return self._paths[int(css_set)]

    def _of_css_set(self, css_set: Any) -> str | None:
        unified = self._of_cgroup(css_set.dfl_cgrp.dereference())
        return choose(unified, [self._of_cgroup(cgroup, unified=False) for cgroup in self._linked(css_set)])

    def _linked(self, css_set: Any) -> list[Any]:
        link = self._kernel.module.get_type("cgrp_cset_link")
        nodes = follow_list(self._kernel.layer, css_set.cgrp_links.vol.offset).nodes
        offset = link.relative_child_offset("cgrp_link")
        links = (self._kernel.object("cgrp_cset_link", node - offset) for node in nodes)
        return [item.cgrp.dereference() for item in links if int(item.cgrp) != int(css_set.dfl_cgrp)]

    def _of_cgroup(self, cgroup: Any, unified: bool = True) -> str | None:
        path = climb(cgroup.kn.dereference(), self._name, self._parent)
        removed = unified and not int(cgroup.member("self").flags) & _CSS_ONLINE
        return f"{path} (deleted)" if path is not None and removed else path

    def _name(self, node: Any) -> str:
        return read_string(self._kernel.layer, int(node.name), _NAME_LIMIT_BYTES)

    def _parent(self, node: Any) -> Any:
        parent = node.member(self._parent_field)
        return parent.dereference() if int(parent) else None
