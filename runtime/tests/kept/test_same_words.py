"""What the launcher does by a kept plan, Python does too, in the same words."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from keeping import NO_PYTHON, Bundle, new_id
from mounting import COMMAND

from seatrial.oci import kept, runtime
from seatrial.oci.store import Folder

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make these containers")


def outcomes(bundle: Bundle, *words: str, identifier: str = "same") -> list[tuple[int, str, str]]:
    """Call Python and the launcher alone; return exit status, standard output and error of both."""
    calls = (bundle.python, bundle.launch)
    done = [call(*words, identifier) for call in calls]
    return [(each.returncode, each.stdout, each.stderr) for each in done]


def test_the_exit_status_is_the_programs(bundle: Bundle) -> None:
    bundle.configure("9")
    bundle.keep()
    assert outcomes(bundle, "run") == [(9, "", "")] * 2
    assert os.listdir(bundle.root) == []


def test_what_create_writes_down_is_the_same(bundle: Bundle) -> None:
    bundle.configure("wait", annotations={"a.b": 'ä\n"', "": "x"})
    bundle.keep()
    records, files, plans = [], [], []
    for call in (bundle.python, bundle.launch):
        pid_file = bundle.folder / "pid"
        assert call("create", "--pid-file", str(pid_file), "--preserve-fds=0", "w").returncode == 0
        folder = Folder(str(bundle.root), "w")
        record = folder.record()
        assert pid_file.read_text() == str(record.pid)
        pid_file.unlink()
        assert runtime.state("w", root=str(bundle.root))["status"] == "created"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", record.created)
        raw = folder.read("record").replace(record.created.encode(), b"")
        raw = raw.replace(b"pid=%d\0" % record.pid, b"").replace(b"born=%d\0" % record.born, b"")
        records.append(raw)
        plans.append(folder.read("plan"))
        files.append((sorted(os.listdir(folder.path)), folder.read("config.json")))
        assert call("start", "w").returncode == 0
        assert runtime.state("w", root=str(bundle.root))["status"] == "running"
        assert call("delete", "--force", "w").returncode == 0
    assert records[0] == records[1]
    assert plans[0] == plans[1]
    assert files[0] == files[1]


def test_run_hands_signals_on_and_deletes(bundle: Bundle) -> None:
    bundle.configure("wait")
    bundle.keep()
    command = [bundle.alone, "--root", str(bundle.root), "run", "--bundle", str(bundle.folder), "s"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, kept.SWITCH: "on"}
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "waits\n"
        run.send_signal(signal.SIGUSR1)
        assert run.stdout.readline() == "told\n"
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 3
    assert os.listdir(bundle.root) == []


def test_a_program_that_a_signal_ends_counts_from_128(bundle: Bundle) -> None:
    bundle.configure("wait")
    bundle.keep()
    assert bundle.launch("run", "--detach", "d").returncode == 0
    assert runtime.state("d", root=str(bundle.root))["status"] == "running"
    assert bundle.launch("delete", "--force", "d").returncode == 0
    command = [bundle.alone, "--root", str(bundle.root), "run", "--keep", "--bundle",
               str(bundle.folder), "k"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, kept.SWITCH: "on"}
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "waits\n"
        os.kill(runtime.state("k", root=str(bundle.root))["pid"], signal.SIGKILL)
        assert run.wait(60) == 128 + signal.SIGKILL
    assert runtime.state("k", root=str(bundle.root))["status"] == "stopped"


def test_what_is_left_in_the_cgroups_ends_with_the_container(bundle: Bundle) -> None:
    bundle.configure("leave", linux={"namespaces": ("mount", "uts")})
    bundle.keep()
    # With processes left it is Python that ends them; here there is none, and the run says so.
    done = bundle.launch("run", "left")
    assert (done.returncode, NO_PYTHON in done.stderr) == (1, True)
    assert bundle.python("delete", "--force", "left").returncode == 0


@pytest.mark.parametrize("kinds", [("mount", "uts"), ("uts",)], ids=" and ".join)
def test_what_a_container_is_until_start_cannot_be_written_to(
    bundle: Bundle, kinds: tuple[str, ...]
) -> None:
    bundle.configure(linux={"namespaces": kinds})
    bundle.keep()
    assert bundle.launch("create", "c").returncode == 0
    # By this name whoever is in the container too gets hold of what is executed there.
    executable = f"/proc/{runtime.state('c', root=str(bundle.root))['pid']}/exe"
    assert os.statvfs(executable).f_flag & os.ST_RDONLY
    assert bundle.launch("delete", "--force", "c").returncode == 0


def broken_bind(bundle: Bundle) -> None:
    source = bundle.folder / "source"
    source.mkdir()
    mount = {"destination": "/x", "source": str(source), "type": "none", "options": ["bind"]}
    bundle.configure(mounts=[mount])
    bundle.keep()
    source.rmdir()


def no_such_filesystem(bundle: Bundle) -> None:
    bundle.configure(mounts=[{"destination": "/x", "source": "x", "type": "nosuchfs"}])
    bundle.keep()


def no_such_program(bundle: Bundle) -> None:
    bundle.configure(process={"args": ["/nothing"]})
    bundle.keep()


def no_such_folder(bundle: Bundle) -> None:
    bundle.configure(process={"cwd": "/program"})
    bundle.keep()


def failing_hook(kind: str) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        log = bundle.folder / "log"
        stop = {"path": "/bin/sh", "args": ["sh", "-c", f"cat >>{log}"]}
        bundle.configure(hooks={kind: [{"path": "/bin/false"}], "poststop": [stop]})
        bundle.keep()

    change.__name__ = kind
    return change


@pytest.mark.parametrize(
    "change",
    [broken_bind, no_such_filesystem, no_such_program, no_such_folder,
     *map(failing_hook, ("prestart", "createRuntime", "poststart"))],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_a_failure_is_told_as_python_tells_it(
    bundle: Bundle, change: Callable[[Bundle], None]
) -> None:
    change(bundle)
    told = outcomes(bundle, "run")
    assert told[0] == told[1]
    assert told[0][0] == 1
    assert told[0][2].startswith("seatrial-oci: ")
    assert os.listdir(bundle.root) == []
    log = bundle.folder / "log"
    if log.exists():
        first, second = log.read_text().replace("}{", "}\n{").split("\n")
        assert json.loads(first) == json.loads(second)


def test_a_failing_poststart_hook_ends_all_that_is_in_the_cgroups(bundle: Bundle) -> None:
    failing_hook("poststart")(bundle)
    assert bundle.launch("create", "one").returncode == 0
    program = str(bundle.folder / "rootfs" / "program")
    with subprocess.Popen([program, "wait"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        for procs in Path("/sys/fs/cgroup").glob(f"*{bundle.groups}/one/cgroup.procs"):
            procs.write_text(str(other.pid))
        words = [COMMAND, "--root", str(bundle.root), "start", "one"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        assert "call poststart hook /bin/false: it failed (config.json#/hooks/" in done.stderr
        assert other.wait(60) == -signal.SIGKILL
    assert os.listdir(bundle.root) == []


def test_warnings_are_given_again(bundle: Bundle) -> None:
    sets = {"bounding": ["CAP_NO_SUCH"], "permitted": ["CAP_CHOWN"], "effective": ["CAP_KILL"]}
    bundle.configure(process={"capabilities": sets})
    bundle.keep()
    told = outcomes(bundle, "run")
    assert told[0] == told[1]
    assert "CAP_NO_SUCH is unknown" in told[0][2]
    log = bundle.folder / "log"
    lines = []
    for call in (bundle.python, bundle.launch):
        done = call("--log", str(log), "run", new_id())
        assert (done.returncode, done.stderr) == (0, "")
        lines.append([line.partition(" ")[2] for line in log.read_text().splitlines()])
        log.unlink()
    assert lines[0] == lines[1]
    assert len(lines[0]) == 2


def test_an_id_that_is_taken_is_for_python_to_refuse(bundle: Bundle) -> None:
    bundle.keep()
    assert bundle.launch("create", "one").returncode == 0
    before = (bundle.root / "one" / "record").read_bytes()
    assert NO_PYTHON in bundle.launch("run", "one").stderr
    assert (bundle.root / "one" / "record").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [("--systemd-cgroup", "run"), ("run", "--console-socket", "/x"), ("run", "--pidfd-socket=x"),
     ("run", "--preserve-fds=x"), ("create", "--detach"), ("run", "--bundle", "/"),
     ("run", "--bundle="), ("run", "--help")],
    ids=" ".join,
)  # fmt: skip
def test_what_is_unusual_is_for_python(bundle: Bundle, words: tuple[str, ...]) -> None:
    bundle.keep()
    done = subprocess.run(
        [bundle.alone, "--root", str(bundle.root), *words, "u"],
        cwd=bundle.folder, capture_output=True, text=True, check=False,
        env={**os.environ, kept.SWITCH: "on"},
    )  # fmt: skip
    assert NO_PYTHON in done.stderr
    assert os.listdir(bundle.root) == []


def test_a_pid_file_that_cannot_be_written_leaves_nothing(bundle: Bundle) -> None:
    bundle.keep()
    done = bundle.launch("run", "--pid-file", "/nowhere/pid", "p")
    assert done.stderr == "seatrial-oci: cannot write /nowhere/pid: no such file or directory\n"
    assert done.returncode == 1
    assert os.listdir(bundle.root) == []


def test_the_program_in_the_container_cannot_write_to_what_it_was_executed_from(
    bundle: Bundle,
) -> None:
    bundle.keep()
    assert bundle.launch("create", "x").returncode == 0
    pid = runtime.state("x", root=str(bundle.root))["pid"]
    before = Path(bundle.alone).read_bytes()
    with pytest.raises(OSError, match=r"Read-only|Text file busy"):
        os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
    # Reopened once nothing executes it: by then it is the mount alone that keeps it.
    held = os.open(f"/proc/{pid}/exe", os.O_PATH)
    runtime.delete("x", root=str(bundle.root), force=True)
    try:
        with pytest.raises(OSError, match="Read-only"):
            os.open(f"/proc/self/fd/{held}", os.O_WRONLY)
    finally:
        os.close(held)
    assert Path(bundle.alone).read_bytes() == before
