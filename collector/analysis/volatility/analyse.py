"""The analysis of one image: the kernel line, then every plugin to its own end, then `done`."""

import contextlib
import gc
import logging
import mimetypes
import platform
import time
from collections.abc import Iterator
from typing import Any

from volatility3.framework import constants

import compat
import paths
import speedups
from arguments import Unsupported
from ending import end_with_error, end_with_rows
from fatal import Fatal
from images import check_readable
from job import Job, Plugin
from kernel import Kernel, open_kernel
from lines import Lines, OutputLost
from plugins.hidden_modules import open_hidden_modules
from plugins.modules import open_modules
from plugins.processes import open_processes
from plugins.sockets import open_sockets
from said import Said
from stock import load_plugin, open_stock
from table import Plain, Table
from warn import Warnings

_log = logging.getLogger(__name__)

_OURS = {
    "processes": open_processes,
    "sockets": open_sockets,
    "hiddenModules": open_hidden_modules,
    "linux.lsmod.Lsmod": open_modules,
}
# There is no result without them, so a kernel that they cannot read is a failure.
_ALWAYS_SUPPORTED = frozenset({"processes", "sockets"})


def load_plugins(job: Job) -> None:
    """Imports plugins while their files can still be read. One that cannot be imported says so when it is its turn."""
    mimetypes.init(files=())  # by which Volatility opens an ISF, and would read /etc
    for name in {plugin.name for plugin in job.plugins} - _OURS.keys():
        with contextlib.suppress(LookupError, Unsupported):
            load_plugin(name)


def analyse(job: Job, lines: Lines) -> None:
    """Raises Fatal before the first plugin; after that each plugin's failure is its own."""
    speedups.apply()
    paths.apply()
    compat.apply()
    kernel = _open(job)
    lines.write(
        {
            "type": "kernel",
            "imageBanner": kernel.banner,
            "imageBuildId": kernel.build_id,
            "kernelMismatch": kernel.differs,
            "pagingLevels": kernel.place.paging_levels,
            "kernelOffset": hex(kernel.place.kernel_offset),
            "dtb": hex(kernel.place.dtb),
        }
    )
    for plugin in job.plugins:
        lines.write({"type": "plugin", "plugin": plugin.name, "state": "started"})
        lines.write({"type": "plugin", "plugin": plugin.name, **_run(kernel, plugin, lines)})
    versions = {"volatility": constants.PACKAGE_VERSION, "python": platform.python_version()}
    lines.write({"type": "done", "versions": versions})


def _open(job: Job) -> Kernel:
    try:
        return open_kernel(job)
    except MemoryError as error:
        detail = f"The memory limit of {job.memory_bytes} bytes is too low to load the symbols."
        raise Fatal("out_of_memory", detail) from error


def _run(kernel: Kernel, plugin: Plugin, lines: Lines) -> dict[str, Any]:
    start = time.monotonic()
    warnings = Warnings()
    kernel.context.missing.clear()
    seen = written = 0
    error: BaseException | None = None

    def counted(table: Table) -> Iterator[list[Plain]]:
        nonlocal seen
        for row in table.rows:
            seen += 1
            yield row

    with Said() as said:
        try:
            table = _open_table(kernel, plugin, warnings)
            for written in lines.write_rows(plugin.name, Table(table.columns, counted(table)), warnings.add):
                pass
        except OutputLost:
            raise
        except (Exception, SystemExit) as caught:
            _log.exception("plugin %s", plugin.name)
            error = caught
    check_readable(kernel.context)
    if error is None:
        ended = end_with_rows(written, plugin, said, kernel.context.missing, warnings)
    else:
        said.tell(warnings)
        ended = end_with_error(error, seen)
        error = None
        gc.collect()
    if plugin.name in _ALWAYS_SUPPORTED and ended["state"] == "unsupported":
        ended["state"] = "failed"
    end: dict[str, Any] = {**ended, "rows": written, "seconds": round(time.monotonic() - start, 3)}
    if warnings.sentences():
        end["warnings"] = warnings.sentences()
    return end


def _open_table(kernel: Kernel, plugin: Plugin, warnings: Warnings) -> Table:
    ours = _OURS.get(plugin.name)
    return ours(kernel, warnings) if ours else open_stock(kernel, plugin, warnings)
