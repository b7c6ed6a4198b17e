"""``seatrial bench report``: text, Markdown, the page, the plots; pyperf on the same files."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf.cli.bench import add_parser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Capture = pytest.CaptureFixture[str]
EVIL = "</svg></title><script>alert(1)</script><img src=x>&\u202e\x1b[31m"
SVG = "{http://www.w3.org/2000/svg}"


def report(*words: str | Path) -> int:
    """Run ``seatrial bench report``."""
    parser = argparse.ArgumentParser(prog="seatrial")
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["bench", "report", *map(str, words)])
    return int(arguments.run(arguments))


def test_the_text_has_all_contenders_beside_the_floor(usual: Any, capsys: Capture) -> None:
    assert report(usual.write()) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    head = next(line for line in lines if line.startswith("case"))
    assert re.split(r"\s{2,}", head) == [
        "case", "contender", "note", "median", "95 %", "p90", "p99", "× floor", "× crun", "× runc",
        "CPU", "minor faults",
    ]  # fmt: skip
    first = next(number for number, line in enumerate(lines) if line.startswith("plain"))
    assert "floor" in lines[first]
    names = [line.split()[0] for line in lines[first + 1 : first + 5]]
    assert names == ["seatrial-oci", "seatrial-oci-again", "crun", "runc"]
    assert re.search(r"seatrial-oci .* 1\.6\d× \[1\.\d\d, 1\.\d\d\] ", lines[first + 1])
    assert "A/A (a contender against itself" in out
    assert "runsc      all   there is no runsc on PATH" in out
    assert "NOT PUBLISHABLE" not in out


def test_what_is_wrong_with_a_run_comes_first(usual: Any, capsys: Capture) -> None:
    usual.environment |= {
        "complete": False,
        "publishable": False,
        "reasons": ["the load changed from 0.1 to 4"],
        "not_comparable": {"runc": "fails 2 requirements with this bundle"},
    }
    usual.errors.append({"contender": "crun", "error": "exit 1"})
    report(usual.write())
    verdicts = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert verdicts == [
        "NOT PUBLISHABLE: the load changed from 0.1 to 4",
        "INCOMPLETE: the run did not come to its end; this is what was measured till then",
        "NOT COMPARABLE: runc: fails 2 requirements with this bundle",
        "FAILED SAMPLES: crun: 1, which are in no figure here",
    ]
    report(usual.path, "--format", "markdown")
    out = capsys.readouterr().out
    assert "> **NOT PUBLISHABLE:** the load changed" in out
    assert "| runc | NOT COMPARABLE |" in out
    assert "| crun | 1 failed |" in out


def test_without_a_pair_nothing_is_publishable(make: Callable[..., Any], capsys: Capture) -> None:
    made = make("alone")
    made.lifecycle("crun", 0.005)
    report(made.write())
    assert "NOT PUBLISHABLE: there is no A/A pair" in capsys.readouterr().out


def test_a_pair_that_is_apart_is_said(make: Callable[..., Any], capsys: Capture) -> None:
    made = make("apart")
    made.lifecycle("crun", 0.005)
    made.lifecycle("crun-again", 0.0054)
    report(made.write())
    assert "more than 3 % apart" in capsys.readouterr().out


def test_against_names_what_ratios_are_to(usual: Any, capsys: Capture) -> None:
    folder = usual.write()
    assert report(folder, "--against", "runc") == 0
    out = capsys.readouterr().out
    assert "× runc" in out
    assert "× crun" not in out
    assert report(folder, "--against", "youki") == 2
    assert "no figures of youki" in capsys.readouterr().err


def test_a_folder_gets_the_page_and_every_plot(usual: Any, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert report(usual.write(), "-o", f"{folder}/") == 0
    assert (folder / "report.md").read_text().startswith("# Container start-up: Made-up CPU")
    names = {path.stem for path in (folder / "plots").glob("*.svg")}
    assert names >= {
        "ecdf-lifecycle-plain-run-wall",
        "phases-lifecycle-plain-whole",
        "ratios-lifecycle-to-floor",
        "ratios-lifecycle-to-crun",
        "scaling-starts-a-second",
        "scaling-p99-of-one-start",
        "drift-lifecycle",
    }
    page = (folder / "report.html").read_text()
    assert page.count('role="img"') == len(names)
    assert page.count("The figures as a table") == len(names)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    for path in (folder / "plots").glob("*.svg"):
        root = ET.parse(path).getroot()  # noqa: S314 - made by us a moment ago
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert title.text
        assert description.text
        labels = root.attrib["aria-labelledby"].split()
        assert labels == [title.attrib["id"], description.attrib["id"]]
        assert "prefers-color-scheme: dark" in ET.tostring(root, encoding="unicode")


def _inside(root: ET.Element, width: float, height: float) -> None:
    for each in root.iter():
        for letter, limit in (("x", width), ("y", height)):
            for name in {letter, f"{letter}1", f"{letter}2", f"c{letter}"} & each.attrib.keys():
                assert -1 <= float(each.attrib[name]) <= limit + 1, ET.tostring(each)


def test_nothing_is_drawn_outside(usual: Any, tmp_path: Path) -> None:
    usual.environment["cpu_model"] = "x"
    report(usual.write(), "-o", f"{tmp_path}/out/")
    for path in (tmp_path / "out" / "plots").glob("*.svg"):
        root = ET.parse(path).getroot()  # noqa: S314 - made by us a moment ago
        _inside(root, float(root.attrib["width"]), float(root.attrib["height"]))


@pytest.mark.parametrize("name", ["a.html", "a.md", "a.txt"])
def test_text_of_results_is_text(make: Callable[..., Any], tmp_path: Path, name: str) -> None:
    made = make("evil")
    made.lifecycle("crun", 0.005)
    made.environment |= {"cpu_model": EVIL, "nested": {EVIL: [EVIL]}, "reasons": [EVIL]}
    made.skipped[EVIL] = EVIL
    output = tmp_path / name
    assert report(made.write(), "-o", output) == 0
    text = output.read_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    if name == "a.html":
        assert "<script" not in text
        assert "<img" not in text
        assert "&lt;script&gt;" in text


def test_an_evil_case_is_text_in_plots_too(make: Callable[..., Any], tmp_path: Path) -> None:
    made = make("evil")
    case = EVIL.replace("/", "-").replace("\x1b", "")
    made.lifecycle("crun", 0.005, case=case)
    assert report(made.write(), "-o", f"{tmp_path}/out/") == 0
    for path in (tmp_path / "out").rglob("*.svg"):
        ET.parse(path)  # noqa: S314 - made by us a moment ago
        assert "<script" not in path.read_text()


def test_an_empty_interrupted_run_is_shown(make: Callable[..., Any], capsys: Capture) -> None:
    made = make("early")
    made.environment["complete"] = False
    assert report(made.write()) == 0
    assert "INCOMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("blocks", [1, 2, 7])
@pytest.mark.parametrize("samples", [1, 2])
def test_runs_of_any_size_can_be_shown(
    make: Callable[..., Any], tmp_path: Path, blocks: int, samples: int
) -> None:
    made = make("small", blocks=blocks, samples=samples)
    made.lifecycle("crun", 0.005)
    made.lifecycle("floor", 0.005)
    made.add("crun", "density/1/memory", dict.fromkeys(range(blocks), [1e6] * samples), "byte")
    made.scaling("crun", 0.005)
    assert report(made.write(), "-o", tmp_path / "a.html") == 0


def test_what_cannot_be_written_is_said(usual: Any, tmp_path: Path, capsys: Capture) -> None:
    folder = usual.write()
    assert report(folder, "-o", tmp_path / "a.pdf") == 2
    assert "could be anything" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert report(folder, "-o", tmp_path / "file" / "a.md") == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["stats", "hist", "show", "metadata", "check"])
def test_pyperf_reads_every_file(usual: Any, command: str) -> None:
    folder = usual.write()
    for name in usual.benchmarks:
        ended = _pyperf(command, folder / f"{name}.json")
        assert ended.stdout, name


def test_pyperf_compares_them(usual: Any) -> None:
    folder = usual.write()
    files = [folder / f"{name}.json" for name in ("crun", "runc", "seatrial-oci")]
    assert "slower" in _pyperf("compare_to", *files, "--table").stdout


def _pyperf(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyperf", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
