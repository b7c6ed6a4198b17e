"""Engines: docker by a daemon that the run starts, or by one that it is told of; podman."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyperf
import pytest

from seatrial.perf.stopwatch import ENVIRON

if TYPE_CHECKING:
    from perf.tests.measuring.conftest import Bench

ONCE = ("--suite", "engine", "--blocks", "1", "--samples", "1")


@pytest.fixture
def docker(tmp_path: Path) -> str:
    """A client that gets as far as its daemon."""
    path = tmp_path / "docker"
    path.write_text(
        '#!/bin/sh\n[ "$1" != --version ] || { echo Docker version 1.2.3; exit 0; }\n'
        "echo no daemon at $2 >&2; exit 1\n"
    )
    path.chmod(0o755)
    return str(path)


COMMANDS = {"docker": ("docker", "dockerd"), "podman": ("podman",), "seatriald": ("docker",)}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_engine_is_timed_with_what_works_for_it(bench: Bench, name: str) -> None:
    for command in COMMANDS[name]:
        if shutil.which(command, path=ENVIRON["PATH"]) is None:
            pytest.skip(f"{command} is not on this machine")
    ran = bench(*ONCE, "--editable", "--runtime", name)
    assert ran.status == 0, ran.out + ran.err
    assert not [line for line in ran.samples if "error" in line]
    suite = pyperf.BenchmarkSuite.load(str(ran.folder / f"{name}.json"))
    own, all_of_it = (
        suite.get_benchmark(f"engine/plain/{figure}").median()
        for figure in ("run-client-cpu", "run-cpu")
    )
    assert 0 < own < all_of_it
    assert not [each for each in _commands() if str(bench.temporary) in each]


def _commands() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:  # it has ended meanwhile
            continue
    return found


def test_without_dockerd_docker_is_left_out(bench: Bench, docker: str) -> None:
    none = "import seatrial.perf.daemons as room\nroom.ENVIRON = {'PATH': '/nowhere'}"
    ran = bench(*ONCE, "--runtime", docker, before=none)
    assert ran.document("skipped.json") == [
        {"contender": "docker", "reason": "dockerd is not on this machine"}
    ]
    assert "skipped: docker: dockerd is not on this machine" in ran.out


def test_a_dockerd_that_does_not_start_is_told(bench: Bench, docker: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    daemon = tmp_path / "bin/dockerd"
    daemon.write_text("#!/bin/sh\necho no storage driver >&2; exit 1\n")
    daemon.chmod(0o755)
    path = f"{tmp_path}/bin:{ENVIRON['PATH']}"
    other = f"import seatrial.perf.daemons as room\nroom.ENVIRON = {{'PATH': {path!r}}}"
    ran = bench(*ONCE, "--runtime", docker, before=other)
    assert ran.document("skipped.json") == [
        {"contender": "docker", "reason": "dockerd does not start: no storage driver"}
    ]


def test_a_daemon_of_the_users_is_used_when_asked_for(bench: Bench, docker: str) -> None:
    ran = bench(*ONCE, "--runtime", docker, "--docker-host", "unix:///nowhere")
    assert ran.document("skipped.json") == [
        {"contender": "docker", "reason": "docker import: no daemon at unix:///nowhere"}
    ]


def test_without_dockers_client_seatriald_is_left_out(bench: Bench) -> None:
    none = "import seatrial.perf.engines as room\nroom.ENVIRON = {'PATH': '/nowhere'}"
    ran = bench(*ONCE, "--editable", "--runtime", "seatriald", before=none)
    assert ran.document("skipped.json") == [
        {
            "contender": "seatriald",
            "reason": "docker's client, which it is timed by, is not on this machine",
        }
    ]
