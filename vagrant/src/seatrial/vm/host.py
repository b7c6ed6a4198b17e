"""What the host has for guests: Vagrant, a libvirt that answers, KVM that works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.vm.errors import VmError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where our own libvirtd keeps its things, and Vagrant its boxes (vagrant/host/libvirt).
STATE = "/var/lib/seatrial-vm"
_SOCKET = Path("/run/libvirt/libvirt-sock")
_ANSWER_S = 20
#: What a guest's disk grows to in a run of the suite, and its memory in a snapshot.
_ROOM_MIB = 6 << 10
#: Set for the command that goes on in the namespaces of a libvirtd of our own.
_ENTERED = "SEATRIAL_VM_ENTERED"
_PACKAGES = (
    "apt-get install vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients qemu-system-x86"
)


def environment() -> dict[str, str]:
    """Return the environment for Vagrant: boxes beside the disks, and the provider libvirt."""
    state = os.environ.get("SEATRIAL_VM_STATE", STATE)
    return {"VAGRANT_DEFAULT_PROVIDER": "libvirt", "VAGRANT_HOME": f"{state}/vagrant"} | os.environ


def check_room() -> None:
    """See that there is room for a guest's disk and memory.

    Raises:
        VmError: there is not; QEMU would stop the guest in mid-run, without a word.
    """
    state = Path(os.environ.get("SEATRIAL_VM_STATE", STATE))
    there = next(folder for folder in (state, *state.parents) if folder.exists())
    free_mib = shutil.disk_usage(there).free >> 20
    if free_mib < _ROOM_MIB:
        raise VmError(
            f"{state} has room for {free_mib} MiB, and a guest takes up to {_ROOM_MIB}",
            hint="SEATRIAL_VM_STATE chooses another folder",
        )


def enter(
    root: Path, prepare: Callable[[], None] = lambda: None, *, stopping: bool = False
) -> None:
    """Go on where libvirt is: here if one answers, else in the namespaces of one of our own.

    In the latter case this does not return: the same command is executed there, and with
    ``stopping`` that libvirt is stopped when it has ended. ``prepare`` is called once, out here:
    in there is no network but the guests'.

    Raises:
        VmError: Vagrant or libvirt is not installed, or does not start.
    """
    if os.environ.pop(_ENTERED, None) is not None:
        return
    if shutil.which("vagrant") is None:
        raise VmError("vagrant is not installed", hint=_PACKAGES)
    if os.environ.get("VAGRANT_DEFAULT_PROVIDER", "libvirt") != "libvirt" or _answers():
        prepare()
        return
    script = str(root / "vagrant" / "host" / "libvirt")
    started = subprocess.run([script, "start"], capture_output=True, text=True, check=False)
    if started.returncode != 0:
        lines = started.stderr.strip().splitlines() or ["it did not say why"]
        raise VmError(f"no libvirt here: {lines[-1].removeprefix('libvirt: ')}", hint=_PACKAGES)
    prepare()
    words = sys.argv[2:] if sys.argv[1:2] == ["vm"] else sys.argv[1:]
    command = [script, "run", sys.executable, "-m", "seatrial.vm", *words]
    if stopping:
        status = subprocess.run(command, env=os.environ | {_ENTERED: "1"}, check=False).returncode
        subprocess.run([script, "stop"], check=False)
        sys.exit(status)
    os.execve(script, command, os.environ | {_ENTERED: "1"})  # noqa: S606 - by its path


def without_kvm(root: Path) -> str | None:
    """Return why guests are emulated in software here, or None where KVM works."""
    script = root / "vagrant" / "host" / "kvm"
    asked = subprocess.run([script], capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode != 0 else None


def _answers() -> bool:
    if not _SOCKET.exists() or shutil.which("virsh") is None:
        return False
    try:
        asked = subprocess.run(
            ["virsh", "-c", "qemu:///system", "version"],
            capture_output=True, timeout=_ANSWER_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
