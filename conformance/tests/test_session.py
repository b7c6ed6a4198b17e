"""A session leaves the host as it was: at its end, after an exception, after kill -9."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, facts, namespaces, processes
from seatrial.conformance import session as sessions
from seatrial.conformance.errors import UnfitError
from seatrial.conformance.harness import Harness
from seatrial.conformance.session import Session

if TYPE_CHECKING:
    from conformance.tests.conftest import Trial

    from seatrial.conformance.adapters import Adapter

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make containers"),
    pytest.mark.usefixtures("bystanders"),
]

LONG_S = 60.0


@pytest.fixture(autouse=True)
def tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sessions make their work folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def look() -> tuple[object, ...]:
    """Return what a session may change for the time of its life only."""
    return (
        Path("/proc/self/mountinfo").read_text(),
        socket.gethostname(),
        [namespaces.current(kind) for kind in namespaces.PRIVATE],
        set(os.listdir("/proc/self/fd")),
        Path.cwd(),
        processes.children(os.getpid()),
    )


def session_of(adapter: Adapter) -> Session:
    session = Session(adapter, timeout_s=LONG_S)
    session.config_version = "1.0.2"  # every runtime takes that
    return session


def own_cgroups() -> list[Path]:
    tops = [each.path / cgroups.PARENT for each in cgroups.hierarchies()]
    return [path for top in tops for path in top.glob(f"{os.getpid()}-*")]


def test_a_session_is_gone_when_it_ends(good: Adapter, tmpdir: Path) -> None:
    before = look()
    with session_of(good) as session:
        assert own_cgroups()
        assert session.work.parent == tmpdir
        Harness(session).run({**Harness(session).config(), "hostname": "inside"})
        socket.sethostname("ours")
        namespaces.mount("left", str(session.work / "state"), "tmpfs")
        (session.cgroups.folders()[0] / "left").mkdir()
        pid = os.posix_spawn("/bin/sleep", ["sleep", "infinity"], {})
    assert look() == before
    assert not own_cgroups()
    assert not list(tmpdir.iterdir())
    assert processes.wait(pid, timeout_s=0)


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_session_is_gone_after_an_exception(
    good: Adapter, tmpdir: Path, kind: type[BaseException]
) -> None:
    before = look()
    session = session_of(good)
    with pytest.raises(kind), session, Harness(session).running():
        raise kind
    assert look() == before
    assert not own_cgroups()
    assert not list(tmpdir.iterdir())


def test_sessions_follow_one_another_and_their_ids_do_not_repeat(good: Adapter) -> None:
    names = set()
    for _ in range(2):
        with session_of(good) as session:
            names.add(session.cgroups.path)
            assert [session.new_id(), session.new_id()] == ["c1", "c2"]
    assert len(names) == 2


KILLED = """
import sys, tempfile
tempfile.tempdir = sys.argv[2]
from seatrial.conformance import adapters, cgroups
from seatrial.conformance.harness import Harness
from seatrial.conformance.session import Session
with Session(adapters.find(sys.argv[1])) as session:
    session.config_version = "1.0.2"
    harness = Harness(session)
    config = harness.config("pause")
    if sys.argv[3] == "elsewhere":
        del config["linux"]["namespaces"][0]  # no pid namespace: its processes end one by one
        config["linux"]["cgroupsPath"] = session.cgroups.path + "/a/b"
        if not (cgroups.ROOT / "cgroup.procs").exists():  # the hierarchies are in a tmpfs
            stray = cgroups.ROOT / session.cgroups.path.strip("/").replace("/", "-")
            stray.mkdir()
            (stray / "cgroup.procs").touch()
    with harness.running(config) as container:
        print(container.pid, flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("where", ["usual", "elsewhere"])
def test_a_session_that_is_killed_is_cleaned_up_by_its_janitor(
    good: Adapter, trial: Trial, where: str
) -> None:
    process = trial.start(
        *("-c", KILLED, good.name, trial.tmpdir, where), program=(sys.executable,)
    )
    assert process.stdout is not None
    container = int(process.stdout.readline())
    (janitor,) = [
        pid for pid in processes.children(process.pid) if "janitor" in processes.command_line(pid)
    ]
    watched = {pid: os.pidfd_open(pid) for pid in (janitor, container)}
    process.kill()
    for pidfd in watched.values():
        assert select.select([pidfd], [], [], LONG_S)[0]
        os.close(pidfd)
    process.communicate()
    trial.assert_clean(process.pid)


def test_the_janitor_is_deaf_to_ctrl_c(good: Adapter) -> None:
    before = processes.children(os.getpid())
    with session_of(good):
        (janitor,) = [pid for pid in processes.children(os.getpid()) if pid not in before]
        assert os.getsid(janitor) == janitor
        wanted = {signal.SIGINT, signal.SIGTERM}
        while not wanted <= _ignored(janitor) and Path(f"/proc/{janitor}").exists():
            os.sched_yield()  # its interpreter starts
        for number in wanted:
            os.kill(janitor, number)
        assert processes.reap(janitor) is None


def _ignored(pid: int) -> set[int]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            mask = int(line.split()[1], 16)
            return {number for number in range(1, 65) if mask >> (number - 1) & 1}
    return set()


def test_only_root_may_have_one(good: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnfitError, match=r"^the harness needs root"), Session(good):
        pass


@pytest.mark.parametrize("step", ["mount", "OwnCgroups", "Auditor"])
def test_one_that_cannot_be_made_leaves_nothing(
    good: Adapter, tmpdir: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = look()
    monkeypatch.setattr(namespaces if step == "mount" else sessions, step, fail)
    with pytest.raises(UnfitError, match="No space left on device"), Session(good):
        pass
    assert look() == before
    assert not own_cgroups()
    assert not list(tmpdir.iterdir())


def test_a_work_folder_that_cannot_be_made_is_told(
    good: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(UnfitError, match="No such file or directory"), Session(good):
        pass


def test_a_runtime_that_refuses_hybrid_hosts_is_shown_version_1(
    good: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses = replace(good, hybrid_cgroups=False)
    monkeypatch.setattr(cgroups, "mode", lambda _: "hybrid")
    assert (Session(refuses).view, Session(replace(good, hybrid_cgroups=True)).view) == (
        "v1",
        "host",
    )
    assert Session(refuses, view="v2").view == "v2"
    monkeypatch.setattr(cgroups, "mode", lambda _: "v2")
    assert Session(refuses).view == "host"


def test_a_need_is_looked_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def need(name: str, _: Adapter) -> facts.Evidence:
        asked.append(name)
        return facts.Evidence(met=True, text="it is there")

    monkeypatch.setattr(facts, "need", need)
    assert session.need("mntns") is session.need("mntns")
    assert asked == ["mntns"]


def test_what_a_runtime_keeps_in_its_root_is_settled_by_name(session: Session) -> None:
    root = session.runtime.state_root
    for name in (".cache", "c1", "c1.json"):
        (root / name).touch()
    session.settle("c1")
    assert session.auditor.leaks() == ["state c1", "state c1.json"]
    session.auditor.clear()
    assert os.listdir(root) == [".cache"]
