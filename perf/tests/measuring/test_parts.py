"""The parts of the driver that need no container."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf import environment, figures, publishing, pyperf_files, samples, schedule
from seatrial.perf.cases import Case
from seatrial.perf.contenders import FLOOR, Contender, Dialect
from seatrial.perf.errors import UsageError
from seatrial.perf.figures import ImpossibleError
from seatrial.perf.progress import Progress, duration
from seatrial.perf.pyperf_files import Block
from seatrial.perf.schedule import Size

if TYPE_CHECKING:
    from pathlib import Path

CRUN = Contender("crun", "/bin/crun", "1", "-")
CONTENDERS = [CRUN, Contender("runc", "/bin/runc", "1", "-"), CRUN.again()]
FLOORS = Contender(FLOOR, "/bin/floor", "-", "-")
CASES = [
    Case("lifecycle", "plain", "run", floor=True, again=True),
    Case("axes", "netns", "run"),
    Case("floor", "exec", "run", floor=True, runtimes=False),
]
SIZES = {"lifecycle": Size(3, 2), "axes": Size(1, 1), "floor": Size(2, 1)}
USED = {
    "user_ns": 1,
    "system_ns": 2,
    "minor_faults": 3,
    "voluntary_switches": 4,
    "involuntary_switches": 5,
}


# --- The order ---------------------------------------------------------------------------------


def _turns(seed: int = 1) -> list[schedule.Turn]:
    everyone = [*CONTENDERS, FLOORS]
    blocks = (schedule.block(n, seed, CASES, everyone, SIZES) for n in range(3))
    return [turn for block in blocks for turn in block]


def test_a_seed_gives_the_same_order_again_and_another_seed_another() -> None:
    assert _turns(1) == _turns(1)
    assert _turns(1) != _turns(2)


def test_in_each_block_every_contender_of_a_case_has_one_turn() -> None:
    for block in range(3):
        names = sorted(
            turn.contender.name
            for turn in _turns()
            if turn.block == block and turn.case == CASES[0]
        )
        assert names == ["crun", "crun-again", "floor", "runc"]


def test_suites_end_after_their_blocks_and_take_whom_they_are_for() -> None:
    turns = _turns()
    assert {t.contender.name for t in turns if t.case.suite == "floor"} == {"floor"}
    assert {t.contender.name for t in turns if t.case.suite == "axes"} == {"crun", "runc"}
    assert {t.block for t in turns if t.case.suite == "axes"} == {0}
    assert {t.block for t in turns if t.case.suite == "floor"} == {0, 1}


# --- Figures -----------------------------------------------------------------------------------


def _life() -> dict[str, Any]:
    return {
        "steps": [
            {"name": "create", "start": 1000, "end": 2000, **USED},
            {"name": "start", "start": 3000, "end": 3600, **USED},
            {"name": "delete", "start": 5000, "end": 5300, **USED},
        ],
        "payload": {"monotonic": 3500, "realtime": 90_003_500, "read": 3700},
        "container": {"end": 4000, "collected": True, **USED},
        "strays": {"count": 0, **USED},
        "clock_difference": 90_000_100,
    }


def test_the_phases_of_a_life_are_told_apart() -> None:
    found = figures.of_sample("steps", _life(), CRUN)
    assert found["create-wall"] == 1000
    assert found["start-wall"] == 600
    assert found["first-instruction-wall"] == 500
    assert found["exit-seen-wall"] == 500
    assert found["delete-wall"] == 300
    assert found["whole-wall"] == 4300
    assert found["whole-cpu"] == 4 * 3
    assert found["whole-minor-faults"] == 4 * 3
    assert found["whole-context-switches"] == 4 * 9


def test_a_sandbox_with_its_own_clock_is_read_by_the_clock_that_all_share() -> None:
    sandboxed = Contender("runsc", "/bin/runsc", "1", "-", dialect=Dialect(monotonic=False))
    raw = _life()
    raw["payload"]["monotonic"] = 7
    assert figures.of_sample("steps", raw, sandboxed)["first-instruction-wall"] == 400


@pytest.mark.parametrize("at", [2999, 3701])
def test_an_impossible_interval_is_refused(at: int) -> None:
    raw = _life()
    raw["payload"]["monotonic"] = at
    with pytest.raises(ImpossibleError, match="the payload says that it began"):
        figures.of_sample("steps", raw, CRUN)


def test_a_burst_counts_failures_and_does_not_time_them() -> None:
    starts = [{"start": 0, "end": 10**6 * n, "status": 0, **USED} for n in range(1, 100)]
    failed = {"start": 0, "end": 1, "status": 1, **USED}
    raw = {"burst": [*starts, failed], "start": 0, "end": 10**9}
    found = figures.of_burst(raw)
    assert found["failures"] == 1
    assert found["starts-per-second"] == 99
    assert found["p50-wall"] == 50 * 10**6
    assert found["p99-wall"] == 99 * 10**6


# --- pyperf's files ----------------------------------------------------------------------------


def _line(block: int, value: float, **more: Any) -> dict[str, Any]:
    return {
        "block": block,
        "position": 0,
        "attempt": 1,
        "contender": "crun",
        "suite": "lifecycle",
        "case": "plain",
        "kind": "run",
        "date": "2026-01-01T00:00:00+00:00",
        "figures": {"run-wall": value, "run-minor-faults": 5},
        **more,
    }


KEY = ("crun", "lifecycle", "plain", "run-wall")


def test_blocks_have_equal_counts_and_what_was_cut_short_is_named() -> None:
    lines = [_line(block, 10**9 * (block + 1)) for block in (0, 0, 1, 1, 2)]
    found, left_out = pyperf_files.blocks(lines)
    assert [block.number for block in found[KEY]] == [0, 1]
    assert found[KEY][1].values == (2.0, 2.0)
    assert any("lifecycle/plain/run-wall: 1 of 3 blocks" in text for text in left_out)


def test_warm_ups_are_no_values() -> None:
    found, _ = pyperf_files.blocks([_line(0, 5e9, warmup=True), _line(0, 1e9)])
    assert found[KEY] == [Block(0, 0, "2026-01-01T00:00:00+00:00", (1.0,), (5.0,))]


def test_a_block_with_a_failed_sample_is_left_to_the_samples() -> None:
    failed = {**_line(0, 1), "error": "run: exit status 1"}
    del failed["figures"]
    found, _ = pyperf_files.blocks([_line(0, 1e9), failed, _line(1, 1e9)])
    assert [block.number for block in found[KEY]] == [1]


def test_a_turn_that_was_done_again_counts_by_its_last_attempt() -> None:
    again = [_line(0, 3e9, attempt=2), _line(0, 3e9, attempt=2)]
    found, _ = pyperf_files.blocks([_line(0, 1e9), *again])
    assert found[KEY][0].values == (3.0, 3.0)


def test_zeros_stay_in_the_samples_as_pyperf_takes_none() -> None:
    lines = [_line(0, 0), _line(1, 1e9)]
    found, left_out = pyperf_files.blocks(lines)
    assert [block.number for block in found[KEY]] == [1]
    assert left_out


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    store = samples.Samples(tmp_path)
    store.add(_line(0, 1))
    store.close()
    with (tmp_path / samples.NAME).open("a") as file:
        file.write('{"block": 1, "posi')
    store = samples.Samples(tmp_path)
    store.add(_line(2, 1))
    store.close()
    assert [line["block"] for line in samples.read(tmp_path)] == [0, 2]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / samples.NAME).write_text(json.dumps({"poem": 1}) + "\n")
    with pytest.raises(UsageError, match="line 1 is not a sample"):
        list(samples.read(tmp_path))


# --- Publishing --------------------------------------------------------------------------------


def _environment(**more: Any) -> dict[str, Any]:
    quiet = [{"others": 0.05, "mhz": [2600.0, 2600.0]}] * 12
    about: dict[str, Any] = {
        "complete": True,
        "pair": {"lifecycle/plain/run-wall": 1.01, "lifecycle/plain/start-wall": 1.2},
        "blocks": quiet,
        "contenders": {"crun": {"editable": False}},
    }
    return about | more


def test_a_quiet_run_may_be_published() -> None:
    assert publishing.reasons(_environment(), {}) == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"complete": False}, "the run is not complete"),
        ({"pair": {}}, "no A/A pair was measured"),
        (
            {"pair": {"lifecycle/plain/run-wall": 1 / 1.05}},
            "the A/A pair is 5.0% apart in lifecycle/plain/run-wall, more than 3%",
        ),
        (
            {"blocks": [{"others": 1.5, "mhz": []}] * 12},
            "other programs kept 1.5 processors busy in the median block (1.5 at most)",
        ),
        (
            {"blocks": [{"others": 0.1, "mhz": []}] * 11 + [{"others": 1.2, "mhz": []}]},
            "the load changed: other programs kept 0.1 processors busy in the median block,"  # noqa: ISC004
            " 1.2 in another",
        ),
        (
            {"blocks": [{"others": 0, "mhz": [2600.0]}, {"others": 0, "mhz": [1300.0]}]},
            "the processors' frequency changed: 1300 to 2600 MHz",
        ),
        (
            {"cpu_model": "QEMU Virtual CPU version 2.5+"},
            "the processor is emulated (QEMU Virtual CPU version 2.5+): its times mean nothing",
        ),
        ({"contenders": {"mine": {"editable": True}}}, "mine runs from an editable install"),
    ],
)
def test_what_speaks_against_publishing_is_said(more: dict[str, Any], why: str) -> None:
    assert publishing.reasons(_environment(**more), {}) == [why]


def test_the_pair_is_compared_block_by_block() -> None:
    def those(*values: float) -> list[Block]:
        return [Block(n, 0, "", (value,), ()) for n, value in enumerate(values)]

    found = {
        KEY: those(1, 2, 4),
        ("crun-again", *KEY[1:]): those(1.1, 2.2, 400),
    }
    assert publishing.pair(found) == {"lifecycle/plain/run-wall": pytest.approx(1.1)}


# --- The machine and the user ------------------------------------------------------------------


def test_the_machine_is_described() -> None:
    about = environment.describe()
    for name in ("kernel", "cgroup_mode", "mount_count", "cpu_model", "affinity", "aslr"):
        assert about[name]
    assert about["memory_bytes"] > 10**8
    json.dumps(about)


def test_what_others_use_is_what_is_not_ours() -> None:
    before = environment.Use(at_s=0, busy_s=100, own_s=10, stolen_s=1)
    after = environment.Use(at_s=10, busy_s=115, own_s=18, stolen_s=2)
    assert after.others(before) == pytest.approx(0.8)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_says_what_is_left() -> None:
    turns = [turn for turn in _turns() if turn.case == CASES[0]]
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        progress = Progress(stream, turns)
        for turn in turns[:3]:
            progress.turn(turn, 2.0)
        progress.clear()
    assert "1/12 22 s left" in terminal.getvalue()
    # A log has a line at each tenth: of twelve turns, two and three.
    assert pipe.getvalue().splitlines() == [
        "2 of 12 turns are done, 20 s left",
        "3 of 12 turns are done, 18 s left",
    ]
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_times_are_said_as_people_do() -> None:
    assert [duration(each) for each in (4.4, 60, 125)] == ["4 s", "1 min 00 s", "2 min 05 s"]
