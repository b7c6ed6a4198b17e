"""What daemon and supervisor tell each other: JSON in the datagrams of a SOCK_SEQPACKET socket.

A datagram may carry descriptors (SCM_RIGHTS): a client's connection is handed over so, and from
then on its bytes do not pass through the daemon.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import Any

_LONGEST = 1 << 16
_ROOM = socket.CMSG_SPACE(8 * array.array("i").itemsize)

Message = dict[str, Any]


def send(connection: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message; the descriptors stay open here too."""
    socket.send_fds(connection, [json.dumps(message).encode()], descriptors)


def receive(connection: socket.socket, flags: int = 0) -> tuple[Message, list[int]] | None:
    """Receive one message with its descriptors; None says that the other side is gone."""
    try:
        # Not socket.recv_fds, which takes flags and forgets them.
        data, ancillary, _, _ = connection.recvmsg(_LONGEST, _ROOM, flags | socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    if not data:
        return None
    descriptors = array.array("i")
    for level, kind, held in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(held[: len(held) - len(held) % descriptors.itemsize])
    message: Message = json.loads(data)
    return message, list(descriptors)


def connect(folder: str, name: str) -> socket.socket:
    """Connect to a socket in a folder whose path may be longer than an address can hold."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        made.connect(f"/proc/self/fd/{holder}/{name}")
    except OSError:
        made.close()
        raise
    finally:
        os.close(holder)
    return made


def listen(folder: str, name: str) -> socket.socket:
    """Listen at a socket in a folder whose path may be longer than an address can hold."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    holder = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        made.bind(f"/proc/self/fd/{holder}/{name}")
        made.listen(8)
    finally:
        os.close(holder)
    return made
