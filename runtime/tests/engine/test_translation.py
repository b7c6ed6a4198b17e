"""Docker's words in the runtime-spec's: pure functions, with nothing started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from seatrial.engine import bundle, capabilities, creation, limits, payloads, security, signalling
from seatrial.engine.changes import parse
from seatrial.engine.errors import BadRequest, EngineError, Unsupported
from seatrial.engine.images import Image, Layer
from seatrial.engine.payloads import Config, CreateRequest, HostConfig
from seatrial.engine.users import User

if TYPE_CHECKING:
    from seatrial.engine.records import Record

_IMAGE = Image("sha256:" + "0" * 64, "", [Layer("sha256:" + "1" * 64, "", 5)])
_ALL = frozenset(capabilities.ALL)


def _record(image: Config | None = None, **given: Any) -> Record:
    request = payloads.convert(CreateRequest, {"Image": "i", "Cmd": ["true"], **given})
    return creation.record(
        request, name="n", image=_IMAGE, image_config=image or Config(), v2=False
    )


def _config(**host: Any) -> dict[str, Any]:
    record = _record(HostConfig=host)
    place = bundle.Place("/root", "/folder", "/parent/id", User(0, 0, (0,), "/root"), {}, _ALL)
    return bundle.config(record, place)


def test_limits_are_those_of_the_spec() -> None:
    host = HostConfig(memory=64 << 20, nano_cpus=500_000_000, pids_limit=7, cpuset_cpus="0")
    assert limits.resources(host) == {
        "memory": {"limit": 64 << 20, "swap": 128 << 20},
        "cpu": {"period": 100_000, "quota": 50_000, "cpus": "0"},
        "pids": {"limit": 7},
    }


def test_without_limits_there_are_none() -> None:
    assert limits.resources(HostConfig()) == {}


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], set(capabilities.DEFAULT)),
        (["SYS_ADMIN"], [], {*capabilities.DEFAULT, "SYS_ADMIN"}),
        (["cap_sys_admin"], ["ALL"], {"SYS_ADMIN"}),
        (["ALL"], ["MKNOD"], _ALL - {"MKNOD"}),
        ([], ["chown"], set(capabilities.DEFAULT) - {"CHOWN"}),
    ],
)
def test_capabilities_are_added_and_dropped(
    add: list[str], drop: list[str], expected: set[str]
) -> None:
    found = capabilities.chosen(add, drop, privileged=False, host=_ALL)
    assert set(found) == {f"CAP_{name}" for name in expected}


def test_nobody_gets_capabilities_that_the_host_has_not() -> None:
    host = frozenset({"CHOWN"})
    assert capabilities.chosen(["ALL"], [], privileged=True, host=host) == ["CAP_CHOWN"]


def test_inheritable_and_ambient_capabilities_are_never_given() -> None:
    assert not {"inheritable", "ambient"} & set(_config()["process"]["capabilities"])


def test_the_default_network_is_none_as_with_dockerd_without_a_bridge() -> None:
    assert {"type": "network"} in _config()["linux"]["namespaces"]
    kinds = [each["type"] for each in _config(NetworkMode="host")["linux"]["namespaces"]]
    assert "network" not in kinds


def test_what_protects_the_host_is_there_unless_it_was_taken_away() -> None:
    linux = _config()["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == (
        list(security.MASKED),
        list(security.READONLY),
    )
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    privileged = _config(Privileged=True)["linux"]
    assert "seccomp" not in privileged
    assert privileged["maskedPaths"] == []


def test_clone_into_namespaces_takes_the_right_for_it() -> None:
    def names(config: dict[str, Any]) -> set[str]:
        rules = config["linux"]["seccomp"]["syscalls"]
        return {
            name
            for rule in rules
            if rule["action"] == "SCMP_ACT_ALLOW" and "args" not in rule
            for name in rule["names"]
        }

    assert not {"mount", "unshare", "clone", "setns", "bpf", "keyctl"} & names(_config())
    assert {"mount", "unshare", "clone"} <= names(_config(CapAdd=["SYS_ADMIN"]))


def test_a_command_of_ones_own_keeps_the_images_entrypoint() -> None:
    image = Config(entrypoint=["/e"], cmd=["/c"], env=["A=1", "B=2"], working_dir="/w")
    record = _record(image, Cmd=["x"], Env=["A=9"])
    assert [record.path, *record.args] == ["/e", "x"]
    assert record.config.env == ["A=9", "B=2"]
    assert record.config.working_dir == "/w"
    record = _record(image, Cmd=None, Entrypoint=["/mine"])
    assert [record.path, *record.args] == ["/mine"]
    record = _record(image, Cmd=None)
    assert [record.path, *record.args] == ["/e", "/c"]


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ({"Memory": 5}, BadRequest),
        ({"CapAdd": ["NO_SUCH"]}, BadRequest),
        ({"SecurityOpt": ["nonsense"]}, BadRequest),
        ({"SecurityOpt": ["apparmor=mine"]}, Unsupported),
        ({"RestartPolicy": {"Name": "sometimes"}}, BadRequest),
        ({"LogConfig": {"Type": "syslog"}}, Unsupported),
        ({"Ulimits": [{"Name": "nonsense", "Soft": 1, "Hard": 1}]}, BadRequest),
        ({"PidMode": "nonsense"}, BadRequest),
        ({"UsernsMode": "mine"}, Unsupported),
    ],
)
def test_what_cannot_be_done_is_refused_when_a_container_is_created(
    host: dict[str, Any], error: type[EngineError]
) -> None:
    with pytest.raises(error):
        _record(HostConfig=host)


@pytest.mark.parametrize(
    ("text", "number"), [("TERM", 15), ("sigkill", 9), ("3", 3), ("RTMIN+1", 35), ("RTMAX", 64)]
)
def test_signals_have_names_and_numbers(text: str, number: int) -> None:
    assert signalling.number(text) == number


@pytest.mark.parametrize("body", [b"", b"[]", b"{} {}", b'{"Cmd": 5}', b'{"Tty": "yes"}', b"\xff"])
def test_a_payload_of_another_kind_is_the_clients_mistake(body: bytes) -> None:
    with pytest.raises(BadRequest):
        payloads.read(CreateRequest, body)


def test_what_is_null_was_not_sent() -> None:
    assert payloads.read(CreateRequest, b'{"Cmd": null, "HostConfig": {"Binds": null}}').cmd is None


def test_changes_are_lines_of_a_dockerfile() -> None:
    made = parse(['CMD ["a", "b"]', "ENV A=1 B=2", "ENV A=3", "EXPOSE 80", "LABEL x=y", "USER u"])
    assert made == {
        "Cmd": ["a", "b"],
        "Env": ["A=3", "B=2"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"x": "y"},
        "User": "u",
    }
    with pytest.raises(BadRequest):
        parse(["RUN rm"])
