"""The network interfaces that a process sees."""

import fcntl
import socket
import struct
from collections.abc import Iterable


def interfaces() -> Iterable[str]:
    return (name for _, name in socket.if_nameindex())


def is_up(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = fcntl.ioctl(any_socket, 0x8913, struct.pack("16sh22x", name.encode(), 0))
    return bool(struct.unpack_from("16xh", flags)[0] & 1)
