"""A process's arguments, from its own address space, as /proc/PID/cmdline gives them."""

from typing import Any

from kernel import Kernel
from memory import read_to_nul

LIMIT_BYTES = 128 * 1024
_TITLE_LIMIT_BYTES = 4096


def read_command_line(kernel: Kernel, holder: Any) -> bytes | None:
    """Arguments ended by NUL each, at most LIMIT_BYTES; None when the process has no page tables.

    `holder` is a task with an mm. Raises InvalidAddressException when a page is not in the image. A process that wrote
    its title over the arguments (no NUL at their end) is read up to the first NUL, as the kernel does (get_mm_cmdline).
    """
    layer_name = holder.add_process_layer()
    if layer_name is None:
        return None
    layer = kernel.context.layers[layer_name]
    start, end = int(holder.mm.arg_start), int(holder.mm.arg_end)
    if end <= start:
        return b""
    if layer.read(end - 1, 1) != b"\0":
        return read_to_nul(layer, start, min(_title_end(holder.mm) - start, _TITLE_LIMIT_BYTES))
    return layer.read(start, min(end - start, LIMIT_BYTES))


def _title_end(mm: Any) -> int:
    """Where a title may end: it goes on where the environment was, if that follows, and into nothing else."""
    arguments_end, start, end = int(mm.arg_end), int(mm.env_start), int(mm.env_end)
    return end if start == arguments_end <= end else arguments_end


def join_arguments(arguments: bytes) -> str:
    """One blank between arguments; NULs at the end, with which programs pad the title that they set, are left out."""
    return arguments.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
