"""Where the kernel lies, from the VMCOREINFO note that the running kernel wrote about itself.

Format: one KEY=value a line, https://docs.kernel.org/admin-guide/kdump/vmcoreinfo.html. Addresses and KERNELOFFSET are
hexadecimal without a prefix, NUMBER() is decimal and may be negative. SYMBOL() values already include KERNELOFFSET.
"""

import re
from dataclasses import dataclass

from fatal import Fatal

_START_KERNEL_MAP = 0xFFFFFFFF80000000
_HEXADECIMAL = re.compile(r"(0x)?[0-9a-fA-F]{1,16}\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,20}\Z")


@dataclass(frozen=True)
class KernelPlace:
    """`kernel_offset` is the KASLR shift, `dtb` the physical address of the top page table,
    `symbols` the run-time addresses that the note names."""

    release: str
    kernel_offset: int
    dtb: int
    paging_levels: int
    symbols: dict[str, int]


def parse_vmcoreinfo(text: str) -> KernelPlace:
    """Raises Fatal(kernel_unknown) naming the line that is missing or unreadable."""
    lines = dict(line.split("=", 1) for line in text.replace("\0", "\n").splitlines() if "=" in line)
    kernel_offset = _hexadecimal(lines, "KERNELOFFSET")
    top_table = _hexadecimal(lines, "SYMBOL(swapper_pg_dir)")
    phys_base = _decimal(lines, "NUMBER(phys_base)")
    dtb = top_table - _START_KERNEL_MAP + phys_base
    if top_table < _START_KERNEL_MAP or dtb <= 0 or dtb % 4096 != 0:
        raise Fatal("kernel_unknown", f"VMCOREINFO gives {dtb:#x} for the top page table, which is no physical page.")
    five_levels = "NUMBER(pgtable_l5_enabled)" in lines and _decimal(lines, "NUMBER(pgtable_l5_enabled)") == 1
    return KernelPlace(
        release=lines.get("OSRELEASE", ""),
        kernel_offset=kernel_offset,
        dtb=dtb,
        paging_levels=5 if five_levels else 4,
        symbols=_symbols(lines),
    )


def _symbols(lines: dict[str, str]) -> dict[str, int]:
    names = (key for key in lines if key.startswith("SYMBOL(") and key.endswith(")"))
    return {key[7:-1]: int(lines[key], 16) for key in names if _HEXADECIMAL.match(lines[key])}


def _hexadecimal(lines: dict[str, str], key: str) -> int:
    return int(_value(lines, key, _HEXADECIMAL), 16)


def _decimal(lines: dict[str, str], key: str) -> int:
    return int(_value(lines, key, _DECIMAL), 10)


def _value(lines: dict[str, str], key: str, form: re.Pattern[str]) -> str:
    value = lines.get(key, "").strip()
    if not form.match(value):
        said = repr(value[:40]) if value else "nothing"
        raise Fatal("kernel_unknown", f"The node's VMCOREINFO says {said} for {key}, so the kernel cannot be found.")
    return value
