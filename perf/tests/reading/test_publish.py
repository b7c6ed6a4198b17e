"""``seatrial bench publish``: what others get to see of a run, and what README says of it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf.cli.bench import add_parser
from seatrial.perf.results import Results

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]


def publish(*words: object) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["bench", "publish", *map(str, words)])
    return int(arguments.run(arguments))


@pytest.fixture
def run(usual: Any) -> Any:
    """A run that says more of its machine than others are to know."""
    usual.environment |= {
        "host": "flagship",
        "boot_id": "e22c00ce",
        "options": {"runtime": ["/home/me/build/mine", "crun"], "case": None},
        "notes": ["cannot read /home/me/thesis: No such file"],
    }
    usual.skipped["mine"] = "/home/me/build/mine --version: exit status 4"
    usual.errors.append({"block": 0, "contender": "crun", "error": "open /home/me/x: no"})
    return usual


def test_the_machines_name_and_paths_are_not_in_it(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert publish(run.write(), "--to", folder) == 0
    published = Results.read(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    texts = [path.read_text() for path in paths if path.suffix not in {".gz", ".xz"}]
    assert len(texts) > 5
    for text in texts:
        for secret in ("flagship", "e22c00ce", "/home", str(tmp_path)):
            assert secret not in text
    assert published.environment["options"]["runtime"] == ["mine", "crun"]
    assert published.environment["notes"] == ["cannot read thesis: No such file"]
    assert published.failures == {"crun": 1}


def test_nothing_else_is_lost(run: Any, tmp_path: Path) -> None:
    before = Results.read(run.write())
    publish(before.path, "--to", tmp_path / "out")
    after = Results.read(tmp_path / "out")
    assert after.contenders == before.contenders
    words = ("compare_to", tmp_path / "out/crun.json.gz", tmp_path / "out/runc.json.gz")
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *words], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_readme_gets_the_tables_between_its_marks(run: Any, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")
    publish(run.write(), "--to", tmp_path / "out", "--readme", readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "\nold\n" not in text
    for part in ("On Made-up CPU", "| seatrial-oci |", "run, plan kept", "A/A pair are "):
        assert part in text


def test_a_readme_without_marks_is_left_alone(run: Any, tmp_path: Path, capsys: Capture) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("mine\n")
    assert publish(run.write(), "--to", tmp_path / "out", "--readme", readme) == 2
    assert "has no place for it" in capsys.readouterr().err
    assert readme.read_text() == "mine\n"


def test_a_run_that_is_not_fit_is_refused_unless_it_says_so(
    run: Any, tmp_path: Path, capsys: Capture
) -> None:
    run.environment |= {"publishable": False, "reasons": ["the load changed"]}
    folder = run.write()
    assert publish(folder, "--to", tmp_path / "out") == 1
    assert "is not fit to be published: the load changed" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert publish(folder, "--to", tmp_path / "out", "--anyway") == 0
    assert "NOT PUBLISHABLE" in (tmp_path / "out/report.md").read_text()


def test_a_folder_that_is_there_is_not_written_over(run: Any, capsys: Capture) -> None:
    folder = run.write()
    assert publish(folder, "--to", folder) == 2
    assert "is there already" in capsys.readouterr().err
    assert json.loads((folder / "environment.json").read_text())["host"] == "flagship"
