"""Loads the kernel's symbols (an ISF file) and makes sure that they are this kernel's."""

import binascii
import gc
import hashlib
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from volatility3.framework import exceptions, interfaces
from volatility3.framework.layers import intel
from volatility3.framework.symbols import linux
from volatility3.framework.symbols.linux import network

from banner import is_banner_of
from fatal import Fatal
from kernel_types import EXTRA, INSTEAD_OF, NEEDED
from missing import RememberingContext
from vmcoreinfo import KernelPlace

TABLE = "kernel_symbols"
_CONFIG = "kernel.symbol_table_name"


class KernelSymbols(linux.LinuxKernelIntermedSymbols):
    """Volatility's table, but finding names by address without making 150,000 symbol objects first (3.5 s).

    Structures have the classes of kernel_types.py, and a type that a kernel does not have is no reason to read nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, kind in EXTRA.items():
            self.set_type_class(name, kind)

    def set_type_class(self, name: str, clazz: type[interfaces.objects.ObjectInterface]) -> None:
        kind = INSTEAD_OF.get(clazz, clazz)
        if name in NEEDED or (name in self._delegate._json_object["user_types"] and self.get_type_class(name) != kind):
            super().set_type_class(name, kind)

    def get_symbols_by_location(self, offset: int, size: int = 0) -> Iterable[str]:
        if not self._sort_symbols:
            mask = self.config["symbol_mask"]
            symbols = self._delegate._json_object["symbols"]
            self._sort_symbols = sorted((symbol["address"] & mask, name) for name, symbol in symbols.items())
        return super().get_symbols_by_location(offset, size)


@dataclass(frozen=True)
class Symbols:
    """The symbols of a kernel in a context that holds nothing else yet. Good for one image."""

    context: RememberingContext
    table: KernelSymbols

    def map_by(self, layer: intel.Intel) -> None:
        """Before the first look-up by address, which would find nothing without."""
        self.context.config[f"{_CONFIG}.symbol_mask"] = layer.address_mask
        # Both keep a copy of the configuration, until they are told where it is.
        self.table.config_path = self.table._delegate.config_path = _CONFIG
        self.table.clear_symbol_cache()


def load_symbols(isf_path: str, isf_sha256: str) -> Symbols:
    """Reads no image, and may be forked from then on. Raises Fatal(symbols_rejected)."""
    path = pathlib.Path(isf_path)
    if not path.is_file():
        raise Fatal("symbols_rejected", f"There is no symbol file {isf_path}.")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != isf_sha256:
        detail = f"The symbol file {isf_path} has the SHA-256 {found}, not {isf_sha256}: it was damaged."
        raise Fatal("symbols_rejected", detail)
    context = RememberingContext()
    gc.disable()  # the loader makes millions of objects and no cycles; collecting costs half of the time
    try:
        table = KernelSymbols(
            context=context,
            config_path=_CONFIG,
            name=TABLE,
            isf_url=path.as_uri(),
            validate=False,
        )
        network.NetSymbols.apply(table)
        context.symbol_space.append(table)
    except MemoryError:
        raise
    except Exception as error:  # whatever a broken file makes of the parser: KeyError, EOFError, LZMAError, …
        raise Fatal("symbols_rejected", f"The symbol file {isf_path} is not usable: {_words(error)}.") from error
    finally:
        gc.freeze()  # the symbols stay to the end: never walk them again, as that would also copy what workers share
        gc.enable()
    return Symbols(context, table)


def check_symbols(table: KernelSymbols, banner: str | None, place: KernelPlace, layer: intel.Intel) -> str:
    """Compares the ISF with the node and returns the banner that the ISF was made for.

    Raises Fatal(symbols_mismatch) on another banner, or on an address that VMCOREINFO names and the ISF puts elsewhere:
    two builds of one release can share a banner but hardly all addresses.
    """
    made_for = _banner_constant(table)
    if banner is not None and not is_banner_of(made_for, banner):
        raise Fatal("symbols_mismatch", f"The symbols are for {made_for!r}, but the node runs {banner!r}.")
    compared = 0
    for name in ("_stext", "init_top_pgt", "init_uts_ns", "vmap_area_list", "prb", "node_data"):
        if name not in place.symbols or name not in table.symbols:
            continue
        compared += 1
        expected = place.symbols[name] - place.kernel_offset
        found = layer.canonicalize(table.get_symbol(name).address)
        if found != expected:
            raise Fatal(
                "symbols_mismatch",
                f"The symbols put {name} at {found:#x}, the node's kernel at {expected:#x}: they are of another build.",
            )
    if compared == 0:
        raise Fatal("symbols_rejected", "The symbols hold none of the addresses that the node's VMCOREINFO names.")
    return made_for


def _banner_constant(table: KernelSymbols) -> str:
    try:
        constant = table.get_symbol("linux_banner").constant_data
    except (exceptions.SymbolError, binascii.Error, KeyError, TypeError, ValueError) as error:
        detail = f"The symbols do not say which kernel they are for: {_words(error)}."
        raise Fatal("symbols_rejected", detail) from error
    banner = bytes(constant or b"").rstrip(b"\0").decode("utf-8", "replace").strip()
    if not banner.startswith("Linux version "):
        raise Fatal("symbols_rejected", "The symbols do not say which kernel they are for (linux_banner has no text).")
    return banner


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
