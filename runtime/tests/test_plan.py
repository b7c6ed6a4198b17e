"""What `seatrial-oci plan` tells a reader, also of what this host has not everything for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seatrial.oci import compiler, config, host, labels, plan
from seatrial.oci.errors import ConfigError, HostError

#: The command as it is installed beside this Python.
COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
EXAMPLE = Path(__file__).parent.parent / "examples" / "config.json"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle with the example config and a root filesystem."""
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "config.json").write_bytes(EXAMPLE.read_bytes())
    return tmp_path


@pytest.fixture
def no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be on a host without AppArmor and SELinux."""
    monkeypatch.setattr(labels, "apparmor_enabled", lambda: False)
    monkeypatch.setattr(labels, "selinux_enabled", lambda: False)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)


def compiled(bundle: Path) -> tuple[plan.Plan, list[HostError]]:
    spec = config.decode((bundle / "config.json").read_bytes())
    with host.objections() as refused:
        return compiler.compile_plan(
            spec, bundle=str(bundle), identifier="x", place="/place"
        ), refused


@pytest.mark.usefixtures("no_labels")
def test_a_plan_is_shown_for_what_this_host_has_not(bundle: Path) -> None:
    found, refused = compiled(bundle)
    text = plan.explain(found, refused)
    first, *lines = text.splitlines()
    assert first == "this host would refuse it, before anything is done:"
    why = "profile seatrial-example: AppArmor is not enabled on this host"
    assert f"  ! config.json#/process/apparmorProfile: {why}" in lines
    marked = [line for line in lines if line.startswith("!")]
    assert any("be confined by AppArmor profile seatrial-example" in line for line in marked)
    assert not any("set the host name" in line for line in marked)


@pytest.mark.usefixtures("no_labels")
def test_every_operation_of_another_host_is_in_the_plan(bundle: Path) -> None:
    found, refused = compiled(bundle)
    pointers = {op.pointer for op in found.ops if plan.is_refused(op, refused)}
    assert {"/process/apparmorProfile", "/process/selinuxLabel"} <= pointers


def test_the_namespaces_that_are_made_are_told(bundle: Path) -> None:
    text = plan.explain(*compiled(bundle))
    assert "clone the container process, into a new user, mount, pid, network, ipc, uts" in text


def test_the_command_shows_it_and_succeeds(bundle: Path) -> None:
    done = run("plan", "--bundle", str(bundle))
    assert (done.returncode, done.stderr) == (0, "")
    assert "execute cat" in done.stdout


def test_as_json_each_operation_says_whether_it_would_be_refused(bundle: Path) -> None:
    (bundle / "rootfs").rmdir()
    told: dict[str, Any] = json.loads(
        run("plan", "--bundle", str(bundle), "--format", "json").stdout
    )
    missing = {"pointer": "/root/path", "why": f"{bundle}/rootfs: no such file or directory"}
    assert missing in told["refused"]
    refused = {op["kind"] for op in told["operations"] if op["refused"]}
    assert {"root-tree", "root", "pivot"} <= refused
    assert "hostname" not in refused


def test_create_refuses_before_anything_is_touched(bundle: Path) -> None:
    (bundle / "rootfs").rmdir()
    changed = json.loads(EXAMPLE.read_text())
    for member in ("apparmorProfile", "selinuxLabel", "terminal"):
        del changed["process"][member]
    for member in ("mountLabel", "intelRdt"):
        del changed["linux"][member]
    del changed["linux"]["resources"]
    (bundle / "config.json").write_text(json.dumps(changed))
    done = run("--root", str(bundle / "state"), "create", "--bundle", str(bundle), "x")
    assert done.returncode == 1
    assert f"config.json#/root/path: {bundle}/rootfs: no such file or directory" in done.stderr
    assert not (bundle / "state").exists()


def test_a_config_that_is_wrong_everywhere_has_no_plan(bundle: Path) -> None:
    changed = json.loads(EXAMPLE.read_text())
    changed["linux"]["namespaces"].append({"type": "astral"})
    (bundle / "config.json").write_text(json.dumps(changed))
    done = run("plan", "--bundle", str(bundle))
    assert done.returncode == 1
    assert "config.json#/linux/namespaces/8/type: unknown namespace type 'astral'" in done.stderr


def test_an_objection_is_an_error_unless_somebody_notes_it() -> None:
    with pytest.raises(HostError, match=r"^config.json#/a: no luck$"):
        host.refuse("/a", "no luck")
    with host.objections() as refused:
        host.refuse("/a", "no luck")
        host.refuse("/a", "no luck")
    assert [str(each) for each in refused] == ["config.json#/a: no luck"]
    with pytest.raises(ConfigError):
        host.refuse("/a", "no luck")
