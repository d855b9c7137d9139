"""Runs Volatility's own plugins in the shared context."""

import importlib
from collections.abc import Iterator
from typing import Any

import volatility3.framework.constants.architectures  # some plugins take for granted that it is loaded
from volatility3.framework import interfaces

from job import Plugin
from kernel import Kernel
from rows import plain
from table import Plain, Table
from tasks import task_list
from warn import Warnings

_TREE_COLUMN = "TreeDepth"


def open_stock(kernel: Kernel, told: Plugin, warnings: Warnings) -> Table:
    """Raises LookupError for a name that is no plugin of this Volatility."""
    plugin = load_plugin(told.name)
    config_path = f"plugins.{plugin.__name__}"
    kernel.context.config[f"{config_path}.kernel"] = kernel.module_name
    grid = plugin(kernel.context, config_path).run()
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
    except (ImportError, AttributeError) as error:
        raise LookupError(f"there is no plugin {name} in this Volatility: {error}") from error
    if not (isinstance(plugin, type) and issubclass(plugin, interfaces.plugins.PluginInterface)):
        raise LookupError(f"{name} is not a plugin")
    return plugin


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
    if told.processes is None:
        yield from rows
        return
    leaders = {int(task.tgid): task for task in task_list(kernel).leaders}
    known = set(leaders)
    pid_column = columns.index("PID") - len(columns)
    for row in rows:
        pid = row[pid_column]
        known.discard(pid)
        if told.name == "linux.pslist.PsList" and row[columns.index("CREATION TIME")] is None and pid in leaders:
            warnings.read("creation time", pid, leaders[pid].get_create_time)
        yield row
    task_list(kernel).explain(warnings)
    if told.processes == "each":
        for pid in sorted(known):
            warnings.add_process("not in Volatility's list (its first thread has exited, or is not readable)", pid)
