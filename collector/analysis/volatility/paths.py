"""Volatility's way from a file up to its root directory, with an end: in a hostile image the parents can be a ring."""

from typing import Any

from volatility3.framework import constants, exceptions, objects
from volatility3.framework.objects import utility
from volatility3.framework.symbols.linux import LinuxUtilities

_VERSION = "2.28.2"
# PATH_MAX is 4096: 2048 names of one letter, each with a mount on top.
_STEP_LIMIT = 4096
# NAME_MAX
_NAME_LIMIT_BYTES = 255


def apply() -> None:
    """Leaves another version of Volatility alone, as accelerations.py does."""
    if constants.PACKAGE_VERSION == _VERSION:
        LinuxUtilities.do_get_path = classmethod(_path)


def _path(utilities: type[LinuxUtilities], *places: Any) -> str:
    return walk_up(utilities, *places)


def walk_up(utilities: type[LinuxUtilities], root: Any, root_mount: Any, entry: Any, mount: Any) -> str:
    """Returns what LinuxUtilities.do_get_path does; only the mark of a smeared path where that would never end."""
    if not (root and root.is_readable() and root_mount and root_mount.is_readable()):
        return ""
    if isinstance(mount, objects.Pointer) and not (mount and mount.is_readable()):
        return ""
    inode = entry.d_inode
    names: list[str] = []
    seen: set[tuple[int, int]] = set()
    while True:
        if not (entry and entry.is_readable() and (entry != root or not mount.is_equal(root_mount))):
            break
        at_top = entry == mount.get_mnt_root()
        if (at_top or entry.is_root()) and not (at_top and mount.has_parent()):
            break
        step = (address_of(entry), address_of(mount))
        if step in seen or len(seen) >= _STEP_LIMIT:
            return utilities.smear
        seen.add(step)
        if at_top:
            entry, mount = mount.get_dentry_parent(), mount.get_vfsmnt_parent()
        else:
            names.append(file_name(entry.d_name))
            entry = entry.d_parent
    path = "/" + "/".join(name.strip("/") for name in reversed(names))
    if not all(names):
        return f"{utilities.smear} {path}"
    if inode and inode.is_readable() and inode.is_valid() and inode.i_nlink == 0:
        path = f" {path} {utilities.deleted}"
    return path


def address_of(place: Any) -> int:
    return int(place) if isinstance(place, objects.Pointer) else int(place.vol.offset)


def file_name(name: Any) -> str:
    """Returns what stock's qstr.name_as_str does, for a name that a file system can have: stock reads as much as the image
    says, up to 4 GiB, which is all memory of many nodes."""
    length = min(int(name.len), _NAME_LIMIT_BYTES) if name.has_member("len") else _NAME_LIMIT_BYTES
    try:
        return utility.pointer_to_string(name.name, length + 1)
    except (exceptions.InvalidAddressException, ValueError):
        return ""
