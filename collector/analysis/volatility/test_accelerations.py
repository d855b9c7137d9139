"""With and without accelerations.py every plugin ends alike, on images that are whole and on images that are not."""

import contextlib
import importlib
import io
import json
import logging
import os
import pkgutil
import random
import re
import sys
import tempfile
import unittest
import warnings
from typing import Any
from unittest.mock import patch

import volatility3.plugins.linux
from volatility3.framework import constants
from volatility3.framework.interfaces.plugins import PluginInterface

import accelerations
from analyse import analyse, load
from job import Image, Job, parse_plugin
from lines import Lines
from symbols import load_symbols
from testing.mini_kernel import MiniKernel
from testing.node import make_node, make_seq_operations
from testing.plugins import told

_OURS = ("processes", "sockets", "hiddenModules")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


def stock_plugins() -> list[str]:
    """Names of all of Volatility's plugins for Linux, without the old names of some."""
    found = set()
    package = volatility3.plugins.linux
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        with contextlib.suppress(ImportError):
            importlib.import_module(module.name)
        loaded = sys.modules.get(module.name)
        if loaded is None:
            continue
        for name, kind in vars(loaded).items():
            if isinstance(kind, type) and issubclass(kind, PluginInterface) and kind.__module__ == loaded.__name__:
                found.add(f"{module.name.removeprefix('volatility3.plugins.')}.{name}")
    return sorted(found)


class SameRows(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def _lines(self, kernel: MiniKernel, plugins: list[str], accelerated: bool) -> list[Any]:
        """All that a run says, without the seconds and digests."""
        written = kernel.write(self.folder)
        out = io.StringIO()
        with open(written.image, "rb") as file:
            image = Image("lime", descriptor=file.fileno())
            parsed = tuple(parse_plugin(told(name)) for name in plugins)
            load(plugins, accelerated)
            symbols = load_symbols(written.isf, written.sha256)
            with warnings.catch_warnings(action="ignore"):
                analyse(symbols, Job(image, written.note), parsed, Lines(out))
        accelerations.remove()
        # An archive that is not kept has the time at which it was made.
        lines = [json.loads(_DIGEST.sub("", line)) for line in out.getvalue().splitlines()]
        return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]

    def _compare(self, kernel: MiniKernel, *plugins: str) -> list[Any]:
        names = list(plugins) or [*_OURS, "linux.lsmod.Lsmod", *stock_plugins()]
        accelerated, stock = (self._lines(kernel, names, on) for on in (True, False))
        self.maxDiff = None
        self.assertEqual(accelerated, stock)
        return accelerated

    def test_every_plugin_on_a_whole_image(self) -> None:
        kernel = make_node()
        make_seq_operations(kernel, "tcp4_seq_ops", "raw_seq_ops")
        states = [line.get("state") for line in self._compare(kernel)]
        self.assertGreater(states.count("rows"), 10)
        self.assertIn("empty", states)
        self.assertIn("failed", states)

    def test_kernels_that_lack_names(self) -> None:
        for names in (
            ["net.dev_base_head", "kernfs_node"],
            ["taint_flag", "modules"],
            ["pid", "inode.i_nlink", "qstr"],
        ):
            with self.subTest(names):
                self._compare(make_node().without(*names))

    def test_a_plugin_that_is_the_second_to_miss_a_name_tells_it_too(self) -> None:
        kernel = make_node()
        kernel.name("module_kset", kernel.make("u64"), "u64")
        self._compare(kernel, "linux.malware.modxview.Modxview", "linux.malware.tty_check.Tty_Check")

    def test_every_plugin_on_damaged_images(self) -> None:
        for seed in (int(os.environ["SEED"]),) if "SEED" in os.environ else range(6):
            with self.subTest(seed=seed):
                generator = random.Random(seed)
                kernel = make_node()
                memory = kernel._memory
                for _ in range(60):
                    # Behind the page tables and the banner, without which nothing runs.
                    at = generator.randrange(0x3100, len(memory) - 8)
                    kind = generator.randrange(3)
                    memory[at] = generator.randrange(256) if kind == 0 else 0 if kind == 1 else memory[at] ^ 1
                self._compare(kernel)


class Patches(unittest.TestCase):
    def setUp(self) -> None:
        accelerations.remove()
        self.addCleanup(accelerations.remove)

    def _replaced(self) -> list[Any]:
        return [owner.__dict__.get(name) for owner, name, _replacement in accelerations._PATCHES]

    def test_all_of_them_go_as_they_came(self) -> None:
        stock = self._replaced()
        accelerations.apply()
        for (owner, name, replacement), before in zip(accelerations._PATCHES, stock, strict=True):
            self.assertIs(owner.__dict__[name], replacement)
            self.assertIsNot(before, replacement)
        accelerations.apply()
        accelerations.remove()
        self.assertEqual(self._replaced(), stock)

    def test_another_volatility_is_left_alone(self) -> None:
        stock = self._replaced()
        with patch.object(constants, "PACKAGE_VERSION", "2.28.3"):
            accelerations.apply()
        self.assertEqual(self._replaced(), stock)


if __name__ == "__main__":
    unittest.main()
