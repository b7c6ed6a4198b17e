"""``seatrial vm`` as its user meets it, up to where a guest would start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.vm import files, guests
from seatrial.vm.errors import VmError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "vagrant" / "host" / "libvirt"


def call(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seatrial.vm", *words],
        capture_output=True, text=True, cwd=cwd, env=os.environ | environment, check=False,
    )  # fmt: skip


def command(folder: Path, name: str, script: str) -> None:
    """Put a command of ours into ``folder``, for a PATH that begins there."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", "ascii")
    (folder / name).chmod(0o755)


def test_every_guest_is_listed_with_what_it_is() -> None:
    done = call("list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == ["cgroup1", "cgroup2", "hybrid", "newest"]
    assert "all controllers in the one hierarchy" in done.stdout


def test_a_guest_that_does_not_exist_is_told_with_those_that_do() -> None:
    done = call("up", "cgroup3")
    assert done.returncode == 3
    assert done.stderr == (
        "seatrial vm: there is no guest cgroup3\nhint: guests: cgroup1, cgroup2, hybrid, newest\n"
    )


def test_outside_of_a_checkout_there_are_no_guests(tmp_path: Path) -> None:
    done = call("list", cwd=tmp_path)
    assert done.returncode == 3
    assert f"no Vagrantfile of Seatrial's in {tmp_path} or above" in done.stderr
    assert "run this in a clone of it" in done.stderr


def test_a_description_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "vagrant" / "odd").mkdir(parents=True)
    (tmp_path / "vagrant" / "odd" / "guest.json").write_text("{", "utf-8")
    with pytest.raises(VmError, match=r"cannot read .*odd/guest\.json: "):
        guests.every(tmp_path)


def test_without_vagrant_the_packages_are_named(tmp_path: Path) -> None:
    done = call("up", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "vagrant is not installed" in done.stderr
    assert "apt-get install vagrant" in done.stderr


def test_without_libvirt_it_is_told_what_is_missing(tmp_path: Path) -> None:
    for name in ("vagrant", "virsh"):
        command(tmp_path, name, "exit 1")
    for name in ("bash", "env", "id", "cat", "grep"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        [SCRIPT, "start"], capture_output=True, text=True, check=False,
        env={"PATH": str(tmp_path), "SEATRIAL_VM_STATE": str(tmp_path / "state")},
    )  # fmt: skip
    assert done.returncode == 3
    assert "is missing: apt-get install libvirt-daemon-system" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [(), ("run",), ("dance",)])
def test_the_script_of_libvirt_tells_how_it_is_used(words: tuple[str, ...]) -> None:
    done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")


def test_a_libvirt_that_does_not_run_runs_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"SEATRIAL_VM_STATE": str(tmp_path)}
    done = subprocess.run(
        [SCRIPT, "run", "true"], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (3, f"libvirt: not running: {SCRIPT} start\n")


@pytest.mark.parametrize(
    ("device", "paravirtual", "qemu", "why"),
    [
        ("none", False, 0, "there is no {folder}/none that may be used"),
        ("kvm", True, 0, "this host's KVM is a paravirtual one, which boots no stock kernel"),
        ("kvm", False, 1, "QEMU does not start with KVM"),
        ("kvm", False, 0, ""),
    ],
)
def test_kvm_is_believed_when_qemu_starts_with_it(
    tmp_path: Path, device: str, qemu: int, why: str, *, paravirtual: bool
) -> None:
    (tmp_path / "kvm").touch()
    (tmp_path / "modules" / ("kvm_pvm" if paravirtual else "kvm")).mkdir(parents=True)
    command(tmp_path, "qemu-system-x86_64", f"exit {qemu}")
    done = subprocess.run(
        [ROOT / "vagrant" / "host" / "kvm", tmp_path / device, tmp_path / "modules"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    said = why.format(folder=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (bool(why), said)


def test_what_developers_need_does_not_go_into_a_guest() -> None:
    lock = "ruff==1 \\\n    --hash=sha256:aa\nmsgspec==2 ; x \\\n    --hash=sha256:bb\n    # via\n"
    assert files.without_tools(lock) == "msgspec==2 ; x \\\n    --hash=sha256:bb\n    # via\n"


def test_guests_differ_in_what_their_kernel_is_told() -> None:
    known = guests.every(ROOT)
    assert {each.cgroup_mode for each in known.values()} == {"v1", "v2", "hybrid"}
    for guest in known.values():
        text = (ROOT / "vagrant" / guest.name / "guest.json").read_text("utf-8")
        assert json.loads(text)["command_line"] == guest.command_line
        assert guest.suite in files.PYTHON
