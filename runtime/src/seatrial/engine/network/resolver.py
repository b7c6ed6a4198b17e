"""The DNS server of a container, at 127.0.0.11 in its network namespace.

It knows the containers of the networks that it is in, and asks others for all else. Its sockets
have ports of their own, to which a rule in the namespace leads from port 53, so that a container
can serve DNS itself. What it gets is hostile: dnspython reads it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset

from seatrial.engine import kernel
from seatrial.engine.network import nftables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.engine.network.directory import Found

ADDRESS = "127.0.0.11"
PORT = 53
_TTL_S = 600
_UPSTREAM_TIMEOUT_S = 4.0
_IDLE_S = 10.0
_MOST_UPSTREAMS = 3
#: Of one container, waiting for others' answers: more of them are answered with a failure.
MOST_IN_FLIGHT = 1024
_MOST_CONNECTIONS = 64
_LONGEST = 65535
_KINDS = {dns.rdatatype.A: 0, dns.rdatatype.AAAA: 1}


class Names(NamedTuple):
    """What a resolver asks of the engine, each time anew."""

    find: Callable[[str], Sequence[Found]]
    name_of: Callable[[str], str]
    #: Whom to ask what is nobody's name here: none for containers in internal networks alone.
    upstreams: Callable[[], list[str]]


class Sockets(NamedTuple):
    """Where queries come in."""

    datagrams: socket.socket
    connections: socket.socket


def open_sockets() -> Sockets:
    """Open them in the namespace that this thread is in, and lead port 53 to them.

    The thread is to do nothing more: descriptors that it opens from then on are nobody else's.
    """
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connections = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for each in (datagrams, connections):
        each.setblocking(False)
        each.bind((ADDRESS, 0))
    connections.listen()
    ports = {"udp": datagrams.getsockname()[1], "tcp": connections.getsockname()[1]}
    rules = "".join(
        f"    ip daddr {ADDRESS} {protocol} dport {PORT} dnat to {ADDRESS}:{port}\n"
        for protocol, port in ports.items()
    )
    # libnftables waits by select(2), which knows no descriptor above 1023: its socket gets the
    # number of standard input, in a table of descriptors that ends with this thread.
    kernel.unshare_descriptors()
    with suppress(OSError):
        os.close(0)
    table = f"table ip {nftables.TABLE}_dns"
    filters = nftables.Tables()
    try:
        filters.run(
            f"{table}\ndelete {table}\n{table} {{\n  chain own {{\n"
            f"    type nat hook output priority -100;\n{rules}  }}\n}}\n"
        )
    finally:
        filters.close()
    return Sockets(datagrams, connections)


class Resolver(asyncio.DatagramProtocol):
    """One container's server."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def begin(self, sockets: Sockets) -> None:
        """Serve."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, sock=sockets.datagrams
        )
        self._server = await asyncio.start_server(self._connected, sock=sockets.connections)

    def close(self) -> None:
        """Serve no more."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query, now or when others have answered."""
        answer = self._own_answer(data)
        transport = self._transport
        if transport is None:
            return
        if isinstance(answer, bytes):
            transport.sendto(answer, addr)
        elif answer is not None:
            query = answer

            async def later() -> None:
                transport.sendto(await self._forwarded(query, data), addr)

            if len(self._tasks) >= MOST_IN_FLIGHT:
                transport.sendto(_failure(query), addr)
                return
            task = asyncio.create_task(later())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def error_received(self, exc: Exception) -> None:
        """Nobody wanted an answer any more."""

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes by TCP, one query after another (RFC 1035, 4.2.2)."""
        self._connections += 1
        try:
            while self._connections <= _MOST_CONNECTIONS:
                data = await asyncio.wait_for(_read_message(reader), _IDLE_S)
                answer = self._own_answer(data)
                if answer is None:
                    break
                if not isinstance(answer, bytes):
                    answer = await self._forwarded(answer, data, tcp=True)
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections -= 1
            writer.close()

    def _own_answer(self, data: bytes) -> bytes | dns.message.Message | None:
        """Return the answer; the query, if it is for others; None for what deserves none."""
        try:
            query = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError, struct.error):
            return _malformed(data)
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        if query.opcode() != dns.opcode.QUERY:
            return _failure(query, dns.rcode.NOTIMP)
        question = query.question[0]
        if question.rdtype == dns.rdatatype.PTR:
            return self._reverse(query, question) or query
        found = self._names.find(question.name.to_text(omit_final_dot=True))
        if not found:
            return query
        values = (
            [each[_KINDS[question.rdtype]] for each in found] if (question.rdtype in _KINDS) else []
        )
        return _answer(query, question, [each for each in values if each])

    def _reverse(self, query: dns.message.Message, question: dns.rrset.RRset) -> bytes | None:
        try:
            address = dns.reversename.to_address(question.name)
        except (dns.exception.DNSException, ValueError):
            return None
        name = self._names.name_of(address)
        return _answer(query, question, [f"{name}."]) if name else None

    async def _forwarded(
        self, query: dns.message.Message, data: bytes, *, tcp: bool = False
    ) -> bytes:
        for upstream in self._names.upstreams()[:_MOST_UPSTREAMS]:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                asked = _ask_tcp if tcp else _ask_udp
                answer = await asyncio.wait_for(asked(upstream, data), _UPSTREAM_TIMEOUT_S)
                return data[:2] + answer[2:]
        return _failure(query)


def _answer(query: dns.message.Message, question: dns.rrset.RRset, values: list[str]) -> bytes:
    made = dns.message.make_response(query, recursion_available=True)
    if values:
        secrets.SystemRandom().shuffle(values)  # several containers of one alias share the load
        made.answer.append(
            dns.rrset.from_text(question.name, _TTL_S, question.rdclass, question.rdtype, *values)
        )
    return made.to_wire()


def _failure(query: dns.message.Message, code: dns.rcode.Rcode = dns.rcode.SERVFAIL) -> bytes:
    made = dns.message.make_response(query, recursion_available=True)
    made.set_rcode(code)
    return made.to_wire()


def _malformed(data: bytes) -> bytes | None:
    """Return the answer to what cannot be read: its number and FORMERR (RFC 1035, 4.1.1)."""
    header = 12
    if len(data) < header or data[2] & 0x80:
        return None
    return data[:2] + struct.pack("!HHHHH", 0x8001, 0, 0, 0, 0)


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def _ask_udp(server: str, data: bytes) -> bytes:
    """Ask with a number and from a port of its own; what is no answer to that is passed over."""
    loop = asyncio.get_running_loop()
    number = secrets.token_bytes(2)
    six = ipaddress.ip_address(server).version == 6  # noqa: PLR2004 - IPv6
    with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((server, PORT))
        await loop.sock_sendall(asking, number + data[2:])
        while True:
            answer = await loop.sock_recv(asking, _LONGEST)
            if answer[:2] == number and _answers(answer, data):
                return answer


async def _ask_tcp(server: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, PORT)
    try:
        number = secrets.token_bytes(2)
        writer.write(struct.pack("!H", len(data)) + number + data[2:])
        answer = await _read_message(reader)
    finally:
        writer.close()
    if answer[:2] != number or not _answers(answer, data):
        raise OSError(f"{server} answered something else")
    return answer


def _answers(answer: bytes, query: bytes) -> bool:
    """Whether an answer is one, to this question."""
    try:
        told = dns.message.from_wire(answer, ignore_trailing=True, question_only=True)
        asked = dns.message.from_wire(query, question_only=True)
    except (dns.exception.DNSException, ValueError, struct.error):
        return False
    return bool(told.flags & dns.flags.QR) and told.question == asked.question
