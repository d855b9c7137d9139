"""The analysis of one image: the kernel line, then each plugin to its own end."""

import contextlib
import gc
import logging
import mimetypes
import platform
import time
from collections.abc import Iterable, Iterator
from typing import Any

from volatility3.framework import constants

import accelerations
import compat
import paths
from accelerated_paths import forget_paths
from arguments import Unsupported
from ending import end_with_error, end_with_rows
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
from symbols import Symbols
from table import Plain, Table
from warn import Warnings

_log = logging.getLogger(__name__)

_OURS = {
    "processes": open_processes,
    "sockets": open_sockets,
    "hiddenModules": open_hidden_modules,
    "linux.lsmod.Lsmod": open_modules,
}
_BROKEN_NAMED = 5
# There is no result without them, so a kernel that they cannot read is a failure.
_ALWAYS_SUPPORTED = frozenset({"processes", "sockets"})


def load(plugins: Iterable[str], accelerated: bool = True) -> None:
    """Imports what an analysis takes, while all files can still be read. A plugin that cannot be imported says so when it
    is its turn."""
    mimetypes.init(files=())  # by which Volatility opens an ISF, and would read /etc
    for name in set(plugins) - _OURS.keys():
        with contextlib.suppress(LookupError, Unsupported):
            load_plugin(name)
    if accelerated:
        accelerations.apply()
    paths.apply()
    compat.apply()


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
    kernel.context.broken.clear()
    forget_paths(kernel.context)
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
    for what in sorted(kernel.context.broken)[:_BROKEN_NAMED]:
        warnings.add(f"The {what} is broken in this image (smear or tampering): entries may be missing.")
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
