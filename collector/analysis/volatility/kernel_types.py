"""Kernel structures that changed in a way Volatility 2.28.2 does not know, read right for kernels 6.1 to 7.3."""

import socket
from typing import Any

from volatility3.framework import constants, exceptions, interfaces, objects
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux import extensions
from volatility3.framework.symbols.linux.extensions import network

from lists import List, Mapping, MapleTree, Tree
from memory import read_string
from paths import file_name

# KSYM_NAME_LEN
_SYMBOL_NAME_LIMIT_BYTES = 512
# struct tk_data tk_core until 6.16; since 6.17 the first (TIMEKEEPER_CORE) of struct tk_data timekeeper_data[].
_TIMEKEEPERS = ("tk_core", "timekeeper_data")


class Task(extensions.task_struct):
    """`get_create_time` and `get_boottime` work with each name that the kernel's clock has had."""

    def _get_boottime_raw(self) -> extensions.Timespec64Concrete:
        timekeeper = _core_timekeeper(linux.LinuxUtilities.get_module_from_volobj_type(self._context, self))
        return extensions.Timespec64Concrete.new_from_nsec(int(timekeeper.offs_real) - int(timekeeper.offs_boot))


def _core_timekeeper(kernel: interfaces.context.ModuleInterface) -> Any:
    """Raises SymbolError when no variable of a known name, or no known type for it, is in the symbols."""
    name = next((name for name in _TIMEKEEPERS if kernel.has_symbol(name)), None)
    if name is None:
        raise exceptions.SymbolError(" or ".join(_TIMEKEEPERS), kernel.symbol_table_name)
    found = kernel.object_from_symbol(name)
    if isinstance(found, objects.Array):
        found = found.cast(found.vol.subtype.vol.type_name.split(constants.BANG)[-1])
    elif not isinstance(found, objects.AggregateType):
        # Symbols made of BTF have types for the variables they know by name, and void for others.
        found = kernel.object_from_symbol(name, object_type=f"{kernel.symbol_table_name}{constants.BANG}tk_data")
    return found.timekeeper


class TaintFlag(objects.StructType):
    """`module` is gone since 7.0, where a module's taints hold no flag that is not a module's."""

    @property
    def module(self) -> bool:
        return bool(self.member("module")) if self.has_member("module") else True


class InetSocket(network.inet_sock):
    """Since 7.0 `ipv6_pinfo.daddr` is what a packet is routed by. Stock takes it for the peer of the socket."""

    def get_dst_addr(self) -> str | None:
        common = self.sk.member("__sk_common")
        if int(common.skc_family) != socket.AF_INET6 or not common.has_member("skc_v6_daddr"):
            return super().get_dst_addr()
        layer = self._context.layers[self.vol.layer_name]
        try:
            return socket.inet_ntop(socket.AF_INET6, layer.read(common.skc_v6_daddr.vol.offset, 16))
        except exceptions.InvalidAddressException:
            return None


class Capabilities(extensions.kernel_cap_t):
    """Before 6.3 the type of this name has two words, which stock expects of another name alone."""

    def get_capabilities(self) -> int:
        if self.has_member("val"):
            return super().get_capabilities()
        return extensions.kernel_cap_struct.get_capabilities(self)


class Page(extensions.page):
    """By 7.3 a page's place in its file is `__folio_index`, and its flags are a structure of one member."""

    @property
    def index(self) -> int:
        return self.member("index" if self.has_member("index") else "__folio_index")

    @property
    def flags(self) -> int:
        flags = self.member("flags")
        return flags.member("f") if isinstance(flags, objects.AggregateType) else flags


class Name(extensions.qstr):
    """Of a file, with the length that a file system allows."""

    def name_as_str(self) -> str:
        return file_name(self)


class ExportedSymbol(extensions.kernel_symbol):
    """Offsets are relative to their own place (4.19). Stock reckons that of the name from the whole, and fails to read it."""

    def _do_get_name(self) -> str:
        if not self.has_member("name_offset"):
            return super()._do_get_name()
        layer = self._context.layers[self.vol.layer_name]
        offset = self.member("name_offset")
        address = offset.vol.offset + int(offset)
        return read_string(layer, address & layer.address_mask, _SYMBOL_NAME_LIMIT_BYTES)


# Volatility sets its own classes again and again, so each is exchanged wherever it is set.
INSTEAD_OF: dict[type, type] = {
    extensions.task_struct: Task,
    extensions.kernel_cap_t: Capabilities,
    extensions.kernel_symbol: ExportedSymbol,
    extensions.list_head: List,
    extensions.rb_root: Tree,
    extensions.maple_tree: MapleTree,
    extensions.page: Page,
    extensions.qstr: Name,
    extensions.vm_area_struct: Mapping,
    network.inet_sock: InetSocket,
}
EXTRA: dict[str, type] = {"taint_flag": TaintFlag}
# Without these there is nothing to read. Any other type can be missing: a kernel without IPv6 has no inet6_ifaddr.
NEEDED = frozenset({"task_struct", "list_head"})
