"""Bug reports: a folder that shows a failure without the harness, whatever the results hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import cgroups
from seatrial.conformance.cli.main import main
from seatrial.conformance.errors import UsageError
from seatrial.conformance.formats import bug
from seatrial.conformance.formats.matrix import columns_of
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Results
from seatrial.conformance.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.tests.conftest import NewTrial

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View

BROKEN = Path(__file__).parent / "broken"
REGISTRY = Registry.load(requirements_directory())
KILL = "runtime.kill.not-alive-errors"
TIMEOUT_S = 120
#: By broken runtime, a test that it fails, and what carries the program.
SHOWN = {
    "swallows-errors": ("stopped_container_is_an_error", "coreutils"),
    "lies-in-state": ("a_created_container_is_created", "coreutils"),
    "dies-by-signal": ("a_created_container_is_created", "coreutils"),
    "ignores-hostname": ("the_hostname_is_set", "probe"),
    "starts-at-create": ("not_run_by_create", "probe"),
    "leaks-cgroup": ("audit", "coreutils"),
    "leaks-state": ("audit", "coreutils"),
}


@pytest.fixture(scope="module")
def results(good: Adapter, view: View, new_trial: NewTrial) -> Path:
    """What the small suite says of runtimes that are broken on purpose."""
    del good
    trial = new_trial()
    runtimes = [word for name in SHOWN for word in ("--runtime", str(BROKEN / name))]
    options = ("--view", view, "--runtime-timeout", "30", "--results", "results.jsonl")
    assert trial(BROKEN / "trials.py", *runtimes, *options).status == 1
    return trial.folder / "results.jsonl"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Whatever a script did, nothing of it is left."""
    yield
    assert not Path(bug.WORK).exists()
    for each in cgroups.hierarchies():
        assert not (each.path / bug.CGROUP.lstrip("/")).exists()


def failure(results: Path, name: str) -> bug.Failure:
    columns = columns_of([Results.read(results)], REGISTRY)
    of_runtime = [column for column in columns if column.runtime["name"] == name]
    sentence, _ = SHOWN[name]
    found = [
        bug.Failure(column, verdict)
        for column in of_runtime
        for verdict in column.outcome.verdicts
        if verdict.status == "fail" and (verdict.audit if sentence == "audit" else True)
    ]
    return next(each for each in found if sentence == "audit" or sentence in each.verdict.test)


def reproduce(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "reproduce.sh"],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={"PATH": os.environ["PATH"], **environ},
    )


@pytest.mark.parametrize("name", SHOWN)
def test_the_script_shows_the_failure_and_not_where_there_is_none(
    results: Path, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "bug"
    bug.write(failure(results, name), REGISTRY, folder)
    assert (folder / "bundle" / "rootfs" / "probe").exists() == (SHOWN[name][1] == "probe")
    done = reproduce(folder)
    assert done.returncode == 1, done.stdout
    assert done.stderr in {"", "Segmentation fault\n"}  # the shell's word for how a command ended
    assert "the failure is there" in done.stdout
    done = reproduce(folder, RUNTIME=str(BROKEN / "honest"))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "as in the trial" in done.stdout
    done = reproduce(folder, RUNTIME="/no/such/runtime")
    assert (done.returncode, done.stdout) == (2, "")


def test_an_issue_says_what_a_maintainer_needs(results: Path, tmp_path: Path) -> None:
    found = failure(results, "swallows-errors")
    bug.write(found, REGISTRY, tmp_path / "bug")
    text = (tmp_path / "bug" / "issue.md").read_text()
    for each in (
        "# swallows-errors: expected kill of a stopped container is an error\n",
        "(MUST, [runtime.md\\#kill](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/",
        "\nexit status 0",
        f"create --bundle {bug.WORK}/bundle",
        '"/bin/true"',
        "| kernel |",
        "| cgroups |",
        found.column.runtime["sha256"],
    ):
        assert each in text
    # No place of the run's own is left.
    assert "/tmp/pytest" not in re.sub(r"(?m)^\| (runtime|test) .*", "", text)  # noqa: S108
    config = json.loads((tmp_path / "bug" / "bundle" / "config.json").read_text())
    assert config["linux"]["cgroupsPath"].startswith(f"{bug.CGROUP}/")
    evidence = json.loads((tmp_path / "bug" / "result.json").read_text())
    assert evidence["verdict"]["test"] == found.verdict.test
    assert evidence["header"]["spec"] == "1.3.0"


def test_the_command_writes_a_folder(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "bug", str(results), KILL]) == 0
    assert capsys.readouterr() == (f"bug-swallows-errors-{KILL}\n", "")
    names = {path.name for path in (tmp_path / f"bug-swallows-errors-{KILL}").iterdir()}
    assert names == {"issue.md", "reproduce.sh", "bundle", "result.json"}
    assert main(["report", "bug", str(results), KILL]) == 2
    assert capsys.readouterr().err.startswith(
        f"seatrial: cannot write bug-swallows-errors-{KILL}: "
    )


def test_several_failures_are_listed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created = "runtime.state.status-created"
    assert main(["report", "bug", str(results), created]) == 2
    first, *listed, hint = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"seatrial: \d failures are of '{created}':", first)
    assert any("lies-in-state" in line and "is_created[" in line for line in listed)
    assert hint.startswith("  hint: give one of these tests instead")
    tests = [line.partition(": ")[2] for line in listed]
    columns = columns_of([Results.read(results)], REGISTRY)
    assert [str(bug.find(columns, test)) for test in tests] == tests
    assert main(["report", "bug", str(results), "no-such-thing"]) == 2
    assert "no failure in the results is of requirement or test" in capsys.readouterr().err


# Results may hold anything

ESCAPES = ("../outside", "/tmp/outside", "rootfs/../../outside")  # noqa: S108 - refused
INJECTION = "touch /tmp/seatrial-injected"
EVIL = f"'; {INJECTION}; '\n$({INJECTION})`{INJECTION}`"
INJECTED = Path("/tmp/seatrial-injected")  # noqa: S108 - what must not come to be


def of(verdict: Verdict, **changes: Any) -> bug.Failure:
    runtime = {
        "name": EVIL,
        "path": "/bin/true",
        "version": EVIL,
        "sha256": EVIL,
        "view": "host",
        "config_version": "1.3.0",
    }
    header = {
        "suite": {"name": EVIL, "version": EVIL},
        "spec": "1.3.0",
        "started": EVIL,
        "environment": {"kernel": EVIL, "distribution": EVIL, "cgroups": {"mode": EVIL}},
        "runtimes": [runtime | changes],
    }
    read = Results(header, (replace(verdict, runtime=EVIL),), {"complete": True})
    (column,) = columns_of([read], REGISTRY)
    return bug.Failure(column, column.outcome.verdicts[0])


def verdict(*steps: dict[str, Any], text: str = EVIL) -> Verdict:
    trace = {"work": "/tmp/w", "cgroup": "/c", "probe": "/p", "steps": list(steps)}  # noqa: S108
    return Verdict(
        f"a.py::test_{text}", "x", (KILL,), "fail", kind="wrong", message=text, trace=trace
    )  # fmt: skip


def test_nothing_in_results_is_run_by_the_script(tmp_path: Path) -> None:
    files = [
        {"path": "config.json", "type": "file", "text": EVIL},
        {"path": f"rootfs/{EVIL.replace('/', '')}", "type": "file", "mode": 0o600, "text": EVIL},
    ]
    found = of(
        verdict(
            {"do": "bundle", "path": "/tmp/w/bundle-1", "files": files, "log": [EVIL]},  # noqa: S108
            {
                "do": "run",
                "argv": ["/bin/true", EVIL],
                "cwd": "/",
                "exit_status": 0,
                "stdout": EVIL,
            },
            {"do": "run", "argv": ["/bin/true", "create", "--bundle", EVIL, EVIL], "cwd": "/"},
            {"do": "wait", "container": EVIL, "seen": [EVIL]},
            {"do": "line", "container": EVIL, "text": EVIL},
        )
    )
    bug.write(found, REGISTRY, tmp_path / "bug")
    script = tmp_path / "bug" / "reproduce.sh"
    assert subprocess.run(["/bin/sh", "-n", script], check=False).returncode == 0
    assert bug.default_folder(found).name == str(bug.default_folder(found))
    if os.geteuid() == 0 and shutil.which("unshare"):
        reproduce(tmp_path / "bug")
    assert not INJECTED.exists()


@pytest.mark.parametrize("path", ESCAPES)
def test_no_file_is_written_outside_of_the_folder(tmp_path: Path, path: str) -> None:
    files = [{"path": path, "type": "file", "text": "x"}]
    found = of(verdict({"do": "bundle", "path": "/tmp/w/bundle-1", "files": files}))  # noqa: S108
    with pytest.raises(UsageError, match="the results have a file of the bundle at"):
        bug.write(found, REGISTRY, tmp_path / "bug")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("bundle", ["/tmp/w/../outside", "/elsewhere", "/tmp/w/a/b"])  # noqa: S108
def test_no_bundle_is_written_outside_of_the_folder(tmp_path: Path, bundle: str) -> None:
    files = [{"path": "config.json", "type": "file", "text": "{}"}]
    found = of(verdict({"do": "bundle", "path": bundle, "files": files}))
    bug.write(found, REGISTRY, tmp_path / "bug")
    assert (tmp_path / "bug" / "bundle" / "config.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"bug"}


def test_a_link_in_a_bundle_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    files = [
        {"path": "rootfs", "type": "symlink", "target": str(outside)},
        {"path": "rootfs/x", "type": "file", "text": "x"},
    ]
    found = of(verdict({"do": "bundle", "path": "/tmp/w/bundle-1", "files": files}))  # noqa: S108
    with pytest.raises(UsageError):
        bug.write(found, REGISTRY, tmp_path / "bug")
    assert not [*outside.iterdir()]


def test_results_without_a_trace_are_refused() -> None:
    with pytest.raises(UsageError, match="the results do not say what"):
        bug.write(of(replace(verdict(), trace=None)), REGISTRY, Path("never"))
