"""``seatrial bench gate``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf.cli.bench import add_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Capture = pytest.CaptureFixture[str]


def gate(*words: str | Path) -> int:
    """Run ``seatrial bench gate``."""
    parser = argparse.ArgumentParser(prog="seatrial")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["bench", "gate", *map(str, words)])
    return int(arguments.run(arguments))


@pytest.fixture
def run(make: Callable[..., Any]) -> Callable[..., Path]:
    """Make a run of crun whose whole start takes so long."""

    def run_(name: str, whole_s: float, **members: Any) -> Path:
        made = make(name, **members)
        made.lifecycle("crun", whole_s)
        made.scaling("crun", whole_s)
        path: Path = made.write()
        return path

    return run_


def test_the_same_passes(run: Callable[..., Path], capsys: Capture) -> None:
    assert gate(run("before", 0.005), run("after", 0.005, seed=3)) == 0
    assert capsys.readouterr().out.startswith("ok: none of 14 benchmarks")


def test_slower_fails_and_says_which(run: Callable[..., Path], capsys: Capture) -> None:
    before, after = run("before", 0.005), run("after", 0.0062, seed=3)
    assert gate(before, after) == 1
    out = capsys.readouterr().out
    assert out.startswith("failed: 14 of 14 benchmarks")
    (line,) = [each for each in out.splitlines() if "lifecycle/plain/run-wall" in each]
    assert "crun" in line
    assert "1.2" in line
    assert "≤ 1.05×" in line
    (rate,) = [each for each in out.splitlines() if "scaling/4/starts-per-second" in each]
    assert "≥ 0.952×" in rate
    # A faster one, and one within the threshold, pass.
    assert gate(after, before) == 0
    assert gate(before, after, "--wall", "1.5", "--counts", "1.5") == 0


def test_counts_have_a_narrower_threshold(run: Callable[..., Path], capsys: Capture) -> None:
    before, after = run("before", 0.005), run("after", 0.00515, seed=1)
    assert gate(before, after) == 1
    out = capsys.readouterr().out
    assert "failed: 1 of 14" in out
    assert "lifecycle/plain/run-minor-faults" in out
    assert "≤ 1.02×" in out


def test_noise_alone_does_not_fail_it(make: Callable[..., Any], capsys: Capture) -> None:
    paths = []
    for name, whole_s in (("before", 0.005), ("after", 0.0055)):
        made = make(name, blocks=6, seed=len(name))
        made.add("crun", "tax/version/wall", made.draw(name, whole_s, noise=1.0))
        paths.append(made.write())
    assert gate(*paths) == 0
    assert "ok" in capsys.readouterr().out


def test_two_builds_in_one_run(make: Callable[..., Any], capsys: Capture) -> None:
    made = make("both")
    made.lifecycle("main", 0.005)
    made.lifecycle("change", 0.0056)
    folder = made.write()
    assert gate("main", folder, "--contender", "change") == 1
    assert gate("change", folder, "--contender", "main") == 0
    capsys.readouterr()
    assert gate("main", folder) == 2
    assert "which other" in capsys.readouterr().err
    assert gate(folder, folder) == 2
    assert "compared with itself" in capsys.readouterr().err


def test_few_blocks_cannot_be_judged(run: Callable[..., Path], capsys: Capture) -> None:
    assert gate(run("before", 0.005, blocks=3), run("after", 0.9, blocks=3)) == 2
    assert "nothing can be judged" in capsys.readouterr().err


def test_what_is_gone_is_said(make: Callable[..., Any], capsys: Capture) -> None:
    before, after = make("before"), make("after")
    before.lifecycle("runc", 0.02)
    for made in (before, after):
        made.lifecycle("crun", 0.005)
        made.write()
    assert gate(before.path, after.path) == 0
    assert "note: runc is in the baseline only" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["0.9", "much", "nan", "inf"])
def test_thresholds_are_ratios(tmp_path: Path, capsys: Capture, word: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        gate(tmp_path, tmp_path, "--wall", word)
    assert "is not a ratio from 1 up" in capsys.readouterr().err


def test_the_newest_folder_is_judged(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    before = run("before", 0.005)
    run("results/perf/after", 0.005)
    monkeypatch.chdir(tmp_path)
    assert gate(before) == 0
    assert "ok" in capsys.readouterr().out
