"""Tells when somebody else takes away what is ours of the packet filter.

``nft flush ruleset``, a reload of a firewall's own rules or ``iptables-nft``'s tidying would leave
every network open. The kernel tells of each change (NFNLGRP_NFTABLES), and who listens is told of
those that took something from our table.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from seatrial.engine.network.nftables import TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NETLINK_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP = 12, 270, 1, 7
_SUBSYSTEM = 10
#: NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET, DELSETELEM (linux/netfilter/nf_tables.h).
_DELETIONS = {2, 5, 8, 11, 14}
_HEADER, _FAMILY_HEADER = struct.Struct("=IHHII"), 4
_TABLE_ATTRIBUTE = struct.pack("=HH", len(TABLE) + 5, 1) + TABLE.encode() + b"\0"


class Watch:
    """A listener; what we do ourselves is forgotten by ``drain``."""

    def __init__(self, taken_away: Callable[[], None]) -> None:
        self._taken_away = taken_away
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setblocking(False)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def drain(self) -> bool:
        """Read all that was told until now; return whether some of it took from our table."""
        found = False
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: more was told than we have read
                found = True
                continue
            found = found or any(_messages(data))

    def _readable(self) -> None:
        if self.drain():
            self._taken_away()

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


def _messages(data: bytes) -> Iterator[bool]:
    """Yield for each message whether it takes something from our table."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        body = data[_HEADER.size + _FAMILY_HEADER : length]
        deletion = kind >> 8 == _SUBSYSTEM and kind & 0xFF in _DELETIONS
        yield deletion and body.startswith(_TABLE_ATTRIBUTE)
        data = data[(length + 3) & ~3 :]
