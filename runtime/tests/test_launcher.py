"""The launcher does start, state, kill and delete as Python does, and without Python."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.oci import _core, runtime
from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Iterator

LAUNCHER = Path(_core.__file__).parent / "bin" / "seatrial-oci"
PYTHON = "from seatrial.oci.command import main; raise SystemExit(main())"
WAITS = "int pause(void); int main(void) { return pause(); }"
_numbers = itertools.count()


def places(group: str) -> Iterator[Path]:
    """Yield where a cgroup is: others come and go meanwhile, so nothing else is looked at."""
    hierarchies = Path("/sys/fs/cgroup")
    yield from hierarchies.glob(f"*{group}")
    yield from hierarchies.glob(group.lstrip("/"))


class Bundle:
    """A bundle, the state root of its containers, and the ways to call the runtime."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        self.root = folder / "state"
        (folder / "rootfs").mkdir()
        shutil.copy(program, folder / "rootfs" / "waits")
        # Python is found beside the launcher: here it finds none.
        (folder / "alone").mkdir()
        self.alone = str(folder / "alone" / "seatrial-oci")
        shutil.copy(LAUNCHER, self.alone)
        self.groups = f"/seatrial-launcher-{os.getpid()}"

    def create(self, **config: Any) -> str:
        identifier = f"l{os.getpid()}-{next(_numbers)}"
        document = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["/waits"]},
            "linux": {
                "cgroupsPath": f"{self.groups}/{identifier}",
                "namespaces": [{"type": kind} for kind in ("mount", "pid", "ipc")],
            },
            **config,
        }
        (self.folder / "config.json").write_text(json.dumps(document), "utf-8")
        os.close(runtime.create(identifier, bundle=str(self.folder), root=str(self.root)).pidfd)
        return identifier

    def launch(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._call(self.alone, *words)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._call(sys.executable, "-I", "-c", PYTHON, *words)

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        at = 1 if words[0] == self.alone else 4
        words = (*words[:at], "--root", str(self.root), *words[at:])
        return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "waits"
    command = ["cc", "-static", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=WAITS, text=True, check=True)
    return path


@pytest.fixture
def bundle(tmp_path: Path, program: Path) -> Iterator[Bundle]:
    found = Bundle(tmp_path, program)
    yield found
    for identifier in os.listdir(found.root) if found.root.exists() else []:
        runtime.delete(identifier, root=str(found.root), force=True)
    for parent in places(found.groups):
        parent.rmdir()


def status(bundle: Bundle, identifier: str) -> str:
    done = bundle.launch("state", identifier)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["status"])


def test_a_container_lives_without_python(bundle: Bundle) -> None:
    identifier = bundle.create()
    assert status(bundle, identifier) == "created"
    assert bundle.launch("start", identifier).returncode == 0
    assert status(bundle, identifier) == "running"
    pid = json.loads(bundle.launch("state", identifier).stdout)["pid"]
    assert bundle.launch("kill", identifier, "KILL").returncode == 0
    os.waitpid(pid, 0)
    assert status(bundle, identifier) == "stopped"
    assert bundle.launch("delete", identifier).returncode == 0
    assert os.listdir(bundle.root) == []
    assert not list(places(f"{bundle.groups}/{identifier}"))


@pytest.mark.parametrize(
    "annotations", [{}, {"a.b": "c", "": "", 'ä\n"\\': "😀\x01"}], ids=["none", "some"]
)
@pytest.mark.parametrize("started", [False, True])
def test_the_state_is_printed_as_python_prints_it(
    bundle: Bundle, annotations: dict[str, str], *, started: bool
) -> None:
    identifier = bundle.create(annotations=annotations)
    if started:
        assert bundle.launch("start", identifier).returncode == 0
    ours, pythons = bundle.launch("state", identifier), bundle.python("state", identifier)
    assert ours.stdout == pythons.stdout
    assert json.loads(ours.stdout).get("annotations", {}) == annotations


@pytest.mark.parametrize("name", ["KILL", "SIGKILL", "sigkill", "kill", "9"])
def test_a_signal_has_its_name_or_number(bundle: Bundle, name: str) -> None:
    identifier = bundle.create()
    pid = json.loads(bundle.launch("state", identifier).stdout)["pid"]
    assert bundle.launch("kill", identifier, name).returncode == 0
    _, ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended) == -9


def test_a_running_container_is_deleted_by_force(bundle: Bundle) -> None:
    identifier = bundle.create()
    bundle.launch("start", identifier)
    done = bundle.launch("delete", "--force", identifier)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(bundle.root) == []


@pytest.mark.parametrize(
    "words",
    [
        ["delete", "{id}"],
        ["start", "none"],
        ["state", "../{id}"],
        ["state", "{id}", "more"],
        ["kill", "{id}", "NONSENSE"],
        ["kill", "{id}", "65"],
        ["kill", "--all", "{id}", "KILL"],
        ["delete", "-x", "{id}"],
        ["list"],
        [],
    ],
)
def test_what_is_not_plain_is_handed_over_and_nothing_is_touched(
    bundle: Bundle, words: list[str]
) -> None:
    identifier = bundle.create()
    before = bundle.launch("state", identifier).stdout
    done = bundle.launch(*(word.format(id=identifier) for word in words))
    assert done.returncode == 1
    assert done.stderr.startswith("seatrial-oci: cannot execute ")
    assert bundle.launch("state", identifier).stdout == before


def test_what_the_record_says_of_another_process_of_that_pid_is_not_true(bundle: Bundle) -> None:
    identifier = bundle.create()
    record = bundle.root / identifier / "record"
    record.write_bytes(re.sub(rb"born=\d+", b"born=1", record.read_bytes()))
    assert status(bundle, identifier) == "stopped"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_a_failing_hook_is_told_as_python_tells_it(bundle: Bundle, kind: str, form: str) -> None:
    hooks = {kind: [{"path": "/waits" if kind == "startContainer" else "/bin/false"}]}
    if kind == "startContainer":
        hooks[kind][0]["path"] = "/none"
    told = []
    for call in (bundle.launch, bundle.python):
        identifier = bundle.create(hooks=hooks)
        log = bundle.folder / f"log-{identifier}"
        done = call("--log", str(log), "--log-format", form, "start", identifier)
        assert done.returncode == 1
        assert os.listdir(bundle.root) == []
        line = re.sub(r"\d{4}-[-0-9:TZ]+", "NOW", log.read_text("utf-8"))
        told.append((done.stderr, line))
    assert told[0] == told[1]
    assert f"(config.json#/hooks/{kind}/0)" in told[0][0]


def test_a_failing_poststop_hook_is_warned_of_as_python_warns_of_it(bundle: Bundle) -> None:
    hooks = {"poststop": [{"path": "/bin/false"}, {"path": "/bin/true"}]}
    told = []
    for call in (bundle.launch, bundle.python):
        identifier = bundle.create(hooks=hooks)
        done = call("delete", "--force", identifier)
        assert (done.returncode, os.listdir(bundle.root)) == (0, [])
        told.append(done.stderr)
    warning = "seatrial-oci: warning: call poststop hook /bin/false: it failed"
    assert told == [f"{warning} (config.json#/hooks/poststop/0)\n"] * 2


def test_a_program_that_is_not_there_is_told_as_python_tells_it(bundle: Bundle) -> None:
    told = []
    for call in (bundle.launch, bundle.python):
        identifier = bundle.create(process={"cwd": "/", "args": ["/waits"]})
        (bundle.folder / "rootfs" / "waits").rename(bundle.folder / "rootfs" / "gone")
        done = call("start", identifier)
        (bundle.folder / "rootfs" / "gone").rename(bundle.folder / "rootfs" / "waits")
        assert done.returncode == 1
        told.append(done.stderr)
    assert told[0] == told[1]
    assert "no such file or directory" in told[0]


def test_a_damaged_plan_is_not_executed(bundle: Bundle) -> None:
    identifier = bundle.create()
    plan = bundle.root / identifier / "plan"
    whole = plan.read_bytes()
    plan.write_bytes(whole[:-1])
    assert bundle.launch("start", identifier).stderr.startswith("seatrial-oci: cannot execute ")
    with pytest.raises((OCIError, ValueError)):
        runtime.start(identifier, root=str(bundle.root))
    plan.write_bytes(whole)
