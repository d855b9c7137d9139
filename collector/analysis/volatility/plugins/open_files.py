"""The file tables of a process, read without Volatility's path look-ups."""

from collections.abc import Iterator
from typing import Any

from volatility3.framework import exceptions

from kernel import Kernel
from tasks import Process
from warn import Warnings

_POINTER_BYTES = 8
_PAGE_BYTES = 4096
_TABLE_LIMIT = 1 << 20


def open_files(kernel: Kernel, process: Process, warnings: Warnings) -> Iterator[tuple[int, Any]]:
    """Every (fd, struct file) of the process. Threads can have tables of their own; a shared one is read once."""
    tables = warnings.read("thread list", process.pid, lambda: _tables(process))
    if tables is None:
        return
    if not process.threads_complete:
        warnings.add_process("not every thread is readable in the image", process.pid)
    for table in tables.values():
        try:
            yield from _table(kernel, process, table, warnings)
        except exceptions.InvalidAddressException:
            warnings.add_process("file table is not readable in the image", process.pid)


def _tables(process: Process) -> dict[int, Any]:
    return {int(task.files): task.files for task in process.live_threads if int(task.files)}


def _table(kernel: Kernel, process: Process, files: Any, warnings: Warnings) -> Iterator[tuple[int, Any]]:
    fdt = files.fdt
    count, start = int(fdt.max_fds), int(fdt.fd)
    if count > _TABLE_LIMIT:
        warnings.add_process(f"file table is cut at {_TABLE_LIMIT} entries", process.pid)
        count = _TABLE_LIMIT
    step = _PAGE_BYTES // _POINTER_BYTES
    for first in range(0, count, step):
        size = min(step, count - first) * _POINTER_BYTES
        try:
            page = kernel.layer.read(start + first * _POINTER_BYTES, size)
        except exceptions.InvalidAddressException:
            warnings.add_process("part of the file table is not in the image", process.pid)
            continue
        for fd, pointer in enumerate(memoryview(page).cast("Q"), first):
            if pointer:
                yield fd, kernel.object("file", pointer & kernel.layer.address_mask)
