import unittest

from fatal import Fatal
from vmcoreinfo import parse_vmcoreinfo

_NOTE = """OSRELEASE=6.1.0-56-cloud-amd64
PAGESIZE=4096
SYMBOL(swapper_pg_dir)=ffffffffae010000
SYMBOL(_stext)=ffffffffac600000
NUMBER(phys_base)=-505413632
NUMBER(pgtable_l5_enabled)=0
KERNELOFFSET=2b600000
"""


def _without(key: str) -> str:
    return "".join(line for line in _NOTE.splitlines(keepends=True) if not line.startswith(key))


class ParseVmcoreinfo(unittest.TestCase):
    def test_a_note_of_a_real_kernel_gives_the_page_table_that_its_own_iomem_agrees_with(self) -> None:
        place = parse_vmcoreinfo(_NOTE)
        self.assertEqual(place.release, "6.1.0-56-cloud-amd64")
        self.assertEqual(place.kernel_offset, 0x2B600000)
        self.assertEqual(place.dtb, 0xFE10000)
        self.assertEqual(place.paging_levels, 4)
        self.assertEqual(place.symbols["_stext"], 0xFFFFFFFFAC600000)

    def test_paging_levels(self) -> None:
        cases = {
            "a kernel that uses LA57": (_NOTE.replace("l5_enabled)=0", "l5_enabled)=1"), 5),
            "a kernel too old to say": (_without("NUMBER(pgtable_l5_enabled)"), 4),
        }
        for sentence, (note, levels) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(parse_vmcoreinfo(note).paging_levels, levels)

    def test_what_is_missing_or_unreadable_is_named(self) -> None:
        cases = {
            "KERNELOFFSET": _without("KERNELOFFSET"),
            "SYMBOL(swapper_pg_dir)": _without("SYMBOL(swapper_pg_dir)"),
            "NUMBER(phys_base)": _NOTE.replace("=-505413632", "=1e9"),
            "NUMBER(pgtable_l5_enabled)": _NOTE.replace("l5_enabled)=0", "l5_enabled)=maybe"),
            "top page table": _NOTE.replace("-505413632", "-99505413632"),
        }
        for name, note in cases.items():
            with self.subTest(name), self.assertRaises(Fatal) as raised:
                parse_vmcoreinfo(note)
            self.assertEqual(raised.exception.reason, "kernel_unknown")
            self.assertIn(name, raised.exception.detail)
