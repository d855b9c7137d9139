"""The analysis of one image: the kernel line, then every plugin to its own end, then `done`."""

import contextlib
import gc
import logging
import mimetypes
import platform
import time
from typing import Any

from volatility3.framework import constants

import accelerations
import paths
from fatal import Fatal
from images import check_readable
from job import Job, Plugin
from kernel import Kernel, open_kernel
from lines import Lines, OutputLost
from missing import TRIED_IN_VAIN
from plugins.hidden_modules import open_hidden_modules
from plugins.modules import open_modules
from plugins.processes import open_processes
from plugins.sockets import open_sockets
from stock import load_plugin, open_stock
from table import Table
from warn import Warnings, missing_name

_log = logging.getLogger(__name__)

_OURS = {
    "processes": open_processes,
    "sockets": open_sockets,
    "hiddenModules": open_hidden_modules,
    "linux.lsmod.Lsmod": open_modules,
}


def load_plugins(job: Job) -> None:
    """Imports plugins while their files can still be read. One that cannot be imported says so when it is its turn."""
    mimetypes.init(files=())  # by which Volatility opens an ISF, and would read /etc
    for name in {plugin.name for plugin in job.plugins} - _OURS.keys():
        with contextlib.suppress(LookupError):
            load_plugin(name)


def analyse(job: Job, lines: Lines) -> None:
    """Raises Fatal before the first plugin; after that each plugin's failure is its own."""
    if job.accelerated:
        accelerations.apply()
    paths.apply()
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
    written, reason = 0, None
    try:
        for written in lines.write_rows(plugin.name, _open_table(kernel, plugin, warnings), warnings.add):
            pass
    except OutputLost:
        raise
    except MemoryError:
        reason = "out_of_memory"
    except (Exception, SystemExit) as error:
        _log.exception("plugin %s", plugin.name)
        missing = missing_name(error)
        text = f"the kernel's symbols have no {missing}" if missing else f"{type(error).__name__}: {error}"
        reason = text[:500]
    check_readable(kernel.context)
    if reason is None:
        warnings.add_missing(kernel.context.missing - TRIED_IN_VAIN)
    if reason is None and written == 0:
        reason = _why_not_empty(plugin, warnings)
    end: dict[str, Any] = {"state": "failed" if reason else "rows" if written else "empty", "rows": written}
    end["seconds"] = round(time.monotonic() - start, 3)
    if reason:
        gc.collect()
        end["reason"] = reason
    if warnings.sentences():
        end["warnings"] = warnings.sentences()
    return end


def _why_not_empty(plugin: Plugin, warnings: Warnings) -> str | None:
    """`empty` is a statement about the node, so it is made only when everything was readable."""
    if plugin.never_empty:
        why = warnings.sentences()[0] if warnings.sentences() else "its memory is not readable in this image"
        return f"nothing found, which cannot be true of a running node: {why}"
    if warnings.sentences():
        return f"nothing found, but not everything was readable: {warnings.sentences()[0]}"
    return None


def _open_table(kernel: Kernel, plugin: Plugin, warnings: Warnings) -> Table:
    ours = _OURS.get(plugin.name)
    return ours(kernel, warnings) if ours else open_stock(kernel, plugin, warnings)
