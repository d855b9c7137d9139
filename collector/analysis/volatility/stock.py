"""Runs Volatility's own plugins in the shared context."""

import importlib
from collections.abc import Iterator
from typing import Any

import volatility3.framework.constants.architectures  # some plugins take for granted that it is loaded
from volatility3.framework import interfaces
from volatility3.framework.configuration import requirements

from arguments import Unsupported, check_arguments, forget_files
from job import Plugin
from kernel import Kernel
from rows import plain
from table import Plain, Table
from tasks import task_list
from warn import Warnings

_TREE_COLUMN = "TreeDepth"
# By the module that Volatility asks for last.
_NOT_INSTALLED = {"yara": "yara-x"}


def open_stock(kernel: Kernel, told: Plugin, warnings: Warnings) -> Table:
    """Raises LookupError for a name that is no plugin of this Volatility, and as check_arguments does."""
    plugin = load_plugin(told.name)
    config_path = f"plugins.{plugin.__name__}"
    for name, value in _configuration(kernel, plugin, told).items():
        kernel.context.config[f"{config_path}.{name}"] = value
    constructed = plugin(kernel.context, config_path)
    constructed.set_open_method(forget_files(warnings))
    grid = constructed.run()
    columns = [column.name for column in grid.columns]
    if told.tree:
        return Table([_TREE_COLUMN, *columns], _checked(kernel, told, columns, _tree_rows(grid), warnings))
    return Table(columns, _checked(kernel, told, columns, _flat_rows(grid), warnings))


def load_plugin(name: str) -> type[interfaces.plugins.PluginInterface]:
    """Raises LookupError for a name that is no plugin of this Volatility."""
    module_name, _, class_name = name.rpartition(".")
    if not module_name.startswith("linux."):
        raise LookupError(f"there is no plugin {name}")
    try:
        plugin = getattr(importlib.import_module(f"volatility3.plugins.{module_name}"), class_name)
    except ModuleNotFoundError as error:
        if error.name not in _NOT_INSTALLED:
            raise LookupError(f"there is no plugin {name} in this Volatility: {error}") from error
        why = f"it needs the Python package {_NOT_INSTALLED[error.name]}, which is not installed"
        raise Unsupported(why) from error
    except (ImportError, AttributeError) as error:
        raise LookupError(f"there is no plugin {name} in this Volatility: {error}") from error
    if not (isinstance(plugin, type) and issubclass(plugin, interfaces.plugins.PluginInterface)):
        raise LookupError(f"{name} is not a plugin")
    return plugin


def _configuration(
    kernel: Kernel, plugin: type[interfaces.plugins.PluginInterface], told: Plugin
) -> dict[str, Any]:
    """What `vol` finds out by itself, and the arguments."""
    found: dict[str, Any] = {}
    for requirement in plugin.get_requirements():
        match requirement:
            case requirements.ModuleRequirement():
                found[requirement.name] = kernel.module_name
            case requirements.TranslationLayerRequirement():
                found[requirement.name] = kernel.layer.name
    return found | check_arguments(plugin, told.arguments, told.needs)


def _flat_rows(grid: Any) -> Iterator[list[Plain]]:
    # The generator itself, not populate(): that keeps every row of a table, which a hostile image can make endless.
    for _depth, values in grid._generator:
        yield [plain(value) for value in values]


def _tree_rows(grid: Any) -> Iterator[list[Plain]]:
    for depth, values in grid._generator:
        yield [depth, *(plain(value) for value in values)]


def _checked(
    kernel: Kernel, told: Plugin, columns: list[str], rows: Iterator[list[Plain]], warnings: Warnings
) -> Iterator[list[Plain]]:
    """Passes the rows on and compares them with the task list: Volatility leaves out what it cannot read, silently."""
    if told.processes == "each":
        yield from _compared(kernel, told, columns, rows, warnings)
    else:
        yield from rows
    if told.processes is not None:
        task_list(kernel).explain(warnings)


def _compared(
    kernel: Kernel, told: Plugin, columns: list[str], rows: Iterator[list[Plain]], warnings: Warnings
) -> Iterator[list[Plain]]:
    leaders = {int(task.tgid): task for task in task_list(kernel).leaders}
    known = set(leaders)
    pid_column = columns.index("PID") - len(columns)
    for row in rows:
        pid = row[pid_column]
        known.discard(pid)
        if told.name == "linux.pslist.PsList" and row[columns.index("CREATION TIME")] is None and pid in leaders:
            warnings.read("creation time", pid, leaders[pid].get_create_time)
        yield row
    for pid in sorted(known):
        warnings.add_process("not in Volatility's list (its first thread has exited, or is not readable)", pid)
