"""States, judged by their schema and by the numbering of releases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.errors import Malformed
from seatrial.conformance.states import SEMVER, STATUSES, State, breaches

_STATE: dict[str, Any] = {
    "ociVersion": "1.3.0",
    "id": "one",
    "status": "running",
    "pid": 7,
    "bundle": "/bundle",
    "annotations": {"key": "value"},
}


@given(status=st.sampled_from(STATUSES), extra=st.dictionaries(st.text(), st.integers()))
def test_a_state_of_the_spec_has_no_breaches(status: str, extra: dict[str, int]) -> None:
    assert breaches({**extra, **_STATE, "status": status}) == []


@pytest.mark.parametrize("key", ["pid", "annotations"])
def test_some_members_may_be_missing(key: str) -> None:
    assert breaches({name: value for name, value in _STATE.items() if name != key}) == []


@pytest.mark.parametrize("key", ["ociVersion", "id", "status", "bundle"])
def test_others_may_not(key: str) -> None:
    assert len(breaches({name: value for name, value in _STATE.items() if name != key})) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "paused"},
        {"status": None},
        {"pid": -1},
        {"pid": "7"},
        {"pid": None},
        {"id": 1},
        {"bundle": None},
        {"annotations": None},
        {"annotations": []},
        {"annotations": {"key": 1}},
        {"ociVersion": 1.3},
    ],
    ids=str,
)
def test_a_member_of_the_wrong_kind_is_a_breach(wrong: dict[str, Any]) -> None:
    assert len(breaches({**_STATE, **wrong})) == 1


def test_a_member_that_is_missing_is_a_verdict_and_no_error_of_ours() -> None:
    with pytest.raises(Malformed, match="no bundle"):
        State({"id": "one"})["bundle"]


@pytest.mark.parametrize(
    "version", ["1.0.0", "1.0.2-dev", "1.1.0+dev", "1.2.0-rc.1+a.b", "10.20.30"]
)
def test_a_version_is_semantic(version: str) -> None:
    assert SEMVER.fullmatch(version)


@pytest.mark.parametrize(
    "version",
    ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "v1.0.0", "1.0.0\n", "1.\u0660.0"],
)
def test_a_version_is_not_semantic(version: str) -> None:
    assert not SEMVER.fullmatch(version)
