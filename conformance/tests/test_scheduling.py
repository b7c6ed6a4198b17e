"""Whether the kernel grants scheduling policies here, and cgroups that have time for them."""

from __future__ import annotations

import errno
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, scheduling
from seatrial.conformance.cgroups import Hierarchy, hierarchies
from seatrial.conformance.scheduling import real_time_cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")

PATH = f"/seatrial/test-{os.getpid()}"


def knobs() -> list[Path]:
    """Return where the kernel keeps the share of PATH; none without RT_GROUP_SCHED."""
    tops = [each.path for each in hierarchies() if "cpu" in each.controllers]
    return [top / PATH.lstrip("/") for top in tops if (top / "cpu.rt_runtime_us").exists()]


@needs_root
def test_a_real_time_cgroup_has_time_and_is_gone_in_the_end() -> None:
    with real_time_cgroup(PATH):
        for folder in knobs():
            assert int((folder / "cpu.rt_runtime_us").read_text()) > 0
    assert not [folder for folder in knobs() if folder.exists()]


@needs_root
def test_a_cgroup_that_was_there_stays() -> None:
    with real_time_cgroup(PATH):
        with real_time_cgroup(PATH):
            pass
        assert [folder for folder in knobs() if not folder.exists()] == []


def test_without_a_cpu_hierarchy_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Hierarchy(tmp_path, 1, frozenset({"pids"}))]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    with real_time_cgroup("/seatrial/one"):
        assert list(tmp_path.iterdir()) == []


def test_a_host_without_time_to_give_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Hierarchy(tmp_path, 1, frozenset({"cpu"}))]
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    monkeypatch.setattr(scheduling, "_PATIENCE_S", 0.0)
    knob = tmp_path / "seatrial" / "cpu.rt_runtime_us"
    knob.parent.mkdir()
    knob.write_text("0")

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OSError, match=r"cpu\.rt_runtime_us"), real_time_cgroup("/seatrial/one"):
        pass
    assert scheduling.refusal_of_real_time() == f"{knob}: EINVAL"


@pytest.mark.parametrize(
    "refusal", [scheduling.refusal_of_deadline, scheduling.refusal_of_real_time]
)
@needs_root
def test_a_policy_is_granted_or_refused_by_the_name_of_an_error(
    refusal: Callable[[], str],
) -> None:
    said = refusal()
    assert said == "" or said.rpartition(" ")[2] in errno.errorcode.values()


def test_a_machine_whose_system_calls_we_do_not_know_grants_no_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    assert scheduling.refusal_of_deadline() == "no number for sched_setattr(2) on vax"
