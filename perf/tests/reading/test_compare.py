"""``seatrial bench compare``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf.cli.bench import add_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

import argparse


def bench(*words: str | Path) -> int:
    """Run ``seatrial bench``."""
    parser = argparse.ArgumentParser(prog="seatrial")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["bench", *map(str, words)])
    return int(arguments.run(arguments))


Capture = pytest.CaptureFixture[str]


def compared(capsys: Capture, *words: str | Path) -> list[dict[str, Any]]:
    """The comparisons, by JSON."""
    assert bench("compare", *words, "--format", "json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def refusal(capsys: Capture, *words: str | Path) -> str:
    """What is said when it is refused."""
    assert bench("compare", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_two_contenders_of_a_run_are_paired(usual: Any, capsys: Capture) -> None:
    folder = usual.write()
    ((found),) = compared(capsys, "crun", "seatrial-oci", "--results", folder)
    assert found["paired"]
    assert not found["not_comparable"]
    (line,) = [each for each in found["benchmarks"] if each["name"] == "lifecycle/plain/run-wall"]
    low, high = line["interval"]
    assert low <= 0.0026 / 0.0057 <= high
    assert low <= line["ratio"] <= high
    assert (line["verdict"], line["blocks"], line["cliffs_delta"]) == ("better", 30, -1)
    (rate,) = [e for e in found["benchmarks"] if e["name"] == "scaling/4/starts-per-second"]
    assert rate["ratio"] > 1
    assert rate["verdict"] == "better"


def test_a_pair_of_the_same_shows_no_difference(usual: Any, capsys: Capture) -> None:
    folder = usual.write()
    words = (folder / "seatrial-oci.json", folder / "seatrial-oci-again.json")
    assert bench("compare", *words) == 0
    out = capsys.readouterr().out
    assert "no difference seen" in out
    assert "paired block by block" in out
    assert "lifecycle/plain/run-wall" in out


def test_the_same_contenders_of_two_runs_are_not_paired(
    make: Callable[..., Any], capsys: Capture
) -> None:
    before, after = make("before"), make("after", seed=2)
    for made, whole_s in ((before, 0.005), (after, 0.006)):
        made.lifecycle("crun", whole_s)
        made.lifecycle("runc", 0.02)
        made.write()
    crun, runc = compared(capsys, before.path, after.path)
    assert (crun["new"]["contender"], runc["new"]["contender"]) == ("crun", "runc")
    assert not crun["paired"]
    assert crun["benchmarks"][-1]["verdict"] == "worse"
    (only,) = compared(capsys, before.path, after.path / "crun.json")
    assert only == crun


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"kernel": "6.1"}, "the machines differ: kernel 6.18.5, then 6.1"),
        ({"cpu_model": None}, "the machines differ: cpu model Made-up CPU, then unknown"),
        ({"complete": False}, "is not complete"),
        ({"not_comparable": {"crun": "fails the suite"}}, "fails the suite"),
    ],
)
def test_other_machines_and_marked_runs_are_refused(
    make: Callable[..., Any], capsys: Capture, change: dict[str, Any], text: str
) -> None:
    before, after = make("before"), make("after")
    after.environment |= change
    for made in (before, after):
        made.lifecycle("crun", 0.005)
        made.write()
    assert text in refusal(capsys, before.path, after.path)
    (found,) = compared(capsys, before.path, after.path, "--force")
    assert text in " ".join(found["not_comparable"])
    bench("compare", before.path, after.path, "--force")
    assert "NOT COMPARABLE: " in capsys.readouterr().out


def test_other_block_counts_and_cases_are_refused(
    make: Callable[..., Any], capsys: Capture
) -> None:
    before, fewer, longer, more = make("a"), make("b", blocks=20), make("c", samples=5), make("d")
    more.lifecycle("crun", 0.005, case="network")
    for made in (before, fewer, longer, more):
        made.lifecycle("crun", 0.005)
        made.write()
    assert "30, then 20 blocks" in refusal(capsys, before.path, fewer.path)
    assert "blocks of 10, then 5 samples" in refusal(capsys, before.path, longer.path)
    assert "crun has not lifecycle/network" in refusal(capsys, before.path, more.path)
    assert "crun has not lifecycle/network" in refusal(capsys, more.path, before.path)


def test_contenders_without_common_figures_are_refused(
    make: Callable[..., Any], capsys: Capture
) -> None:
    made = make("a")
    made.lifecycle("crun", 0.005)
    made.lifecycle("runc", 0.005, case="network")
    folder = made.write()
    text = refusal(capsys, folder / "crun.json", folder / "runc.json")
    assert "have no benchmark in common" in text
    assert "there is no" in refusal(capsys, folder / "youki.json", folder / "crun.json")
    assert "no figures of youki" in refusal(capsys, "youki", "crun", "--results", folder)


def test_multiples_of_the_floor_make_up_for_another_machine(
    make: Callable[..., Any], capsys: Capture
) -> None:
    before, after = make("before"), make("after", seed=2)
    after.environment["cpu_model"] = "Twice as slow"
    for made, slow in ((before, 1), (after, 2)):
        made.lifecycle("crun", 0.005 * slow)
        made.lifecycle("floor", 0.002 * slow)
        made.write()
    assert "cpu model" in refusal(capsys, before.path, after.path)
    (found,) = compared(capsys, before.path, after.path, "--relative-to", "floor")
    lines = {each["name"].split("/")[-1]: each for each in found["benchmarks"]}
    assert lines["run-wall"]["ratio"] == pytest.approx(1, abs=0.03)
    assert lines["whole-wall"]["ratio"] == pytest.approx(1, abs=0.03)
    text = "lifecycle/plain/create-wall has no block that both sides have with floor beside it"
    assert f"left out: {text}" in found["remarks"]
    assert "no figures of runc" in refusal(capsys, before.path, after.path, "--relative-to", "runc")
    only = (before.path / "floor.json", after.path, "--relative-to", "floor")
    assert "always once itself" in refusal(capsys, *only)


def test_few_blocks_say_nothing(make: Callable[..., Any], capsys: Capture) -> None:
    made = make("quick", blocks=3)
    made.lifecycle("crun", 0.005)
    made.lifecycle("runc", 0.02)
    folder = made.write()
    (found,) = compared(capsys, folder / "crun.json", folder / "runc.json")
    assert {each["verdict"] for each in found["benchmarks"]} == {"too few blocks"}
    assert found["benchmarks"][0]["interval"] is None


def test_blocks_of_one_side_only_leave_a_benchmark_out(
    make: Callable[..., Any], capsys: Capture
) -> None:
    made = make("cut")
    made.lifecycle("crun", 0.005)
    made.lifecycle("runc", 0.02)
    run = "lifecycle/plain/run-wall"
    del made.benchmarks["runc"][run][1][29]
    folder = made.write()
    words = (folder / "crun.json", folder / "runc.json")
    (found,) = compared(capsys, *words)
    assert run not in {each["name"] for each in found["benchmarks"]}
    assert f"left out: {run} has blocks that only one side has" in found["remarks"]
    for _, blocks in made.benchmarks["runc"].values():
        blocks.pop(29, None)
    made.write()
    assert "blocks that only one side has" in refusal(capsys, *words)
    (found,) = compared(capsys, *words, "--force")
    assert found["benchmarks"][0]["blocks"] == 29
    # A run that was interrupted is in the middle of a block; that is said anyway.
    made.environment["complete"] = False
    made.write()
    (found,) = compared(capsys, *words)
    assert found["benchmarks"][0]["blocks"] == 29
    assert "not complete" in found["remarks"][0]


def test_a_contender_of_the_run_may_lack_a_case(usual: Any, capsys: Capture) -> None:
    usual.add("runc", "exec/plain/exec-wall", usual.draw("exec", 0.01))
    folder = usual.write()
    (found,) = compared(capsys, "crun", "runc", "--results", folder)
    assert found["remarks"] == ["crun has not exec/plain"]
