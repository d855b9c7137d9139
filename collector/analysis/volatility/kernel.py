"""One Volatility context for the whole run: memory, page tables, symbols, kernel module. Nothing is scanned for."""

from dataclasses import dataclass, field
from typing import Any

from volatility3.framework import constants, contexts, exceptions
from volatility3.framework.layers import intel

from banner import is_banner_of
from build_id import read_build_id
from compat import add_kallsyms
from fatal import Fatal
from images import open_image
from job import Job
from missing import RememberingContext
from paging5 import LinuxIntel5Level
from symbols import TABLE, Symbols, check_symbols
from vmcoreinfo import KernelPlace, parse_vmcoreinfo

_BANNER_STEP_BYTES = 64
_BANNER_LIMIT_BYTES = 4096
_CAUSES = "it is of another boot or another node, or it is damaged"


@dataclass
class Kernel:
    """`module_name` is what plugins take as their `kernel` option; `banner` and `build_id` were read from the image and
    may lie; `differs` says that they are not of the kernel that the node told.

    `findings` holds what one plugin has found out and another can use again, such as the task list.
    """

    context: RememberingContext
    module_name: str
    place: KernelPlace
    banner: str
    build_id: str | None
    differs: bool
    findings: dict[str, Any] = field(default_factory=dict)

    @property
    def module(self) -> contexts.Module:
        return self.context.modules[self.module_name]

    @property
    def layer(self) -> intel.Intel:
        return self.context.layers[self.module.layer_name]

    def object(self, type_name: str, address: int) -> Any:
        """The object of that type at a run-time address."""
        return self.module.object(object_type=type_name, offset=address, absolute=True)


def open_kernel(symbols: Symbols, job: Job) -> Kernel:
    """Raises Fatal(kernel_unknown | image_rejected | symbols_rejected | symbols_mismatch)."""
    constants.OFFLINE = True
    place = parse_vmcoreinfo(job.vmcoreinfo)
    context, table = symbols.context, symbols.table
    memory = open_image(context, job.image)
    layer = _open_page_tables(context, memory, place)
    symbols.map_by(layer)
    add_kallsyms(table, place)
    made_for = check_symbols(table, job.banner, place, layer)
    module = contexts.Module.create(
        context,
        module_name="kernel",
        layer_name=layer.name,
        offset=place.kernel_offset,
        symbol_table_name=TABLE,
    )
    banner = _read_banner(layer, table.get_symbol("linux_banner").address + place.kernel_offset)
    build_id = read_build_id(layer, table, place.kernel_offset)
    # A node can claim any build-id, so an equal one excuses nothing: only one that differs counts.
    other_build = None not in (build_id, job.build_id) and build_id != job.build_id
    same_banner = is_banner_of(banner, made_for) and is_banner_of(banner, job.banner or made_for)
    return Kernel(context, module.name, place, banner, build_id, other_build or not same_banner)


def _open_page_tables(context: contexts.Context, memory: str, place: KernelPlace) -> intel.Intel:
    context.config["kernel.layer_name.memory_layer"] = memory
    context.config["kernel.layer_name.page_map_offset"] = place.dtb
    context.config["kernel.layer_name.kernel_virtual_offset"] = place.kernel_offset
    kind = LinuxIntel5Level if place.paging_levels == 5 else intel.LinuxIntel32e
    layer = kind(context, "kernel.layer_name", "kernel_memory", metadata={"os": "Linux"})
    context.add_layer(layer)
    return layer


def _read_banner(layer: intel.Intel, address: int) -> str:
    """A wrong mapping would give empty tables and no error, so nothing runs unless the banner is in its place."""
    text = b""
    place = f"where VMCOREINFO puts it ({layer.canonicalize(address):#x})"
    try:
        while b"\0" not in text and len(text) < _BANNER_LIMIT_BYTES:
            text += layer.read(address + len(text), _BANNER_STEP_BYTES)
    except exceptions.InvalidAddressException as error:
        if not text:
            raise Fatal("image_rejected", f"The image holds nothing {place}: {_CAUSES}.") from error
    if not text.startswith(b"Linux version "):
        raise Fatal("image_rejected", f"The image holds no kernel banner {place}: {_CAUSES}.")
    return text.split(b"\0")[0].decode("utf-8", "replace").strip()
