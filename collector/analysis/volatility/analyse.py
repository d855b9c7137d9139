"""The analysis of one image: the kernel line, then each plugin to its own end."""

import contextlib
import gc
import logging
import mimetypes
import platform
import time
from collections.abc import Iterable
from typing import Any

from volatility3.framework import constants

import paths
import speedups
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
from symbols import Symbols
from table import Table
from warn import Warnings, missing_name

_log = logging.getLogger(__name__)

_OURS = {
    "processes": open_processes,
    "sockets": open_sockets,
    "hiddenModules": open_hidden_modules,
    "linux.lsmod.Lsmod": open_modules,
}


def load(plugins: Iterable[str]) -> None:
    """Imports what an analysis takes, while all files can still be read. A plugin that cannot be imported says so when it
    is its turn."""
    mimetypes.init(files=())  # by which Volatility opens an ISF, and would read /etc
    for name in set(plugins) - _OURS.keys():
        with contextlib.suppress(LookupError):
            load_plugin(name)
    speedups.apply()
    paths.apply()


def versions() -> dict[str, str]:
    return {"volatility": constants.PACKAGE_VERSION, "python": platform.python_version()}


def analyse(symbols: Symbols, job: Job, plugins: Iterable[Plugin], lines: Lines) -> None:
    """Raises Fatal before the first plugin; after that each plugin's failure is its own."""
    kernel = open_kernel(symbols, job)
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
    for plugin in plugins:
        lines.write({"type": "plugin", "plugin": plugin.name, "state": "started"})
        lines.write({"type": "plugin", "plugin": plugin.name, **_run(kernel, plugin, lines)})


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
