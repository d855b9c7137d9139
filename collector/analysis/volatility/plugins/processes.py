"""`processes`: every process of the kernel's task list, with its pod's cgroup and its namespaces."""

from collections.abc import Callable, Iterator
from typing import Any

from kernel import Kernel
from membership import membership_of
from plugins.cgroups import CgroupPaths
from plugins.command_line import LIMIT_BYTES, join_arguments, read_command_line
from plugins.executables import ExecutablePaths
from plugins.task_state import task_state
from rows import timestamp
from table import Plain, Table
from tasks import Process, task_list
from warn import Warnings

COLUMNS = [
    "pid",
    "ppid",
    "nspid",
    "comm",
    "state",
    "threads",
    "uid",
    "gid",
    "startTime",
    "kernelThread",
    "commandLine",
    "exe",
    "cgroup",
    "utsName",
    "netNamespace",
    "pidNamespace",
    "mntNamespace",
    "inTaskList",
    "inPidTable",
    "hidden",
    "offset",
]

_PF_KTHREAD = 0x00200000
_COMM_BYTES = 16
_HOST_NAME_BYTES = 65


def open_processes(kernel: Kernel, warnings: Warnings) -> Table:
    return Table(COLUMNS, _rows(kernel, warnings))


def _rows(kernel: Kernel, warnings: Warnings) -> Iterator[list[Plain]]:
    tasks = task_list(kernel)
    tasks.explain(warnings)
    cgroups, executables = CgroupPaths(kernel), ExecutablePaths(kernel)
    listed = len(tasks.leaders) - tasks.recovered
    for index, leader in enumerate(tasks.leaders):
        row = _Row(kernel, Process(kernel, leader), cgroups, executables, warnings).values()
        row |= {"inTaskList": index < listed, **_membership(kernel, leader, index < listed, warnings)}
        yield [row[column] for column in COLUMNS]


def _membership(kernel: Kernel, leader: Any, is_listed: bool, warnings: Warnings) -> dict[str, Plain]:
    pid = int(leader.tgid)
    membership = warnings.read("table of PIDs", pid, lambda: membership_of(kernel, leader, is_listed))
    return {
        "inPidTable": membership and membership.pid_table,
        "hidden": membership is not None and membership.hidden,
    }


class _Row:
    """One process. A value that cannot be read is null and counted; it never costs the row."""

    def __init__(
        self,
        kernel: Kernel,
        process: Process,
        cgroups: CgroupPaths,
        executables: ExecutablePaths,
        warnings: Warnings,
    ) -> None:
        self._kernel = kernel
        self._process = process
        self._leader = process.leader
        self._cgroups = cgroups
        self._executables = executables
        self._warnings = warnings

    def values(self) -> dict[str, Plain]:
        leader, read = self._leader, self._read
        kernel_thread = bool(int(leader.flags) & _PF_KTHREAD)
        nspid, pid_namespace = read("pid namespace", self._pid_in_namespace) or (None, None)
        nsproxy = read("namespaces", lambda: self._pointed("nsproxy"))
        return {
            "pid": self._process.pid,
            "ppid": read("parent", lambda: int(leader.real_parent.tgid)),
            "nspid": nspid,
            "comm": read("name", self._comm),
            "state": read("state", self._state),
            "threads": read("thread count", lambda: int(leader.signal.nr_threads)),
            "uid": read("user", lambda: int(leader.real_cred.uid)),
            "gid": read("group", lambda: int(leader.real_cred.gid)),
            "startTime": read("start time", lambda: timestamp(leader.get_create_time())),
            "kernelThread": kernel_thread,
            "commandLine": None if kernel_thread else read("command line", self._command_line),
            "exe": None if kernel_thread else read("executable", self._exe),
            "cgroup": read("cgroup", self._cgroup),
            "utsName": nsproxy and read("host name", lambda: self._host_name(nsproxy)),
            "netNamespace": nsproxy and read("network namespace", lambda: int(nsproxy.net_ns.ns.inum)),
            "pidNamespace": pid_namespace,
            "mntNamespace": nsproxy and read("mount namespace", lambda: int(nsproxy.mnt_ns.ns.inum)),
            "offset": hex(leader.vol.offset),
        }

    def _read(self, what: str, read: Callable[[], Any]) -> Any:
        return self._warnings.read(what, self._process.pid, read)

    def _pointed(self, member: str) -> Any:
        holder = self._process.holder(member)
        return getattr(holder, member).dereference() if holder is not None else None

    def _comm(self) -> str:
        name = self._kernel.layer.read(self._leader.comm.vol.offset, _COMM_BYTES)
        return name.split(b"\0")[0].decode("utf-8", "replace")

    def _state(self) -> str:
        live = len(self._process.live_threads) if self._process.leader_gone else 1
        return task_state(int(self._leader.state), int(self._leader.exit_state), live)

    def _pid_in_namespace(self) -> tuple[int, int]:
        level = int(self._leader.thread_pid.level)
        numbers = self._leader.thread_pid.numbers
        upid = self._kernel.object("upid", numbers.vol.offset + level * numbers.vol.subtype.size)
        return int(upid.nr), int(upid.ns.ns.inum)

    def _command_line(self) -> str | None:
        holder = self._process.holder("mm")
        arguments = read_command_line(self._kernel, holder) if holder is not None else None
        if arguments is not None and len(arguments) == LIMIT_BYTES:
            self._warnings.add_process(f"command line is cut at {LIMIT_BYTES} bytes", self._process.pid)
        return join_arguments(arguments) if arguments is not None else None

    def _exe(self) -> str | None:
        mm, fs = self._pointed("mm"), self._process.holder("fs")
        if mm is None or fs is None or not int(mm.exe_file):
            return None
        path = self._executables.path(fs, mm.exe_file)
        if path is None:
            self._warnings.add_process("executable is not readable in the image", self._process.pid)
        return path

    def _cgroup(self) -> str | None:
        path = self._cgroups.path(self._leader)
        if path is None:
            self._warnings.add_process("cgroup cannot be had", self._process.pid)
        return path

    def _host_name(self, nsproxy: Any) -> str:
        name = nsproxy.uts_ns.name.nodename
        return self._kernel.layer.read(name.vol.offset, _HOST_NAME_BYTES).split(b"\0")[0].decode("utf-8", "replace")
