"""What a test of the suite works with: containers that put themselves away, and the journal."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, smoke
from seatrial.conformance.adapters import find
from seatrial.conformance.errors import (
    Crashed,
    HarnessError,
    Hung,
    Malformed,
    Misbehaved,
    UnfitError,
)
from seatrial.conformance.harness import Harness
from seatrial.conformance.runtime import identify
from seatrial.conformance.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View

pytestmark = pytest.mark.usefixtures("bystanders")

BROKEN = Path(__file__).parent / "broken"


@pytest.fixture
def broken(request: pytest.FixtureRequest, good: Adapter, view: View) -> Iterator[Harness]:
    """A harness for the broken runtime that the test names."""
    del good
    with Session(find(str(BROKEN / request.param)), view=view, timeout_s=5) as session:
        session.config_version = "1.0.2"
        yield Harness(session)


def broken_by(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("broken", [name], indirect=True)


# Containers


def test_a_container_goes_through_its_life(door: Harness) -> None:
    with door.container(door.config("pause")) as container:
        assert (container.exists, container.pid, container.alive) == (False, None, False)
        assert container.create().ok
        assert container.alive
        assert container.state()["status"] == "created"
        assert container.start().ok
        assert container.read_line()["act"] == "pause"
        assert container.state()["pid"] == container.pid
        assert container.kill("KILL").ok
        container.wait()
        assert (container.alive, container.exit_status) == (False, -9)
        assert container.delete().ok
        assert not container.exists
    assert door.leaks == []


def test_each_stage_is_given_and_put_away(door: Harness) -> None:
    stages = {"created": door.created, "running": door.running, "stopped": door.stopped}
    for status, stage in stages.items():
        with stage() as container:
            assert container.state()["status"] == status
    assert door.leaks == []
    assert not os.listdir(door.runtime.state_root)


def test_the_report_is_that_of_the_program(door: Harness) -> None:
    config = door.config("say", "x", "+", "report")
    config["process"]["cwd"] = "/tmp"  # noqa: S108 - in the container
    report = door.run(config)
    assert report.cwd == b"/tmp"
    assert report.argv[1:] == [b"say", b"x", b"+", b"report"]


def test_a_container_is_placed_in_a_cgroup_of_the_run_and_the_config_is_left_alone(
    door: Harness, session: Session
) -> None:
    config = door.config("pause")
    before = json.dumps(config)
    with door.created(config) as container:
        placed = json.loads(container.bundle.config_file.read_bytes())
        assert placed["linux"]["cgroupsPath"] == f"{session.cgroups.path}/{container.id}"
        lines = Path(f"/proc/{container.pid}/cgroup").read_text()
        assert f":{session.cgroups.path}/{container.id}\n" in lines
    assert json.dumps(config) == before
    config["linux"]["cgroupsPath"] = f"{session.cgroups.path}/elsewhere"
    with door.created(config) as container:
        assert json.loads(container.bundle.config_file.read_bytes()) == config


def test_an_attempt_gives_the_first_error_or_the_last_result(door: Harness) -> None:
    assert door.attempt(b"{").failed
    config = door.config()
    config["process"]["args"] = ["/there/is/no/such/program"]
    assert door.attempt(config).failed
    result = door.attempt(door.config())
    assert result.ok
    assert "start" in result.argv


def test_the_journal_is_of_the_container_that_the_verdict_is_about(door: Harness) -> None:
    with door.running() as container:
        container.kill("KILL")
        container.wait()
    assert [each.argv[3] for each in door.journal.commands] == ["create", "start", "kill"]
    assert "ociVersion" in (door.journal.config or {})
    door.attempt(b"[]")
    journal = door.journal
    assert journal.config == b"[]"
    assert [each.argv[3] for each in journal.commands] == ["create"]


def test_a_journal_has_all_containers_that_were_open_together(door: Harness) -> None:
    with door.created() as first, door.created() as second:
        assert first.id != second.id
    assert [each.argv[3] for each in door.journal.commands] == ["create", "create"]


def test_a_bundle_can_be_prepared_before(door: Harness) -> None:
    config = door.config()
    config["process"]["args"] = ["/bin/inner", "report"]
    with door.bundle(config) as bundle:
        bundle.copy_probe("/bin/inner")
        assert door.run(config, bundle=bundle).argv[0] == b"/bin/inner"
        path = bundle.path
    assert not path.exists()


def test_a_special_caller_calls_the_runtime(door: Harness) -> None:
    masked = door.runtime.called_with_umask(0o77)
    through = door.runtime.called_through("/usr/bin/env", "-C", "/", "--")
    assert (masked.umask, through.argv("state", id="x")[:3]) == (
        0o77,
        ["/usr/bin/env", "-C", "/"],
    )
    door.run(door.config(), runtime=masked)
    assert [each.argv[-1] for each in door.journal.commands][:1] == ["c1"]
    door.run(door.config(), runtime=through)
    assert door.journal.commands[0].argv[0] == "/usr/bin/env"


def test_an_exception_in_a_container_puts_it_away(door: Harness) -> None:
    for kind in (ValueError, KeyboardInterrupt, AssertionError):
        with pytest.raises(kind), door.running():
            raise kind
    assert door.leaks == []
    assert not os.listdir(door.runtime.state_root)


def test_a_program_that_does_not_end_is_a_hang(door: Harness) -> None:
    hung = pytest.raises(Hung, match="neither ended nor printed")
    with hung as caught, door.running() as container:
        container.wait(timeout_s=0.1)
    assert not caught.value.killed
    assert door.leaks == []


def test_what_was_not_created_cannot_be_waited_for(door: Harness) -> None:
    with door.container(door.config()) as container, pytest.raises(HarnessError):
        container.wait()


def test_a_program_that_prints_nothing_is_told(door: Harness) -> None:
    with pytest.raises(Malformed, match=r"ended with status 3 and printed nothing"):
        door.run(door.config("quiet", "+", "exit", "3"))
    silent = door.config("quiet", "+", "exit", "3")
    with pytest.raises(Malformed, match="ended without a line"), door.running(silent):
        pass


def test_the_namespace_of_one_that_has_gone_is_a_failure(door: Harness) -> None:
    with door.created() as container:
        assert container.namespace("uts").startswith("uts:[")
        container.kill("KILL")
        container.wait()
        with pytest.raises(Misbehaved, match="is not there"):
            container.namespace("uts")


# Runtimes that are broken


@broken_by("lies-in-pid-file")
def test_a_process_that_is_not_ours_is_not_touched(broken: Harness) -> None:
    with broken.created() as container:
        assert container.pid == 1
        assert container.alive
    assert Path("/proc/1").exists()


@broken_by("writes-no-pid")
def test_a_pid_that_is_none_is_told(broken: Harness) -> None:
    malformed = pytest.raises(Malformed, match="has no pid: its pid file says 'none")
    with malformed, broken.created() as container:
        container.wait()
    assert broken.leaks == []


@broken_by("kills-nothing")
def test_one_that_the_runtime_does_not_end_is_ended_by_the_harness(broken: Harness) -> None:
    with broken.created() as container:
        assert container.kill("KILL").ok
        assert container.alive
    assert broken.leaks == []  # the kill was wrong, and the delete was right


@broken_by("hangs-in-kill")
def test_what_is_left_by_a_command_that_we_killed_is_not_its_leak(broken: Harness) -> None:
    quick = replace(broken.runtime, timeout_s=0.5)
    with pytest.raises(Hung) as caught, broken.created(runtime=quick) as container:
        container.kill("TERM")
    assert caught.value.killed
    assert broken.leaks == []


@broken_by("dies-by-signal")
def test_a_crash_is_a_verdict_of_its_own(broken: Harness) -> None:
    with broken.created() as container, pytest.raises(Crashed, match="ended by SIGSEGV"):
        container.state()
    assert broken.leaks == []


@broken_by("leaks-state")
def test_a_leak_carries_the_commands_up_to_delete(broken: Harness) -> None:
    with broken.created():
        pass
    (leak,) = broken.leaks
    assert leak.what == ("state c1",)
    assert not leak.after_error
    assert [each.argv[3] for each in leak.journal.commands] == ["create", "kill", "delete"]
    assert not os.listdir(broken.runtime.state_root)


@broken_by("leaks-on-error")
def test_a_leak_after_an_error_is_told_apart(broken: Harness) -> None:
    assert broken.attempt(b"{").failed
    (leak,) = broken.leaks
    assert (leak.what, leak.after_error) == (("state c1",), True)


@broken_by("keeps-a-cache")
def test_a_cache_that_was_made_at_the_first_use_is_no_leak(broken: Harness) -> None:
    smoke.check(broken._session)  # noqa: SLF001
    broken.run(broken.config())
    assert broken.leaks == []


# The smoke test


def test_the_newest_config_version_that_works_is_found(session: Session) -> None:
    smoke.check(session)
    assert session.config_version in {"1.3.0", "1.2.1", "1.2.0", "1.1.0", "1.0.2"}
    assert Harness(session).config()["ociVersion"] == session.config_version


@broken_by("always-fails")
def test_a_runtime_that_cannot_run_a_container_is_not_judged(broken: Harness) -> None:
    with pytest.raises(UnfitError) as caught:
        smoke.check(broken._session)  # noqa: SLF001
    text = str(caught.value)
    assert text.startswith("smoke test: always-fails cannot run the minimal container")
    assert text.endswith("→ exit status 1, stderr 'always-fails: no'>")


def test_a_version_that_is_none_is_unknown(good: Adapter) -> None:
    assert identify(find(str(BROKEN / "garbage-version"))).version == "unknown"
    assert identify(find(str(BROKEN / "always-succeeds"))).version == "unknown"
    assert identify(find(str(BROKEN / "honest"))).version == identify(good).version


def test_a_version_that_does_not_come_is_told() -> None:
    with pytest.raises(UnfitError, match=r"^hangs-in-version: no answer within 0.1 s"):
        identify(find(str(BROKEN / "hangs-in-version")), timeout_s=0.1)


def test_asking_for_the_version_leaves_nothing_running(tmp_path: Path) -> None:
    path = tmp_path / "runtime"
    path.write_text("#!/bin/sh\nsetsid sleep infinity &\necho version 1.2\n")
    path.chmod(0o755)
    assert identify(find(str(path))).version == "1.2"


def test_a_host_without_cgroups_is_refused(good: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "hierarchies", list)
    with pytest.raises(UnfitError, match=r"^no cgroup hierarchy"), Session(good):
        pass


def test_a_runtime_that_gives_its_streams_away_does_not_give_the_device_of_the_host(
    door: Harness,
) -> None:
    config = door.config()
    config["process"]["user"] = {"uid": 5, "gid": 6}
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 123000, "size": 1000}]
    before = os.stat(os.devnull)
    assert door.run(config)["uid"]["real"] == 5
    after = os.stat(os.devnull)
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
