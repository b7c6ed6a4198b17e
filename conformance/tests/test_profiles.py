"""Profiles: how many examples a run draws, and how what it drew is drawn again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.results import Results

if TYPE_CHECKING:
    from conformance.tests.conftest import Ran, Trial

    from seatrial.conformance.adapters import Adapter

SUITE = """
import json
from hypothesis import HealthCheck, given, settings, strategies as st
from seatrial.conformance.marks import requirement

SETTINGS = settings(
    derandomize=True, database=None, deadline=None, max_examples=7,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

@requirement("runtime.kill.delivers-signal")
@SETTINGS
@given(number=st.integers(0, 10**9))
def test_what_is_drawn(harness, number):
    with open("drawn", "a") as file:
        file.write(f"{number}\\n")

@requirement("runtime.start.runs-program")
@SETTINGS
@given(number=st.integers(0, 10**9))
def test_that_fails(harness, number):
    assert number < 0
"""


def run(trial: Trial, good: Adapter, *options: str) -> tuple[Ran, list[str], Results]:
    (trial.folder / "test_small.py").write_text(SUITE)
    (trial.folder / "drawn").write_text("")
    ran = trial("--runtime", good.name, "--results", "results.jsonl", *options)
    drawn = (trial.folder / "drawn").read_text().split()
    return ran, drawn, Results.read(trial.folder / "results.jsonl")


def test_every_run_draws_the_same(trial: Trial, good: Adapter) -> None:
    first, again = (run(trial, good) for _ in range(2))
    assert first[1] == again[1]
    assert len(first[1]) == 7
    assert first[2].header["profile"] == "default"
    assert "seed" not in first[2].header


def test_a_quick_run_draws_one_example(trial: Trial, good: Adapter) -> None:
    ran, drawn, results = run(trial, good, "--profile", "quick")
    assert len(drawn) == 1
    assert results.header["profile"] == "quick"
    assert "drawing examples by --profile quick\n" in ran.out
    (failure,) = (each for each in results.verdicts if each.status == "fail")
    assert failure.reproduce.endswith("--profile quick")


def test_a_thorough_run_draws_more_and_others_by_a_seed_that_it_says(
    trial: Trial, good: Adapter
) -> None:
    one, other = (run(trial, good, "--profile", "thorough") for _ in range(2))
    assert len(one[1]) > 7 * 10
    assert one[1] != other[1]
    seed = one[2].header["seed"]
    assert f"drawing examples by --profile thorough --hypothesis-seed={seed}\n" in one[0].out
    (failure,) = (each for each in one[2].verdicts if each.status == "fail")
    words = re.findall(r"--profile.*", failure.reproduce)[0].split()
    assert words == ["--profile", "thorough", f"--hypothesis-seed={seed}"]
    _, drawn, _ = run(trial, good, *words)
    assert drawn == one[1]


def test_workers_of_pytest_xdist_give_the_same_verdicts(trial: Trial, good: Adapter) -> None:
    def seen(results: Results) -> list[tuple[str, str]]:
        return sorted((each.test, each.status) for each in results.verdicts)

    assert seen(run(trial, good)[2]) == seen(run(trial, good, "-n", "2")[2])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--profile", "slow"], "invalid choice: 'slow'"),
        (
            ["--profile", "thorough", "--hypothesis-seed", "x"],
            "seatrial: --hypothesis-seed has to be a whole number, not 'x'",
        ),
    ],
)
def test_a_wrong_profile_is_told(
    trial: Trial, good: Adapter, options: list[str], told: str
) -> None:
    (trial.folder / "test_small.py").write_text(SUITE)
    ran = trial("--runtime", good.name, *options)
    assert ran.status in {2, 4}
    assert told in ran.err
