import unittest
from dataclasses import dataclass

from plugins.cgroups import choose, climb


@dataclass
class _Node:
    name: str
    parent: "_Node | None"


_ROOT = _Node("", None)
_POD = _Node("pod1", _Node("besteffort", _Node("kubepods", _ROOT)))


def _climb(node: _Node) -> str | None:
    return climb(node, lambda node: node.name, lambda node: node.parent)


class Climb(unittest.TestCase):
    def test_the_root_is_a_slash(self) -> None:
        self.assertEqual(_climb(_ROOT), "/")

    def test_names_are_joined_from_the_root_down(self) -> None:
        self.assertEqual(_climb(_Node("c" * 64, _POD)), f"/kubepods/besteffort/pod1/{'c' * 64}")

    def test_a_chain_that_bites_its_tail_has_no_path(self) -> None:
        node = _Node("a", None)
        node.parent = _Node("b", node)
        self.assertIsNone(_climb(node))


class Choose(unittest.TestCase):
    def test_which_hierarchy_tells_the_pod(self) -> None:
        pod = "/kubepods/pod1/c"
        cases = {
            "a node with version 2 only": (pod, [], pod),
            "a node with version 1: the unified hierarchy has all in its root": ("/", ["/", pod, pod], pod),
            "a hybrid node: systemd's own tree is the unified one": ("/system.slice/x", [pod], pod),
            "a process of the node itself": ("/system.slice/x", [], "/system.slice/x"),
            "a process of a version 1 node itself": ("/", ["/other", "/sys/x", "/sys/x"], "/sys/x"),
            "a process in no cgroup but the root": ("/", ["/"], "/"),
            "one hierarchy that has stayed behind": ("/", ["/kubepods/pod1/crio-conmon-c", pod, pod], pod),
            "a hybrid node whose systemd has stayed behind": ("/kubepods/pod1/crio-conmon-c", [pod, "/", pod], pod),
            "two hierarchies that differ: the unified one counts": (pod, ["/kubepods/pod1/crio-conmon-c"], pod),
            "a unified path that cannot be had": (None, [pod], pod),
            "no path at all": (None, [None], None),
        }
        for sentence, (unified, others, expected) in cases.items():
            with self.subTest(sentence):
                self.assertEqual(choose(unified, others), expected)
