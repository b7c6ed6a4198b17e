"""Requests as no client sends them: each is answered, and nothing of it harms the daemon (A45)."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock
from urllib.parse import quote, urlencode

import msgspec
import pytest
from daemons.crashes import Api
from daemons.room import TIMEOUT_S
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.engine import payloads
from seatrial.engine.api import http as interface
from seatrial.engine.api.server import application

if TYPE_CHECKING:
    from daemons.seatriald import Seatriald

_KINDS = (payloads.CreateRequest, payloads.HostConfig, payloads.UpdateRequest, payloads.ExecRequest)
_MEMBERS = sorted({each.encode_name for kind in _KINDS for each in msgspec.structs.fields(kind)})
_PARAMETERS = (
    *("all", "limit", "size", "filters", "t", "signal", "force", "v", "name", "condition", "since"),
    *("until", "tail", "stdout", "stderr", "follow", "h", "w", "detachKeys", "ps_args", "stream"),
    *("fromImage", "fromSrc", "tag", "repo", "path", "names", "changes", "one-shot", "container"),
)


#: These talk to registries; test_hostile_registries.py has one.
_ELSEWHERE = ("/auth", "/distribution/", "/images/create", "/images/{name}/push")


def _routes() -> list[tuple[str, str]]:
    """Return method and path of all that the engine answers by itself."""
    found = application(MagicMock()).router.resources()
    return sorted(
        {
            (route.method.replace("*", "POST"), resource.canonical)
            for resource in found
            for route in resource
            if not resource.canonical.startswith(("/v{version}", *_ELSEWHERE))
        }
    )


_TEXTS = st.one_of(
    st.sampled_from(["fuzz", "nosuch", "..", "../..", "a/b", "\0", "\n", "-1", "1e9", "{}", "["]),
    st.text(max_size=20),
)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
_PAYLOADS = st.one_of(
    st.dictionaries(st.sampled_from(_MEMBERS), _JSON, max_size=4),
    st.dictionaries(st.just("HostConfig"), st.dictionaries(st.sampled_from(_MEMBERS), _JSON)),
    _JSON,
).map(lambda document: json.dumps(document).encode())


def _ask(engine: Seatriald, raw: bytes) -> bytes:
    """Send bytes; return what comes back before the end, or the beginning of a stream."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(TIMEOUT_S)
        asking.connect(engine.socket)
        asking.sendall(raw)
        return asking.recv(1 << 16)


def _assert_unharmed(engine: Seatriald) -> None:
    assert Api(engine.socket)("GET", "/_ping") == (200, "OK")
    assert not [line for line in engine.daemon.log if "Traceback" in line]


def _request(
    route: tuple[str, str], named: str, head: tuple[str, str], query: dict[str, str], body: bytes
) -> bytes:
    method, path = route
    version, kind = head
    for name in ("{id}", "{name}", "{rest}"):
        path = path.replace(name, quote(named, safe=""))
    lines = [
        f"{method} {version}{path}?{urlencode(query)} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


_REQUESTS = st.builds(
    _request,
    st.sampled_from(_routes()),
    _TEXTS,
    st.tuples(
        st.sampled_from(["", "/v1.24", "/v1.41", "/v1.50", "/v1.99", "/v0.1"]),
        st.sampled_from(["application/json", "text/plain", "application/x-tar", "\xff"]),
    ),
    st.dictionaries(st.sampled_from(_PARAMETERS), _TEXTS, max_size=3),
    st.one_of(st.just(b""), _PAYLOADS, st.binary(max_size=20)),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_REQUESTS)
def test_a_drawn_request_is_answered_without_a_defect(spare: Seatriald, raw: bytes) -> None:
    answer = _ask(spare, raw)
    assert answer.startswith(b"HTTP/1.1 ")
    # What a runtime or the kernel refuses may be 500 too; a defect of ours is in the log.
    _assert_unharmed(spare)


_HEAD = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%00%ff/../../etc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        _HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        _HEAD + b"Content-Length: 2\r\n\r\n{}",
        _HEAD + b"Content-Length: 4\r\n\r\n{}{}",
        _HEAD + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000,
        b"GET /containers/json?filters=" + b"[" * 7000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(spare: Seatriald, raw: bytes) -> None:
    answer = _ask(spare, raw)
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}, answer
    _assert_unharmed(spare)


def test_a_body_without_an_end_is_not_taken(spare: Seatriald) -> None:
    size = interface.LONGEST_BODY + (1 << 20)
    status, told = Api(spare.socket)("POST", "/containers/create", {"Image": "x" * size})
    # Whoever does not read while it is still sending sees a broken connection instead.
    assert status in {0, 400}, told
    _assert_unharmed(spare)


def _descriptors(engine: Seatriald) -> int:
    return int(Api(engine.socket)("GET", "/info")[1]["NFd"])


def test_clients_that_go_away_leave_nothing_open(spare: Seatriald) -> None:
    name = spare.begin_container("sleep", "1000", options=("--interactive",))
    waiting = spare.room.must(*spare.new("--interactive", program=("cat",), verb="create")).text
    before = _descriptors(spare)
    query = "stream=1&stdin=1&stdout=1&stderr=1"
    for path in (
        f"/containers/{name}/attach?{query}",
        f"/containers/{waiting}/attach?{query}",
        f"/containers/{name}/wait",
        f"/containers/{name}/wait?condition=removed",
    ):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"
        for _ in range(100):
            assert _ask(spare, head.encode()).startswith((b"HTTP/1.1 101", b"HTTP/1.1 200"))
    for path in ("/events", f"/containers/{name}/logs?follow=1&stdout=1"):
        for _ in range(50):
            answer = _ask(spare, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 200")
    # Those that say nothing, or half a thing, are in nobody's way.
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(50)]
    for each in silent:
        each.connect(spare.socket)
        each.sendall(b"POST /containers/cre")
    _assert_unharmed(spare)
    for each in silent:
        each.close()
    assert spare("rm", "--force", name, waiting).status == 0
    assert _descriptors(spare) <= before
    assert os.path.exists(spare.socket)
