import tempfile
import unittest
from typing import Any

from testing.hostile import CRAFTED, make_whole_node
from testing.mini_kernel import MiniKernel
from testing.node import make_node

_MAPPED = {
    "maple_tree": "u32 ma_flags, ptr ma_root",
    "maple_range_64": "ptr parent, u64[15] pivot, ptr[16] slot",
    "maple_node": "maple_range_64 mr64",
    "vm_area_struct": "u64 vm_start, u64 vm_end, u64 vm_flags, u64 vm_pgoff, *file vm_file",
    "mm_struct": "ptr pgd, u64 arg_start, u64 arg_end, u64 env_start, u64 env_end, *file exe_file, maple_tree mm_mt,"
    " u64 start_brk, u64 brk, u64 start_stack",
}
_LEAF = 1 << 3 | 2
_MODULES = "The list of module.list is broken in this image (smear or tampering): entries may be missing."


def _make_mapped() -> tuple[MiniKernel, int, int]:
    """A process with two mappings: the kernel, the node of their tree, and the first."""
    kernel = make_node(**_MAPPED)
    mm = kernel.make("mm_struct", pgd=kernel.symbols["init_top_pgt"]["address"], start_brk=0x1000, brk=0x3000, start_stack=0x4000)
    tree = kernel.member(mm, "mm_struct", "mm_mt")[0]
    kernel.put(tree, "maple_tree", "ma_flags", 1 << 2)
    node = (kernel.bytes(bytes(512)) + 255) & ~255
    kernel.put(tree, "maple_tree", "ma_root", node | _LEAF)
    kernel.write_bytes(node, (tree | 1).to_bytes(8, "little"))
    areas = [kernel.make("vm_area_struct", vm_start=start, vm_end=start + 0x2000) for start in (0x1000, 0x3000)]
    slots = b"".join(area.to_bytes(8, "little") for area in areas)
    kernel.write_bytes(kernel.member(node, "maple_node", "mr64___slot")[0], slots)
    for pointer in ("mm", "active_mm"):
        kernel.put(kernel.symbols["a_task"]["address"], "task_struct", pointer, mm)
    return kernel, node, areas[0]


class Lists(unittest.TestCase):
    def _analyse(self, kernel: MiniKernel, *plugins: str) -> dict[str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder:
            return kernel.analyse(folder, *plugins)

    def test_one_that_does_not_lead_back_is_told_by_each_plugin_that_reads_it(self) -> None:
        kernel = make_whole_node()
        module = kernel.symbols["a_module"]["address"]
        entry = kernel.member(module, "module", "list")[0]
        plugins = ("linux.malware.check_modules.Check_modules", "linux.malware.keyboard_notifiers.Keyboard_notifiers")
        for plugin, end in self._analyse(kernel, *plugins).items():
            self.assertNotIn("warnings", end, plugin)
        for sentence, following in (("a ring", entry), ("a page that is not there", 0xFFFFFFFF90000000), ("NULL", 0)):
            with self.subTest(sentence):
                kernel.put(module, "module", "list___next", following)
                ends = self._analyse(kernel, *plugins)
                self.assertEqual([end["state"] for end in ends.values()], ["failed", "rows"])
                for end in ends.values():
                    self.assertIn(_MODULES, end["warnings"])

    def test_one_that_is_broken_backward_alone_hides_nothing(self) -> None:
        kernel = make_whole_node()
        task = kernel.symbols["a_task"]["address"]
        kernel.put(task, "task_struct", "tasks___prev", 0x122)
        end = self._analyse(kernel, "linux.malware.check_creds.Check_creds")["linux.malware.check_creds.Check_creds"]
        self.assertEqual((end["state"], end.get("warnings")), ("empty", None))

    def test_one_that_was_never_made_is_empty(self) -> None:
        kernel = make_whole_node()
        kernel.put(kernel.symbols["tty_drivers"]["address"], "list_head", "next", 0)
        end = self._analyse(kernel, "linux.malware.tty_check.Tty_Check")["linux.malware.tty_check.Tty_Check"]
        self.assertEqual((end["state"], end.get("warnings")), ("empty", None))

    def test_a_tree_with_more_ways_than_nodes_ends(self) -> None:
        kernel = make_whole_node()
        CRAFTED["trees of endless branches"](kernel)
        end = self._analyse(kernel, "linux.mountinfo.MountInfo")["linux.mountinfo.MountInfo"]
        self.assertIn("The red-black tree is broken in this image (smear or tampering): entries may be missing.", end["warnings"])

    def test_a_node_of_a_maple_tree_that_names_another_parent_is_told(self) -> None:
        kernel, node, _area = _make_mapped()
        whole = self._analyse(kernel, "linux.proc.Maps")["linux.proc.Maps"]
        self.assertEqual((whole["state"], whole.get("warnings")), ("rows", None))
        kernel.write_bytes(node, (node | 1).to_bytes(8, "little"))
        torn = self._analyse(kernel, "linux.proc.Maps")["linux.proc.Maps"]
        self.assertEqual(torn["state"], "failed")
        self.assertIn("The maple tree of a process's mappings is broken in this image (smear or tampering): entries may be missing.", torn["warnings"])

    def test_a_mapping_of_a_file_without_an_inode_costs_no_other(self) -> None:
        kernel, _node, area = _make_mapped()
        kernel.put(area, "vm_area_struct", "vm_file", kernel.make("file"))
        end = self._analyse(kernel, "linux.proc.Maps")["linux.proc.Maps"]
        self.assertEqual([row["Start"] for row in end["table"]], ["0x3000"])
        self.assertEqual(end["warnings"], ["The file of a mapping is broken in this image (smear or tampering): entries may be missing."])


if __name__ == "__main__":
    unittest.main()
