"""The leak auditor: it sees each kind of thing that is left, and nothing else, and clears it."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import audit, cgroups, namespaces, processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.conformance.audit import Auditor
    from seatrial.conformance.session import Session

pytestmark = pytest.mark.usefixtures("bystanders")


@pytest.fixture
def auditor(session: Session, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    """The auditor of a session, which does not wait for long."""
    monkeypatch.setattr(audit, "_GRACE_S", 0.05)
    return session.auditor


@pytest.fixture
def folder(session: Session) -> Path:
    """A folder of the run."""
    path = session.work / "folder"
    path.mkdir()
    return path


@contextmanager
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that sleeps, and kill it at the end."""
    with subprocess.Popen(["/bin/sleep", "infinity"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_where_nothing_is_left_nothing_is_found(auditor: Auditor) -> None:
    assert auditor.leaks() == []
    auditor.clear()
    assert auditor.leaks() == []


def test_a_mount_is_found_and_cleared(auditor: Auditor, folder: Path) -> None:
    for _ in range(2):
        namespaces.mount("x", str(folder), "tmpfs")
    namespaces.mount("x", str(folder), "ramfs")
    found = sorted(auditor.leaks())
    assert found == [f"mount ramfs on {folder}", *[f"mount tmpfs on {folder}"] * 2]
    auditor.clear()
    assert auditor.leaks() == []


def test_mounts_in_one_another_are_cleared(auditor: Auditor, folder: Path) -> None:
    namespaces.mount("x", str(folder), "tmpfs")
    (folder / "below").mkdir()
    namespaces.mount("x", str(folder / "below"), "tmpfs")
    assert len(auditor.leaks()) == 2
    auditor.clear()
    assert auditor.leaks() == []
    assert list(folder.iterdir()) == []


def test_a_mount_that_is_missing_is_found(session: Session, folder: Path) -> None:
    namespaces.mount("x", str(folder), "tmpfs")
    auditor = audit.Auditor(session.cgroups, session.runtime.state_root)
    namespaces.umount(str(folder))
    assert auditor.leaks() == [f"missing mount tmpfs on {folder}"]
    auditor.clear()


def test_a_cgroup_is_found_and_cleared(session: Session, auditor: Auditor) -> None:
    path = session.cgroups.folders()[0] / "c1" / "below"
    path.mkdir(parents=True)
    assert auditor.leaks() == [f"cgroup {path.parent}", f"cgroup {path}"]
    auditor.clear()
    assert auditor.leaks() == []


def test_what_is_made_beside_the_hierarchies_is_found_and_cleared(
    session: Session, auditor: Auditor
) -> None:
    # As a runtime does to whom ../.. in a cgroupsPath means something.
    if cgroups.ROOT in {each.path for each in session.cgroups.hierarchies}:
        assert session.cgroups.strays() == []
        return
    stray = cgroups.ROOT / f"{session.cgroups.path.replace('/', '-').strip('-')}-c1"
    own = cgroups.ROOT / session.cgroups.path.strip("/")
    for folder in (stray, own):
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text("1")
    assert auditor.leaks() == [f"no cgroup, but {path}" for path in sorted((str(own), str(stray)))]
    auditor.clear()
    assert auditor.leaks() == []
    assert not own.parent.exists()


def test_a_process_in_a_cgroup_is_found_and_cleared_with_it(
    session: Session, auditor: Auditor
) -> None:
    path = session.cgroups.folders()[0] / "c1"
    path.mkdir()
    with sleeper() as process:
        (path / "cgroup.procs").write_text(str(process.pid))
        assert auditor.leaks() == [f"cgroup {path}", f"process {process.pid} (/bin/sleep infinity)"]
        auditor.clear()
    assert auditor.leaks() == []


def test_an_orphan_in_a_session_of_its_own_is_found_and_cleared(auditor: Auditor) -> None:
    subprocess.run(["/bin/sh", "-c", "(setsid sleep infinity &)"], check=True)
    (found,) = auditor.leaks()
    assert found.startswith("process ")
    auditor.clear()
    assert auditor.leaks() == []


def test_a_process_that_is_about_to_end_is_given_a_moment(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_GRACE_S", 30.0)
    subprocess.run(["/bin/sh", "-c", "(sleep 0.1 &)"], check=True)
    assert auditor.leaks() == []


def test_what_was_there_before_is_spared(session: Session) -> None:
    with sleeper() as before:
        auditor = audit.Auditor(session.cgroups, session.runtime.state_root)
        assert auditor.leaks() == []
        auditor.clear()
        assert before.poll() is None
    assert processes.children(os.getpid())  # the janitor


def test_state_is_found_and_cleared(session: Session, auditor: Auditor) -> None:
    root = session.runtime.state_root
    (root / "c1").mkdir()
    (root / "c1" / "state.json").touch()
    (root / "c2.json").touch()
    assert auditor.leaks() == ["state c1", "state c2.json"]
    auditor.clear()
    assert auditor.leaks() == []


def test_a_root_that_was_removed_holds_no_state(session: Session, auditor: Auditor) -> None:
    session.runtime.state_root.rmdir()
    assert auditor.leaks() == []
    auditor.clear()


def test_another_namespace_of_the_caller_is_found(auditor: Auditor) -> None:
    namespaces.unshare(namespaces.CLONE_NEWUTS)
    assert auditor.leaks() == ["the caller is in other namespaces than before"]


def test_mounts_that_are_spared_are_none_of_a_containers(auditor: Auditor, folder: Path) -> None:
    namespaces.mount("tmpfs", str(folder), "tmpfs")
    with auditor.sparing_mounts():
        assert auditor.leaks() == []
        namespaces.umount(str(folder))
        assert len(auditor.leaks()) == 1
        namespaces.mount("tmpfs", str(folder), "tmpfs")
    assert len(auditor.leaks()) == 1
    auditor.clear()
    assert auditor.leaks() == []
