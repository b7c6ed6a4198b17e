"""Namespaces made for configs to name: new, of their type, and gone with the context."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seatrial.conformance import processes
from seatrial.conformance.errors import HarnessError
from seatrial.conformance.namespace_files import prepared
from seatrial.conformance.namespaces import TYPES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")

KINDS = [kind for kind in TYPES if kind != "pid"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_path_is_that_of_a_new_namespace_of_the_type(kind: str) -> None:
    link, _ = TYPES[kind]
    with prepared(kind) as paths:
        assert os.readlink(paths[kind]).startswith(f"{link}:[")
        assert os.readlink(paths[kind]) != os.readlink(f"/proc/self/ns/{link}")


def test_several_are_made_at_once() -> None:
    with prepared("network", "ipc") as paths:
        assert list(paths) == ["network", "ipc"]


def test_nobody_is_left_and_nothing_is_open() -> None:
    before = set(os.listdir("/proc/self/fd")), list(processes.children(os.getpid()))
    with prepared("network") as paths:
        assert list(processes.children(os.getpid())) == before[1]
    assert (set(os.listdir("/proc/self/fd")), list(processes.children(os.getpid()))) == before
    assert not Path(paths["network"]).exists()


def test_what_cannot_be_made_is_an_error_of_the_harness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TYPES, "banana", ("banana", 1))
    with pytest.raises(HarnessError), prepared("banana"):
        pass
