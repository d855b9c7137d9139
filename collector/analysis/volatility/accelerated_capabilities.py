"""Which capabilities a kernel has: stock reads it anew for each set of each task."""

from typing import Any

from volatility3.framework.symbols.linux import extensions

from remembered import remembered

_stock_full = extensions.kernel_cap_struct.get_kernel_cap_full


def _full(self: Any) -> int:
    return remembered(self._context, "all capabilities", lambda: _stock_full(self))


PATCHES: tuple[tuple[Any, str, Any], ...] = ((extensions.kernel_cap_struct, "get_kernel_cap_full", _full),)
