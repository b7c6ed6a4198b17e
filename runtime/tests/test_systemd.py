"""The systemd driver: names of units, messages, and a bus that answers."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from seatrial.oci import _core, dbus, systemd
from seatrial.oci.config import Config, Linux, decode_resources
from seatrial.oci.errors import ConfigError, OCIError
from seatrial.oci.operations import Stage
from seatrial.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.oci.operations import Op

JOB = "/org/freedesktop/systemd1/job/7"


def unit(path: str) -> systemd.Unit:
    return systemd.unit_of(Config(oci_version="1.3.0", linux=Linux(cgroups_path=path)), "c1")


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("machine.slice:libpod:abc", "/machine.slice/libpod-abc.scope"),
        ("a-b-c.slice:p:n", "/a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
        ("-.slice:p:n", "/p-n.scope"),
        (":docker:abc", "/system.slice/docker-abc.scope"),
        ("x.slice::n", "/x.slice/n.scope"),
        ("x.slice:p:", "/x.slice/p-c1.scope"),
        ("", "/system.slice/seatrial-oci-c1.scope"),
    ],
)
def test_a_scope_lies_in_its_slice(path: str, where: str) -> None:
    assert unit(path).path == where


@pytest.mark.parametrize(
    "path", ["/a/b", "a:b", "a:b:c:d", "x:p:n", "a--b.slice:p:n", "a.slice:p/q:n"]
)
def test_another_form_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="/linux/cgroupsPath"):
        unit(path)


def test_without_a_bus_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "SYSTEM_BUS", "/nonexistent")
    with pytest.raises(OCIError, match="there is no /nonexistent; without --systemd-cgroup"):
        systemd.bus()


def test_messages_are_aligned_as_the_specification_says() -> None:
    call = dbus.call(
        5, ("a.b", "/a", "a.b.C"), "Do", "su", bytes(dbus.Writer().write("su", "x", 1).data)
    )
    assert call[:4] == b"l\x01\x00\x01"
    body, serial, fields = struct.unpack_from("<III", call, 4)
    assert (body, serial) == (12, 5)
    assert len(call) == (16 + fields + 7) // 8 * 8 + body
    assert call[-body:] == b"\x01\0\0\0x\0\0\0\x01\0\0\0"


def test_an_array_does_not_count_what_fills_up_to_its_first_element() -> None:
    data = bytes(dbus.Writer().write("at", [1]).data)
    assert data == struct.pack("<IIQ", 8, 0, 1)
    assert bytes(dbus.Writer().write("a(sv)", []).data) == b"\0" * 8


@pytest.mark.parametrize(("text", "bits"), [("0", b"\1"), ("0-3,7", b"\x8f"), ("8", b"\0\1")])
def test_lists_become_masks(text: str, bits: bytes) -> None:
    assert systemd.mask(text) == bits


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [(50000, 100000, 500000), (15001, 50000, 310000), (-1, None, 2**64 - 1), (100000, None, 10**6)],
)
def test_a_quota_is_counted_per_second(quota: int, period: int | None, expected: int) -> None:
    assert systemd.quota_per_second(quota, period) == expected


def properties(text: bytes, *, unified: bool) -> dict[str, object]:
    found = systemd.properties(decode_resources(text), unified=unified)
    return {name: variant.value for name, variant in found}


def test_limits_are_told_to_systemd_in_the_words_of_the_hierarchy() -> None:
    text = (
        b'{"memory":{"limit":9,"swap":12,"reservation":-1},"cpu":{"shares":1024},'
        b'"pids":{"limit":-1}}'
    )
    assert properties(text, unified=True) == {
        "MemoryMax": 9,
        "MemorySwapMax": 3,
        "MemoryLow": 2**64 - 1,
        "CPUWeight": 100,
        "TasksMax": 2**64 - 1,
    }
    assert properties(text, unified=False) == {
        "MemoryLimit": 9,
        "CPUShares": 1024,
        "TasksMax": 2**64 - 1,
    }


def test_devices_of_v1_are_told_too() -> None:
    found = properties(b'{"devices":[{"allow":false,"access":"rwm"}]}', unified=False)
    assert found["DevicePolicy"] == "strict"
    assert ("char-*", "m") in found["DeviceAllow"]  # type: ignore[operator]
    assert ("/dev/char/1:3", "rwm") in found["DeviceAllow"]  # type: ignore[operator]


class Bus:
    """Answers one client as a bus and systemd behind it would."""

    def __init__(self, path: str) -> None:
        self.answers: list[bytes] = []
        self.got = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)

    def start(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as lines:
            self.greeting = lines.readline()
            connection.sendall(b"OK 1234\r\n")
            assert lines.readline() == b"BEGIN\r\n"
            while b"StartTransientUnit" not in self.got and b"StopUnit" not in self.got:
                self.got += lines.read1()
            for answer in self.answers:
                connection.sendall(answer)
            with contextlib.suppress(ConnectionResetError):
                while part := lines.read1():
                    self.got += part

    def close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(10)
        self._listener.close()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    path = f"{tmp_path}/bus"
    monkeypatch.setattr(systemd, "SYSTEM_BUS", path)
    made = Bus(path)
    yield made
    made.close()


def message(kind: int, fields: list[tuple[int, dbus.Variant]], body: bytes = b"") -> bytes:
    head = dbus.Writer().write("yyyyuu", ord("l"), kind, 0, 1, len(body), 99)
    head.write("a(yv)", fields)
    head.data += b"\0" * (-len(head.data) % 8)
    return bytes(head.data) + body


def reply(serial: int) -> bytes:
    body = bytes(dbus.Writer().write("o", JOB).data)
    fields = [(5, dbus.Variant("u", serial)), (8, dbus.Variant("g", "o"))]
    return message(2, fields, body)


def failure(serial: int, name: str) -> bytes:
    return message(3, [(4, dbus.Variant("s", name)), (5, dbus.Variant("u", serial))])


def removed(name: str, result: str = "done") -> bytes:
    body = bytes(dbus.Writer().write("uoss", 7, JOB, name, result).data)
    return message(4, [(3, dbus.Variant("s", "JobRemoved")), (8, dbus.Variant("g", "uoss"))], body)


def run(op: Op, pid: int = 0) -> int:
    op = msgspec.structs.replace(op, stage=Stage.BEFORE)
    plan = Plan(0, [op]).encode()
    result = _core.run_stage(plan, Stage.BEFORE, pid, b'""', b'""', b"", b"")
    return 0 if result is None else int(result[0])


def test_the_scope_is_made_with_the_pid_and_its_job_awaited(bus: Bus) -> None:
    bus.start(reply(1), reply(3), removed("other.scope", "failed"), reply(4), removed("p-n.scope"))
    assert run(systemd.start(unit("x.slice:p:n"), None, unified=True), 0x01020304) == 0
    bus.close()
    assert bus.greeting == b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"
    assert b"\x04\0\0\0\x04\x03\x02\x01" in bus.got
    assert b"\xff\xff\xff\xff" not in bus.got


def test_a_job_that_ends_before_the_reply_counts_too(bus: Bus) -> None:
    bus.start(removed("p-n.scope"), reply(4))
    assert run(systemd.start(unit("x.slice:p:n"), None, unified=False)) == 0


def test_a_job_that_fails_is_an_error(bus: Bus) -> None:
    bus.start(reply(4), removed("p-n.scope", "failed"))
    assert run(systemd.start(unit("x.slice:p:n"), None, unified=True)) == errno.ECANCELED


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("org.freedesktop.systemd1.UnitExists", errno.EEXIST),
        ("org.freedesktop.DBus.Error.AccessDenied", errno.EACCES),
        ("org.example.Whatever", errno.EREMOTEIO),
    ],
)
def test_errors_of_systemd_become_errors_of_ours(bus: Bus, name: str, number: int) -> None:
    bus.start(failure(4, name))
    assert run(systemd.start(unit("x.slice:p:n"), None, unified=True)) == number


def test_stopping_a_scope_that_is_gone_is_fine(bus: Bus) -> None:
    bus.start(failure(4, "org.freedesktop.systemd1.NoSuchUnit"))
    assert run(systemd.stop(unit("x.slice:p:n"))) == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"B" * 16,
        b"l\x02\0\x01" + struct.pack("<III", 2**31, 1, 8) + b"\0" * 64,
        b"l\x02\0\x01" + struct.pack("<III", 0, 1, 16) + b"\x05\x01u\0" + b"\xff" * 12,
        b"l\x04\0\x01"
        + struct.pack("<III", 0, 1, 16)
        + b"\x03\x01s\0"
        + b"\xff\xff\xff\x7f"
        + b"a" * 8,
    ],
)
def test_an_answer_that_is_no_message_is_an_error(bus: Bus, answer: bytes) -> None:
    bus.start(answer)
    assert run(systemd.start(unit("x.slice:p:n"), None, unified=True)) != 0
