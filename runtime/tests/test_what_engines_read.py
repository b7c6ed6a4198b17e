"""What engines above the runtime read of it: words, exit statuses, the log, where errors come."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.oci import command, config, errors, foreground, log, update

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
#: What is in the bundle's root: the host's own programs.
BOUND = ("/bin", "/sbin", "/usr", "/lib", "/lib64")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle without a config."""
    (tmp_path / "rootfs" / "plain").mkdir(parents=True)
    (tmp_path / "rootfs" / "text").write_text("text", "utf-8")
    return tmp_path


@pytest.fixture
def identifier(bundle: Path) -> Iterator[str]:
    """Return the id of a container that is deleted in the end."""
    name = f"engines{os.getpid()}"
    yield name
    oci(bundle, "delete", "--force", name)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/seatrial-engines/{name}"))


def oci(bundle: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as containerd does, with a log in JSON."""
    # Files: a container holds its streams open, and a pipe would be read until it ends.
    with (bundle / "out").open("w+") as out, (bundle / "err").open("w+") as err:
        done = subprocess.run(
            [
                *(COMMAND, "--root", str(bundle / "state")),
                *("--log", str(bundle / "log.json"), "--log-format", "json", *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=False,
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())


def configure(bundle: Path, identifier: str, *args: str, **members: Any) -> None:
    """Write a config whose program is ``args``."""
    process = {
        "cwd": "/",
        "args": args,
        "env": ["PATH=/usr/bin:/bin"],
        **members.pop("process", {}),
    }
    mounts = [
        {"destination": path, "type": "none", "source": path, "options": ["rbind", "ro"]}
        for path in BOUND
        if os.path.isdir(path)
    ]
    mounts += [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["newinstance", "ptmxmode=0666"],
        },
    ]
    content = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": process,
        "mounts": mounts,
        "linux": {
            "cgroupsPath": f"/seatrial-engines/{identifier}",
            "namespaces": [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts")],
        },
        **members,
    }
    (bundle / "config.json").write_text(json.dumps(content), "utf-8")


def create(bundle: Path, identifier: str) -> subprocess.CompletedProcess[str]:
    return oci(bundle, "create", "--bundle", str(bundle), identifier)


# A program that cannot be executed


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/none", "find /none: no such file or directory (config.json#/process/args/0)"),
        ("none", "find none in PATH (/usr/bin:/bin): no such file or directory"),
        ("/text/below", "find /text/below: not a directory"),
        ("/text", "find /text: permission denied (config.json#/process/args/0)"),
        ("/plain", "find /plain: permission denied"),
        ("./text", "find ./text: permission denied"),
    ],
)
def test_create_finds_that_the_program_cannot_be_executed(
    bundle: Path, identifier: str, program: str, said: str
) -> None:
    configure(bundle, identifier, program)
    done = create(bundle, identifier)
    assert done.returncode == 1
    assert said in done.stderr
    assert oci(bundle, "state", identifier).returncode == 1


@pytest.mark.parametrize(
    ("program", "process"),
    [
        ("sh", {}),
        ("/bin/sh", {}),
        ("./sh", {"cwd": "/bin"}),
        ("sh", {"cwd": "/usr", "env": ["PATH=bin"]}),
        ("../bin/sh", {"cwd": "/bin"}),
    ],
)
def test_create_finds_a_program_where_start_will(
    bundle: Path, identifier: str, program: str, process: dict[str, Any]
) -> None:
    configure(bundle, identifier, program, "-c", "exit 0", process=process)
    assert create(bundle, identifier).stderr == ""
    assert oci(bundle, "start", identifier).stderr == ""


def test_a_program_that_a_hook_brings_at_start_is_not_missed_at_create(
    bundle: Path, identifier: str
) -> None:
    hook = {"path": "/bin/cp", "args": ["cp", "/bin/true", "/brought"]}
    configure(bundle, identifier, "/brought", hooks={"startContainer": [hook]})
    assert create(bundle, identifier).stderr == ""
    assert oci(bundle, "start", identifier).stderr == ""


def test_a_program_that_only_its_user_may_not_execute_is_told_of_at_start(
    bundle: Path, identifier: str
) -> None:
    shutil.copy("/bin/true", bundle / "rootfs" / "mine")
    (bundle / "rootfs" / "mine").chmod(0o700)
    for folder in (bundle, bundle / "rootfs"):
        folder.chmod(0o755)
    configure(bundle, identifier, "/mine", process={"user": {"uid": 1000, "gid": 1000}})
    assert create(bundle, identifier).stderr == ""
    assert "permission denied" in oci(bundle, "start", identifier).stderr


# Words and the log


def test_an_errno_is_told_in_the_words_that_dockers_client_looks_for() -> None:
    assert errors.reason(2) == "no such file or directory"
    assert errors.reason(13) == "permission denied"


def test_an_error_in_the_log_is_what_containerd_decodes(bundle: Path, identifier: str) -> None:
    oci(bundle, "start", identifier)
    (line,) = (bundle / "log.json").read_text("utf-8").splitlines()
    found = json.loads(line)
    assert found.keys() == {"level", "msg", "time"}
    assert (found["level"], found["msg"][:9]) == ("error", "container")
    assert datetime.fromisoformat(found["time"]).tzinfo is not None


@pytest.mark.parametrize("verb", ["state", "start", "kill", "delete", "pause", "resume", "ps"])
def test_a_container_that_is_not_there_does_not_exist(
    bundle: Path, identifier: str, verb: str
) -> None:
    done = oci(bundle, verb, identifier)
    assert done.returncode == 1
    assert f"container {identifier} does not exist in " in done.stderr


def test_delete_by_force_of_what_is_not_there_is_no_error(bundle: Path, identifier: str) -> None:
    done = oci(bundle, "delete", "--force", identifier)
    assert (done.returncode, done.stderr) == (0, "")


def test_kill_of_a_stopped_container_says_that_it_is_not_running(
    bundle: Path, identifier: str
) -> None:
    configure(bundle, identifier, "true")
    create(bundle, identifier)
    pid = json.loads(oci(bundle, "state", identifier).stdout)["pid"]
    pidfd = os.pidfd_open(pid)
    oci(bundle, "kill", identifier, "KILL")
    select.select([pidfd], [], [])
    os.close(pidfd)
    done = oci(bundle, "kill", identifier, "KILL")
    assert (done.returncode, "container not running: " in done.stderr) == (1, True)


def test_warnings_go_to_the_log_and_not_into_the_containers_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log.open_file(str(tmp_path / "log"), form="json")
    try:
        log.warn("this is left out")
    finally:
        log.open_file()
    assert json.loads((tmp_path / "log").read_text("utf-8"))["level"] == "warning"
    assert capfd.readouterr().err == ""
    log.warn("this is left out")
    assert capfd.readouterr().err == "seatrial-oci: warning: this is left out\n"


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_what_is_not_supported_says_so(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert command.main([verb, "--image-path", "/nowhere", "c1"]) == 1
    assert f"{verb} is not supported" in capfd.readouterr().err


# What engines send


def test_sizes_of_0_in_an_update_leave_what_there_is() -> None:
    sent = (
        b'{"memory":{"limit":0,"reservation":0,"kernel":0,"swap":5},'
        b'"cpu":{"shares":0,"quota":0,"period":0},"pids":{"limit":33},"blockIO":{"weight":0}}'
    )
    memory = update.meant(config.decode_resources(sent)).memory
    assert memory is not None
    assert (memory.limit, memory.reservation, memory.kernel, memory.swap) == (None, None, None, 5)
    assert update.meant(config.decode_resources(b"{}")).memory is None


def test_a_further_process_gets_a_terminal_of_the_container(
    bundle: Path, identifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(bundle, identifier, "sleep", "1000")
    create(bundle, identifier)
    assert oci(bundle, "start", identifier).stderr == ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        monkeypatch.chdir(bundle)  # a socket's path is short (unix(7))
        listener.bind("console.sock")
        listener.listen(1)
        done = oci(
            *(bundle, "exec", "--tty", "--detach", "--console-socket", "console.sock"),
            *(identifier, "sh", "-c", "tty; exec sleep 1000"),
        )
        assert (done.returncode, done.stderr) == (0, "")
        connection, _ = listener.accept()
        with connection:
            controller = foreground.receive(connection)
    try:
        assert os.read(controller, 100) == b"/dev/pts/0\r\n"
    finally:
        os.close(controller)
