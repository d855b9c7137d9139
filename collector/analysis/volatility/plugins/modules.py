"""`linux.lsmod.Lsmod`: the kernel's list of modules, in the columns of Volatility's plugin of that name.

Volatility's loses the table when one of its values cannot be read; here that costs the value.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from volatility3.framework.symbols.linux.utilities.modules import Modules
from volatility3.framework.symbols.linux.utilities.tainting import Tainting

from kernel import Kernel
from memory import follow_list, read_string
from table import Plain, Table
from warn import Warnings

COLUMNS = ["Offset", "Module Name", "Code Size", "Taints", "Load Arguments", "File Output"]

# MODULE_NAME_LEN
_NAME_LIMIT_BYTES = 56
# Volatility's: it shows none of more.
_ARGUMENT_LIMIT = 128


def open_modules(kernel: Kernel, warnings: Warnings) -> Table:
    """Raises LookupError when nothing of the list can be read."""
    walk = follow_list(kernel.layer, kernel.module.object_from_symbol("modules").vol.offset)
    if not walk.complete and not walk.nodes:
        raise LookupError("the kernel's module list is not readable in this image")
    if not walk.complete:
        warnings.add("The kernel's module list is broken in this image (smear or tampering): modules may be missing.")
    offset = kernel.module.get_type("module").relative_child_offset("list")
    return Table(COLUMNS, (_row(kernel, kernel.object("module", node - offset), warnings) for node in walk.nodes))


def _row(kernel: Kernel, module: Any, warnings: Warnings) -> list[Plain]:
    address = hex(module.vol.offset)
    name = warnings.read_module("name", address, lambda: _name(kernel, module))

    def read(what: str, value: Callable[[], str]) -> str | None:
        return warnings.read_module(what, name or address, value)

    return [
        address,
        name,
        read("code size", lambda: hex(module.get_init_size() + module.get_core_size())),
        read("taint", lambda: ",".join(_taints(kernel, module))),
        read("argument list", lambda: _arguments(kernel, module, partial(warnings.add_module, name=name or address))),
        None,
    ]


def _name(kernel: Kernel, module: Any) -> str:
    return read_string(kernel.layer, module.member("name").vol.offset, _NAME_LIMIT_BYTES)


def _taints(kernel: Kernel, module: Any) -> list[str]:
    return Tainting.get_taints_parsed(kernel.context, kernel.module_name, int(module.taints), True)


def _arguments(kernel: Kernel, module: Any, tell: Callable[[str], None]) -> str:
    """Volatility leaves out what it cannot read, and all where there are too many, without a word."""
    count = int(module.num_kp) if module.member("kp") else 0
    if count > _ARGUMENT_LIMIT:
        raise ValueError(f"{count} arguments")
    found = list(Modules.get_load_parameters(kernel.context, kernel.module_name, module))
    if len(found) < count:
        tell("part of the argument list is not readable in the image")
    return ", ".join(f"{name}={value}" for name, value in found)
