"""Reading results folders: what is whole, what is cut off, what is no results folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.perf.errors import UsageError
from seatrial.perf.metrics import Metric
from seatrial.perf.results import Results, Skipped, newest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = Metric("lifecycle", "plain", "run-wall")


def refused(path: Path) -> str:
    """The one sentence that refuses a folder."""
    with pytest.raises(UsageError) as caught:
        Results.read(path)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{path}/", "")


def test_all_is_there(usual: Any) -> None:
    results = Results.read(usual.write())
    assert list(results.contenders) == [
        "floor", "seatrial-oci", "seatrial-oci-again", "crun", "runc"
    ]  # fmt: skip
    assert results.complete
    assert results.skipped == (Skipped("runsc", "", "there is no runsc on PATH"),)
    assert results.contenders["seatrial-oci-again"].twin_of == "seatrial-oci"
    assert results.contenders["crun"].version == "1.2.3"
    series = results.contenders["crun"].series[RUN]
    assert (series.unit, len(series.blocks), len(series.values)) == ("second", 30, 300)
    assert series.blocks[3] == tuple(usual.benchmarks["crun"][str(RUN)][1][3])
    assert [case for _, case in results.cases] == ["plain", "network", "1", "2", "4"]


def test_failed_samples_are_counted(usual: Any) -> None:
    usual.errors += [{"contender": "runc", "error": "exit 1"}, {"contender": "runc", "exit": 0}]
    assert Results.read(usual.write()).failures == {"runc": 1}


def test_an_incomplete_run_is_read(usual: Any) -> None:
    usual.environment["complete"] = False
    folder = usual.write()
    with (folder / "samples.jsonl").open("a") as file:
        file.write('{"contender": "crun"}\n{"contend')
    results = Results.read(folder)
    assert not results.complete
    assert results.remarks == ("1 line is cut off in samples.jsonl",)


def test_without_samples_the_rest_is_read(usual: Any) -> None:
    folder = usual.write()
    (folder / "samples.jsonl").unlink()
    assert "missing" in Results.read(folder).remarks[0]


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert "is not a results folder" in refused(tmp_path / "none")
    assert refused(tmp_path) == "cannot read environment.json: No such file or directory"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("environment.json", "[]", "environment.json is not a JSON object"),
        ("environment.json", "{}", "environment.json is of format None; this"),
        ("environment.json", '{"format": 1}', "does not say whether the run is complete"),
        ("environment.json", '{"complete": tr', "environment.json is damaged or cut off"),
        ("environment.json", "\xff", "environment.json is damaged or cut off"),
        ("skipped.json", "[1]", "skipped.json is not a list of contenders and reasons"),
        ("crun.json", "", "crun.json is no pyperf suite, or cut off"),
        ("crun.json", "[]", "crun.json is no pyperf suite"),
        ("crun.json", "{}", "file format version None not supported"),
        ("crun.json", '{"version": "1.0", "benchmarks": []}', "crun.json is no pyperf suite"),
    ],
)
def test_damaged_files_are_named(usual: Any, name: str, content: str, text: str) -> None:
    folder = usual.write()
    (folder / name).write_bytes(content.encode("latin-1"))
    assert text in refused(folder)


@given(name=st.sampled_from(["crun.json", "environment.json"]), part=st.floats(0, 0.99))
def test_a_file_cut_off_anywhere_is_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, name: str, part: float
) -> None:
    whole = _small()
    content = whole[name]
    folder = tmp_path_factory.mktemp("cut")
    for each, text in whole.items():
        (folder / each).write_text(text)
    (folder / name).write_text(content[: int(len(content) * part)])
    assert name in refused(folder)


def _small() -> dict[str, str]:
    runs = [
        {"values": [1.0, 2.0], "metadata": {"name": str(RUN), "unit": "second", "block": block}}
        for block in range(2)
    ]
    return {
        "environment.json": json.dumps({"format": 1, "complete": True}),
        "samples.jsonl": "",
        "crun.json": json.dumps({"version": "1.0", "benchmarks": [{"runs": runs}]}),
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"block": "one"}, "does not say which block"),
        ({"block": None}, "does not say which block"),
        ({"name": "plain"}, "incompatible benchmark, metadata name is different"),
        ({"name": "plain", "one": True}, "'plain' is not <suite>/<case>/<metric>"),
        ({"block": 1}, "block 1 of lifecycle/plain/run-wall is there twice"),
        ({"values": [1.0]}, "from 1 to 2 figures, which must be equally many"),
        ({"values": [1.0, float("inf")]}, "has no figures, or infinite ones"),
        ({"values": [1.0, -1.0]}, "no pyperf suite"),
    ],
)
def test_figures_that_make_no_sense_are_refused(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    runs: list[dict[str, Any]] = [
        {"values": [1.0, 2.0], "metadata": {"name": str(RUN), "unit": "second", "block": block}}
        for block in range(2)
    ]
    first = runs[0]
    for name, value in change.items():
        (first if name == "values" else first["metadata"])[name] = value
    if "one" in change:
        del runs[1]
    if change.get("block", 0) is None:
        del first["metadata"]["block"]
    document = {"version": "1.0", "benchmarks": [{"runs": runs}]}
    (tmp_path / "crun.json").write_text(json.dumps(document))
    (tmp_path / "environment.json").write_text('{"format": 1, "complete": true}')
    assert text in refused(tmp_path)


def test_who_is_missing_is_named_with_the_reason(usual: Any) -> None:
    results = Results.read(usual.write())
    with pytest.raises(UsageError, match="no figures of runsc: there is no runsc on PATH"):
        results.contender("runsc")
    with pytest.raises(UsageError, match="no figures of youki") as caught:
        results.contender("youki")
    assert "crun" in str(caught.value.hint)


def test_the_newest_folder_is_the_one_that_was_started_last(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no results folder"):
        newest(tmp_path)
    for name, started in (("a", "2026-02-01"), ("b", "2026-01-01")):
        made = make(name)
        made.environment["started"] = started
        made.write()
    assert newest(tmp_path).name == "a"
