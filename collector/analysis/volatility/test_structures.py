"""Plugins on kernels from 6.1 to 7.3, which name and lay out structures differently."""

import tempfile
import unittest
from typing import Any
from unittest.mock import patch

import analyse
import paths
from kernel import Kernel
from table import Table
from testing.mini_kernel import MiniKernel
from testing.node import PEER, make_node, make_seq_operations

_STARTED = "2026-01-01T00:00:05.000000Z"


class OnKernel(unittest.TestCase):
    def _analyse(self, kernel: MiniKernel, *plugins: str) -> dict[str, dict[str, Any]]:
        with tempfile.TemporaryDirectory() as folder, self.assertNoLogs("volatility3", "CRITICAL"):
            return kernel.analyse(folder, *plugins)

    def _run(self, kernel: MiniKernel, plugin: str) -> tuple[list[dict[str, Any]], list[str]]:
        end = self._analyse(kernel, plugin)[plugin]
        self.assertEqual(end["state"], "rows", end)
        return end["table"], end.get("warnings", [])


class StartTimes(OnKernel):
    def test_each_name_and_type_that_the_clock_has_had(self) -> None:
        clocks = {
            "6.13 to 6.16": "tk_data tk_core",
            "since 6.17": "tk_data[1] timekeeper_data",
            "since 6.17, with auxiliary clocks": "tk_data[9] timekeeper_data",
            "an array of unknown length": "tk_data[0] timekeeper_data",
            "symbols that know the structure alone": "tk_data timekeeper_data",
            "symbols without the variable's type": "void timekeeper_data",
            "symbols without the type of the older variable": "void tk_core",
        }
        for sentence, clock in clocks.items():
            with self.subTest(sentence):
                ends = self._analyse(make_node(clock), "processes", "linux.pslist.PsList", "linux.boottime.Boottime")
                self.assertEqual([row["startTime"] for row in ends["processes"]["table"]], [_STARTED])
                self.assertEqual([row["CREATION TIME"] for row in ends["linux.pslist.PsList"]["table"]], [_STARTED])
                boot = [row["Boot Time"] for row in ends["linux.boottime.Boottime"]["table"]]
                self.assertEqual(boot, ["2026-01-01T00:00:00.000000Z"])
                self.assertNotIn("warnings", ends["processes"])
                self.assertNotIn("warnings", ends["linux.pslist.PsList"])

    def test_a_clock_of_no_known_name_is_told_as_that(self) -> None:
        why = "is unknown: the kernel's symbols have no tk_core or timekeeper_data"
        kernel = make_node("tk_data another_name")
        rows, warnings = self._run(kernel, "processes")
        self.assertEqual([row["startTime"] for row in rows], [None])
        self.assertEqual(warnings, [f"start time {why}"])
        rows, warnings = self._run(kernel, "linux.pslist.PsList")
        self.assertEqual([row["CREATION TIME"] for row in rows], [None])
        self.assertEqual(warnings, [f"creation time {why}"])

    def test_a_clock_without_a_known_structure_is_told_as_that(self) -> None:
        kernel = make_node("void timekeeper_data").without("tk_data")
        why = ["start time is unknown: the kernel's symbols have no tk_data"]
        self.assertEqual(self._run(kernel, "processes")[1], why)

    def test_a_clock_that_is_not_in_the_image_is_told_as_that(self) -> None:
        kernel = make_node()
        kernel.name("timekeeper_data", 0xFFFFFFFF90000000, "tk_data[1]")
        why = ["start time is not readable in the image: 1 process (pid 1)"]
        self.assertEqual(self._run(kernel, "processes")[1], why)


class Modules(OnKernel):
    def test_taints_with_and_without_what_7_0_took_away(self) -> None:
        before = {"taint_flag": "char c_true, char c_false, u8 module, *char desc"}
        for sentence, structs, expected in (
            ("since 7.0", {}, ["", "PROPRIETARY_MODULE,OOT_MODULE"]),
            ("before 7.0, where no flag is said to be a module's", before, ["", ""]),
        ):
            with self.subTest(sentence):
                rows, warnings = self._run(make_node(**structs), "linux.lsmod.Lsmod")
                self.assertEqual([row["Module Name"] for row in rows], ["nf_tables", "out"])
                self.assertEqual([row["Taints"] for row in rows], expected)
                self.assertEqual([row["Code Size"] for row in rows], ["0x3000", "0x3000"])
                self.assertEqual(warnings, [])

    def test_a_missing_name_costs_its_column_and_is_named(self) -> None:
        cases = {
            "taints": ("module.taints", "Taints", "taint is unknown: .* no module.taints"),
            "letters": ("taint_flag.c_true", "Taints", "taint is unknown: .* no taint_flag.c_true"),
            "count": ("module.num_kp", "Load Arguments", "argument list is unknown: .* no module.num_kp"),
            "parameters": ("kernel_param", "Load Arguments", "argument list is unknown: .* no kernel_param"),
            "size": ("module.mem", "Code Size", "code size has an impossible value in the image: 2 modules"),
            "name": ("module.name", "Module Name", "name is unknown: .* no module.name"),
        }
        for sentence, (name, column, warning) in cases.items():
            with self.subTest(sentence):
                rows, warnings = self._run(make_node().without(name), "linux.lsmod.Lsmod")
                self.assertEqual(len(rows), 2)
                lost = {name for row in rows for name, value in row.items() if value is None}
                self.assertEqual(lost, {column, "File Output"})
                self.assertRegex("\n".join(warnings), warning)

    def test_arguments_that_are_left_out_are_told(self) -> None:
        arguments = {
            "too many": (129, 0, None, "argument list has an impossible value in the image: 1 module (nf_tables)"),
            "a name that is not there": (
                2,
                0xFFFFFFFF90000000,
                "a=None",
                "part of the argument list is not readable in the image: 1 module (nf_tables)",
            ),
        }
        for sentence, (count, other, expected, warning) in arguments.items():
            with self.subTest(sentence):
                kernel = make_node(kernel_param="*char name, u64 get")
                parameters = kernel.make("kernel_param", 2, name=kernel.text("a"))
                kernel.put(parameters + kernel.size("kernel_param"), "kernel_param", "name", other)
                module = kernel.symbols["a_module"]["address"]
                kernel.put(module, "module", "num_kp", count)
                kernel.put(module, "module", "kp", parameters)
                rows, warnings = self._run(kernel, "linux.lsmod.Lsmod")
                self.assertEqual([row["Load Arguments"] for row in rows], [expected, ""])
                self.assertEqual(warnings, [warning])

    def test_a_list_of_another_name_is_no_empty_list(self) -> None:
        kernel = make_node().without("modules")
        with self.assertLogs("analyse"):
            end = self._analyse(kernel, "linux.lsmod.Lsmod")["linux.lsmod.Lsmod"]
        self.assertEqual((end["state"], end["reason"]), ("unsupported", "the kernel's symbols have no modules"))


class Sockets(OnKernel):
    def test_the_peer_of_a_socket_is_not_what_its_packets_are_routed_by(self) -> None:
        for sentence, kernel in {"7.0": make_node(), "before": make_node().without("ipv6_pinfo.daddr")}.items():
            with self.subTest(sentence):
                ends = self._analyse(kernel, "sockets", "linux.sockstat.Sockstat")
                self.assertEqual([row["remoteAddress"] for row in ends["sockets"]["table"]], [None, PEER, None])
                stock = [row["Destination Addr"] for row in ends["linux.sockstat.Sockstat"]["table"]]
                self.assertEqual(stock[1], PEER)

    def test_a_missing_name_costs_its_values_and_is_named(self) -> None:
        cases = {
            "a family that is a module": ("unix_sock", 0, "kernel's symbols have no unix_sock"),
            "a member": ("unix_sock.peer", 0, "address of a socket of AF_UNIX is unknown: .* unix_sock.peer"),
            "IPv6 information": ("inet_sock.pinet6", 1, "a socket of AF_INET6 is unknown: .* inet_sock.pinet6"),
        }
        for sentence, (name, lost, warning) in cases.items():
            with self.subTest(sentence):
                rows, warnings = self._run(make_node().without(name), "sockets")
                self.assertEqual([row["family"] for row in rows], ["AF_UNIX", "AF_INET6", "AF_PACKET"])
                self.assertIsNone(rows[lost]["path"] or rows[lost]["remoteAddress"])
                self.assertEqual([row["inode"] for row in rows], [101, 110, 117])
                self.assertRegex("\n".join(warnings), warning)

    def test_network_devices_that_cannot_be_listed_cost_no_socket(self) -> None:
        rows, warnings = self._run(make_node().without("net.dev_base_head"), "sockets")
        self.assertEqual(rows[1]["remoteAddress"], PEER)
        self.assertIn("name of a network device is unknown: the kernel's symbols have no net.dev_base_head", warnings)

    def test_what_volatility_leaves_out_without_a_word_is_told(self) -> None:
        rows, warnings = self._run(make_node(), "linux.sockstat.Sockstat")
        self.assertEqual(len(rows), 3)
        self.assertEqual(warnings, ["The kernel's symbols have no packet_sock: what is read by it is missing."])

    def test_no_socket_at_all_is_a_failure(self) -> None:
        kernel = make_node()
        kernel.name("socket_file_ops", kernel.make("file_operations"), "file_operations")
        for plugin in ("sockets", "linux.sockstat.Sockstat"):
            end = self._analyse(kernel, plugin)[plugin]
            self.assertEqual(end["state"], "failed")
            self.assertIn("nothing found, which cannot be true of a running node", end["reason"])


class Processes(OnKernel):
    def test_a_missing_name_costs_its_column_and_is_named(self) -> None:
        cases = {
            "cgroups": ("task_struct.cgroups", {"cgroup"}, "cgroup is unknown: .* task_struct.cgroups"),
            "no cgroup file system": ("kernfs_node", {"cgroup"}, "cgroup is unknown: .* kernfs_node"),
            "state": ("task_struct.__state", {"state"}, "state is unknown: .* task_struct"),
            "credentials": ("cred.gid", {"gid"}, "group .*cred"),
        }
        for sentence, (name, lost, warning) in cases.items():
            with self.subTest(sentence):
                rows, warnings = self._run(make_node().without(name), "processes")
                empty = {name for name, value in rows[0].items() if value is None}
                self.assertEqual(empty - {"commandLine", "exe", "inPidTable"}, lost)
                self.assertRegex("\n".join(warnings), warning)

    def test_both_names_of_the_parent_of_a_cgroup(self) -> None:
        for structs in ({}, {"kernfs_node": "i32 count, *kernfs_node parent, *char name"}):
            rows, _warnings = self._run(make_node(**structs), "processes")
            self.assertEqual([row["cgroup"] for row in rows], ["/kubepods"])

    def test_types_that_some_kernels_are_built_without_are_no_reason_to_read_nothing(self) -> None:
        kernel = make_node().without("inet6_ifaddr", "inet6_dev", "in_device", "in_ifaddr", "idr", "page")
        self.assertEqual([row["comm"] for row in self._run(kernel, "processes")[0]], ["server"])

class NothingFound(OnKernel):
    """check_afinfo asks for ten variables and takes it for an answer when one is not there."""

    _names = ("raw_seq_ops", "udp_seq_ops", "arp_seq_ops", "unix_seq_ops", "udp6_seq_ops", "raw6_seq_ops")
    _tcp = ("tcp4_seq_ops", "tcp6_seq_ops", "packet_seq_ops")

    def test_what_was_not_looked_at_is_no_absence(self) -> None:
        plugin = "linux.malware.check_afinfo.Check_afinfo"
        cases = {"unsupported": self._names, "empty": self._names + self._tcp}
        for state, names in cases.items():
            with self.subTest(state):
                kernel = make_node()
                make_seq_operations(kernel, *names)
                end = self._analyse(kernel, plugin)[plugin]
                self.assertEqual(end["state"], state, end)
                self.assertEqual("no packet_seq_ops" in end.get("reason", ""), state == "unsupported")


class Paths(OnKernel):
    def test_the_path_of_a_file(self) -> None:
        self.assertEqual(self._run(make_node(), "linux.lsof.Lsof")[0][3]["Path"], "/etc/app")

    def test_folders_that_are_each_within_the_other_end(self) -> None:
        kernel = make_node()
        folder, file = (kernel.symbols[name]["address"] for name in ("a_folder", "a_file"))
        kernel.put(folder, "dentry", "d_parent", file)
        with patch("paths.file_name", wraps=paths.file_name) as named:
            self.assertEqual(self._run(kernel, "linux.lsof.Lsof")[0][3]["Path"], "<potentially smeared>")
        self.assertLess(named.call_count, 20)

    def test_a_name_is_no_longer_than_a_file_system_allows(self) -> None:
        kernel = self._with_long_name()
        self.assertRegex(self._run(kernel, "linux.lsof.Lsof")[0][3]["Path"], r"\A/etc/x{255,256}\Z")

    def test_nor_is_one_that_volatility_asks_for_by_itself(self) -> None:
        kernel = self._with_long_name()
        file = kernel.symbols["a_file"]["address"]

        def names(opened: Kernel, _warnings: Any) -> Table:
            return Table(["name"], iter([[opened.object("dentry", file).d_name.name_as_str()]]))

        with patch.dict(analyse._OURS, {"names": names}):
            self.assertRegex(self._run(kernel, "names")[0][0]["name"], r"\Ax{255,256}\Z")

    def _with_long_name(self) -> MiniKernel:
        kernel = make_node()
        file = kernel.symbols["a_file"]["address"]
        kernel.put(file, "dentry", "d_name___name", kernel.bytes(b"x" * (1 << 20)))
        kernel.put(file, "dentry", "d_name___len", 0xFFFFFFFF)
        return kernel


if __name__ == "__main__":
    unittest.main()
