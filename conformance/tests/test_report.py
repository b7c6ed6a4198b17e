"""What the probe saw, as the harness reads it; and the minimal config that tests start from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance import config as configs
from seatrial.conformance import report
from seatrial.conformance.errors import Ignored, Malformed

MEMBERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'"text"', b"NaN", b"{} {}"),
        *(b'{"probe": 2}', b'{"act": "say"}', b"[" * 100_000, b'{"a":' * 100_000),
    ],
    ids=lambda line: line[:12],
)
def test_what_the_probe_did_not_print_is_the_runtimes_failure(line: bytes) -> None:
    with pytest.raises(Malformed):
        report.parse(line)


def test_bytes_are_those_that_the_program_had() -> None:
    document = {
        "probe": 1,
        "argv": ["/probe", "\u00e9\u0080"],
        "environ": ["A=\u00ff"],
        "cwd": "/\u00fc",
        "mountinfo": ["1 2 0:1 / /a\\040b rw - tmpfs none rw"],
        "capabilities": {"effective": [0, 21, 63]},
    }
    found = report.parse(json.dumps(document))
    assert found.argv == [b"/probe", b"\xe9\x80"]
    assert found.environ == [b"A=\xff"]
    assert found.cwd == b"/\xfc"
    assert [each.target for each in found.mounts] == ["/a b"]
    assert found.capabilities("effective") == {"CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_63"}
    assert report.parse(b'{"probe": 1, "mountinfo": null}').mounts == []


def test_what_the_containers_kernel_does_not_have_is_no_value() -> None:
    document = {"probe": 1, "scheduler": None, "umask": 0, "capabilities": {"ambient": None}}
    found = report.parse(json.dumps(document))
    assert found.of_kernel("umask") == 0
    assert found.capabilities("ambient") == set()
    with pytest.raises(Ignored, match=r"^the container's kernel .*: scheduler$"):
        found.of_kernel("scheduler")


def test_a_minimal_config_is_fresh_each_time() -> None:
    first = configs.minimal()
    first["process"]["args"].append("x")
    first["mounts"].clear()
    assert configs.minimal()["process"]["args"] == ["/probe", "report"]
    assert configs.minimal()["mounts"]
    assert configs.minimal("exit", "3")["process"]["args"] == ["/probe", "exit", "3"]


def test_the_minimal_config_differs_from_itself_in_nothing() -> None:
    assert configs.difference(configs.minimal()) == {}


def test_a_difference_has_what_was_added_changed_and_removed() -> None:
    config = configs.minimal()
    config["hostname"] = "x"
    config["process"]["cwd"] = "/tmp"  # noqa: S108 - in a container
    del config["mounts"]
    config["linux"]["namespaces"] = []
    assert configs.difference(config) == {
        "hostname": "x",
        "process": {"cwd": "/tmp"},  # noqa: S108
        "mounts": None,
        "linux": {"namespaces": []},
    }


@given(added=st.dictionaries(st.text(max_size=3), MEMBERS))
def test_a_difference_made_to_the_minimal_config_gives_the_config(added: dict[str, Any]) -> None:
    config = {**configs.minimal(), **added}
    patch = configs.difference(config)
    # RFC 7396 says null for what is not there, so that a null in a config is lost.
    merged = _merge(configs.minimal(), patch)
    assert merged == _merge({}, config)


def _merge(target: object, patch: object) -> object:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def test_a_config_is_written_as_bytes_whatever_it_holds() -> None:
    assert configs.dumps(b"\xff{") == b"\xff{"
    assert json.loads(configs.dumps({"a": "\u00e9\n"})) == {"a": "\u00e9\n"}
    assert b"\xed\xa0\x80" in configs.dumps({"a": "\ud800"})


def test_a_member_is_left_out_of_a_copy() -> None:
    config = configs.minimal()
    assert "cwd" not in configs.without(config, "process", "cwd")["process"]
    assert len(configs.without(config, "mounts", 0)["mounts"]) == len(config["mounts"]) - 1
    assert config == configs.minimal()
    assert configs.with_namespaces(config, ["net"])["linux"]["namespaces"] == [{"type": "net"}]
    assert config == configs.minimal()
