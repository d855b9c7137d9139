"""`sockets`: every socket that a process holds, one row per process and file descriptor."""

from collections.abc import Iterator
from typing import Any

from volatility3.framework import exceptions
from volatility3.plugins.linux.sockstat import SockHandlers

from kernel import Kernel
from memory import read_to_nul
from plugins.open_files import open_files
from rows import plain
from table import Plain, Table
from tasks import Process, task_list
from warn import Warnings

COLUMNS = [
    "pid",
    "fd",
    "family",
    "type",
    "protocol",
    "state",
    "localAddress",
    "localPort",
    "remoteAddress",
    "remotePort",
    "path",
    "netNamespace",
    "inode",
]

# offsetof(struct sockaddr_un, sun_path), and its size
_UNIX_PATH_OFFSET = 2
_UNIX_PATH_BYTES = 108


def open_sockets(kernel: Kernel, warnings: Warnings) -> Table:
    return Table(COLUMNS, _Sockets(kernel, warnings).rows())


class _Sockets:
    def __init__(self, kernel: Kernel, warnings: Warnings) -> None:
        self._kernel = kernel
        self._warnings = warnings
        self._file_operations = kernel.module.object_from_symbol("socket_file_ops").vol.offset
        self._handlers: dict[int | None, SockHandlers] = {}

    def rows(self) -> Iterator[list[Plain]]:
        tasks = task_list(self._kernel)
        tasks.explain(self._warnings)
        for leader in tasks.leaders:
            process = Process(self._kernel, leader)
            seen: set[tuple[int, int]] = set()
            for fd, file in open_files(self._kernel, process, self._warnings):
                row = self._row(process, fd, file)
                if row is not None and (fd, file.vol.offset) not in seen:
                    seen.add((fd, file.vol.offset))
                    yield row

    def _row(self, process: Process, fd: int, file: Any) -> list[Plain] | None:
        try:
            if int(file.f_op) & self._kernel.layer.address_mask != self._file_operations:
                return None
            socket = file.private_data.dereference().cast("socket")
            inode = int(file.f_inode.i_ino)
            if not int(socket.sk):
                return [process.pid, fd, None, None, None, plain(socket.get_state()), *[None] * 6, inode]
            return [process.pid, fd, *self._describe(process, socket.sk.dereference()), inode]
        except MemoryError:
            raise
        except Exception:  # whatever smeared or hostile memory makes of a structure; the other sockets go on
            self._warnings.add_process("a file or socket is not readable in the image", process.pid)
            return None

    def _describe(self, process: Process, sock: Any) -> list[Plain]:
        family = sock.get_family()
        own, (source, source_port, target, target_port, state), _filter = self._handler(process).process_sock(sock)
        if family == "AF_UNIX":
            peer = own.peer.dereference().cast("unix_sock") if int(own.peer) else None
            place = [None, None, peer and self._unix_name(peer), None, self._unix_name(own)]
        else:
            place = [plain(source), _port(source_port), plain(target), _port(target_port), None]
        kind = [family, sock.get_type() or None, own.get_protocol(), state]
        return [*(plain(value) for value in kind), *place, self._namespace(sock)]

    def _handler(self, process: Process) -> SockHandlers:
        """Volatility builds a map of network devices for each socket; one for each namespace is enough."""
        holder = process.holder("nsproxy") or self._kernel.module.object_from_symbol("init_task")
        namespace = int(holder.nsproxy.net_ns)
        if namespace not in self._handlers:
            self._handlers[namespace] = SockHandlers(self._kernel.context, self._kernel.module_name, holder)
        return self._handlers[namespace]

    def _namespace(self, sock: Any) -> int | None:
        """The socket's own namespace: a process can hold a socket of another one."""
        try:
            return int(sock.member("__sk_common").skc_net.net.get_inode())
        except (exceptions.InvalidAddressException, AttributeError):
            return None

    def _unix_name(self, sock: Any) -> str | None:
        """A path, or an abstract name with "@" for every NUL as in /proc/net/unix; None for a socket without a name."""
        if not int(sock.addr):
            return None
        length = min(int(sock.addr.len) - _UNIX_PATH_OFFSET, _UNIX_PATH_BYTES)
        if length <= 0:
            return None
        layer, start = self._kernel.layer, int(sock.addr.name.vol.offset) + _UNIX_PATH_OFFSET
        name = layer.read(start, length)
        name = name.replace(b"\0", b"@") if name[:1] == b"\0" else read_to_nul(layer, start, length)
        return name.decode("utf-8", "replace")


def _port(value: Any) -> Plain:
    number = plain(value)
    return int(number) if isinstance(number, str) and number.isdecimal() else number
