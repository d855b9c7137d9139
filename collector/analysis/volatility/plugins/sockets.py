"""`sockets`: every socket that a process holds, one row per process and file descriptor."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from volatility3.framework.symbols.linux.extensions import network
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


class _Handlers(SockHandlers):
    """Volatility's, which give up a socket for want of what only the sockets of another family need."""

    def __init__(self, kernel: Kernel, task: Any, warnings: Warnings) -> None:
        self._read = partial(warnings.read, "name of a network device", int(task.tgid))
        super().__init__(kernel.context, kernel.module_name, task)

    def _build_network_devices_map(self, netns_id: int) -> dict[int, str]:
        return self._read(partial(super()._build_network_devices_map, netns_id)) or {}

    def _xdp_sock(self, sock: Any) -> Any:
        return super()._xdp_sock(sock) or (sock, [None] * 5)


class _Sockets:
    def __init__(self, kernel: Kernel, warnings: Warnings) -> None:
        self._kernel = kernel
        self._warnings = warnings
        self._file_operations = kernel.module.object_from_symbol("socket_file_ops").vol.offset
        self._handlers: dict[int, SockHandlers] = {}

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
        """None for what is no socket. A value that cannot be read is null, and told; it never costs the row."""

        def read(what: str, value: Callable[[], Any]) -> Any:
            return self._warnings.read(what, process.pid, value)

        if not read("file", lambda: int(file.f_op) & self._kernel.layer.address_mask == self._file_operations):
            return None
        inode = read("inode of a socket", lambda: int(file.f_inode.i_ino))
        socket = read("socket", lambda: file.private_data.dereference().cast("socket"))
        if socket is None:
            return [process.pid, fd, *[None] * 10, inode]
        if not read("socket", lambda: int(socket.sk)):
            state = read("socket state", lambda: plain(socket.get_state()))
            return [process.pid, fd, None, None, None, state, *[None] * 6, inode]
        sock = socket.sk.dereference()
        family = read("socket family", lambda: plain(sock.get_family()))
        what = f"address of a socket of {family}"
        protocol, state, *place = read(what, lambda: self._describe(process, sock)) or [None] * 7
        return [
            process.pid,
            fd,
            family,
            read("socket type", lambda: plain(sock.get_type() or None)),
            protocol,
            state,
            *place,
            read("network namespace of a socket", lambda: int(sock.member("__sk_common").skc_net.net.get_inode())),
            inode,
        ]

    def _describe(self, process: Process, sock: Any) -> list[Plain]:
        """Protocol, state, local and remote address and port, path."""
        own, (source, source_port, target, target_port, state), _filter = self._handler(process).process_sock(sock)
        ends = [plain(source), _port(source_port), plain(target), _port(target_port), None]
        if isinstance(own, network.unix_sock):
            peer = own.peer.dereference().cast("unix_sock") if int(own.peer) else None
            ends = [None, None, peer and self._unix_name(peer), None, self._unix_name(own)]
        return [plain(own.get_protocol()), plain(state), *ends]

    def _handler(self, process: Process) -> SockHandlers:
        """Volatility builds a map of network devices for each socket; one for each namespace is enough."""
        holder = process.holder("nsproxy") or self._kernel.module.object_from_symbol("init_task")
        namespace = int(holder.nsproxy.net_ns)
        if namespace not in self._handlers:
            self._handlers[namespace] = _Handlers(self._kernel, holder, self._warnings)
        return self._handlers[namespace]

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
