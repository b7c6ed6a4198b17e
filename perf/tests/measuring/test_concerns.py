"""Which failures of the conformance suite concern what is timed."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf import configs
from seatrial.perf.concerns import ROWS, concerns
from seatrial.perf.contenders import Contender
from seatrial.perf.guard import Conformance

if TYPE_CHECKING:
    from pathlib import Path

MASKED = ["linux.masked-paths.unreadable"]


def verdict(config: Any, requirements: list[str] = MASKED) -> dict[str, Any]:
    test = "suite/test_a.py::test_a_path_is_hidden[mine]"
    return {
        "test": test,
        "runtime": "mine",
        "requirements": requirements,
        "status": "fail",
        "config": config,
    }


def plain(**more: Any) -> configs.Config:
    return configs.finished(configs.plain(), arguments=["1"], cgroup="/x") | more


def test_each_row_is_in_the_registry(pytestconfig: pytest.Config) -> None:
    ids = [
        row["id"]
        for path in (pytestconfig.rootpath / "conformance/requirements").glob("*.toml")
        for row in tomllib.loads(path.read_text("utf-8")).get("requirement", [])
    ]
    for row in ROWS:
        assert any(each.startswith(row) for each in ids), row


def test_the_same_work_undone_concerns_it() -> None:
    assert concerns(verdict(plain()))
    assert concerns(verdict(plain(hostname="other", annotations={"a": "b"})))
    assert concerns(verdict(None))


def test_work_that_no_bundle_asks_for_does_not() -> None:
    config = plain()
    config["linux"]["namespaces"].append({"type": "time"})
    assert not concerns(verdict(config))
    assert not concerns(verdict(plain(hooks={"poststop": [{"path": "/x"}]})))
    assert not concerns(verdict({"ociVersion": "1.0.0"}))
    assert not concerns(verdict(plain(), ["config.hooks.timeout-positive"]))


def test_a_known_failure_that_concerns_it_marks_the_runtime(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    lines = [
        {"type": "header", "runtimes": [{"name": "mine", "sha256": "abc"}]},
        verdict(plain()),
        {"type": "footer", "complete": True, "exit_status": 0},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Conformance([path]).wrong(Contender("mine", "/mine", "1", "abc")) == (
        "it fails tests of the conformance suite that its bundles rest on:"
        " test_a_path_is_hidden[mine]"
    )
    assert Conformance([path]).wrong(Contender("other", "/other", "1", "def")) is None


@pytest.mark.parametrize("name", ["crun", "runc", "seatrial-oci"])
def test_the_published_verdicts_allow_to_compare(name: str, pytestconfig: pytest.Config) -> None:
    path = pytestconfig.rootpath / f"results/conformance/{name}.jsonl"
    with path.open(encoding="utf-8") as file:
        sha256 = json.loads(file.readline())["runtimes"][0]["sha256"]
    assert Conformance([path]).wrong(Contender(name, f"/{name}", "1", sha256)) is None
