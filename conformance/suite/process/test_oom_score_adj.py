"""config.md, "Linux Process": ``oomScoreAdj``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.capabilities import users

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime

LEAST, MOST = -1000, 1000


def own() -> int:
    """Return the harness's own value, below which nobody gets without privilege (proc(5))."""
    return int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))


def permitted_values() -> st.SearchStrategy[int]:
    """Values that need no privilege."""
    return st.integers(own(), MOST)


def adjusted(harness: Harness, value: int, uid: int = 0) -> Config:
    """Return a config with ``oomScoreAdj``."""
    config = harness.config("pause")
    config["process"]["user"]["uid"] = uid
    config["process"]["oomScoreAdj"] = value
    return config


def score_of(harness: Harness, config: Config, **options: Any) -> int:
    """Return the value of the container process, by the kernel that would end it: the host's."""
    with harness.running(config, **options) as container:
        return int(Path(f"/proc/{container.pid}/oom_score_adj").read_text(encoding="ascii"))


def called_by_one_with(harness: Harness, value: int) -> Runtime:
    """Return the runtime called by a process whose oom_score_adj is ``value``."""
    write = ("write", "/proc/self/oom_score_adj", str(value))
    return harness.runtime.called_through(str(probe_binary()), "quiet", "+", *write, "+", "exec")


@requirement("config.process.oom-score-adj.set")
@given(uid=users(), value=permitted_values())
def test_oom_score_adj_has_the_given_value(harness: Harness, uid: int, value: int) -> None:
    assert score_of(harness, adjusted(harness, value, uid)) == value


@requirement("config.process.oom-score-adj.set")
@needs("cap:sys_resource")
@given(value=st.integers(LEAST, MOST))
def test_oom_score_adj_has_a_value_that_needs_privilege(harness: Harness, value: int) -> None:
    assert score_of(harness, adjusted(harness, value)) == value


@requirement("config.process.oom-score-adj.set")
@given(value=permitted_values(), callers=permitted_values())
def test_oom_score_adj_has_the_given_value_whatever_the_callers_is(
    harness: Harness, value: int, callers: int
) -> None:
    runtime = called_by_one_with(harness, callers)
    assert score_of(harness, adjusted(harness, value), runtime=runtime) == value


@requirement("config.process.oom-score-adj.set")
@given(callers=permitted_values().filter(lambda value: value > max(0, own())))
@settings(max_examples=10)
def test_a_given_value_of_zero_is_not_taken_for_a_missing_one(
    harness: Harness, callers: int
) -> None:
    # Where the harness itself has more than 0, its own value is the nearest to it.
    value = max(0, own())
    runtime = called_by_one_with(harness, callers)
    assert score_of(harness, adjusted(harness, value), runtime=runtime) == value


@requirement("config.process.oom-score-adj.unset-unchanged")
@given(callers=permitted_values())
def test_without_it_oom_score_adj_is_the_callers(harness: Harness, callers: int) -> None:
    runtime = called_by_one_with(harness, callers)
    assert score_of(harness, harness.config("pause"), runtime=runtime) == callers
