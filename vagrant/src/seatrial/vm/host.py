"""What the host has for guests: Vagrant, a libvirt that answers, KVM that works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from seatrial.vm.errors import VmError

#: Where our own libvirtd keeps its things, and Vagrant its boxes (vagrant/host/libvirt).
STATE = "/var/lib/seatrial-vm"
_SOCKET = Path("/run/libvirt/libvirt-sock")
_ANSWER_S = 20
_PACKAGES = (
    "apt-get install vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients qemu-system-x86"
)


def environment() -> dict[str, str]:
    """Return the environment for Vagrant: boxes beside the disks, and the provider libvirt."""
    state = os.environ.get("SEATRIAL_VM_STATE", STATE)
    return {"VAGRANT_DEFAULT_PROVIDER": "libvirt", "VAGRANT_HOME": f"{state}/vagrant"} | os.environ


def enter(root: Path) -> None:
    """Go on where libvirt is: here if one answers, else in the namespaces of one of our own.

    In the latter case this does not return: the same command is executed there.

    Raises:
        VmError: Vagrant or libvirt is not installed, or does not start.
    """
    if shutil.which("vagrant") is None:
        raise VmError("vagrant is not installed", hint=_PACKAGES)
    if os.environ.get("VAGRANT_DEFAULT_PROVIDER", "libvirt") != "libvirt" or _answers():
        return
    script = str(root / "vagrant" / "host" / "libvirt")
    started = subprocess.run([script, "start"], capture_output=True, text=True, check=False)
    if started.returncode != 0:
        lines = started.stderr.strip().splitlines() or ["it did not say why"]
        raise VmError(f"no libvirt here: {lines[-1].removeprefix('libvirt: ')}", hint=_PACKAGES)
    words = sys.argv[2:] if sys.argv[1:2] == ["vm"] else sys.argv[1:]
    command = [script, "run", sys.executable, "-m", "seatrial.vm", *words]
    os.execv(script, command)  # noqa: S606 - by its path


def leave(root: Path) -> None:
    """Stop the libvirtd of our own, and with it all that runs in its namespaces."""
    subprocess.run([str(root / "vagrant" / "host" / "libvirt"), "stop"], check=False)


def without_kvm() -> str | None:
    """Return why guests are emulated in software here, or None where KVM works.

    ``/dev/kvm`` may be there and run no stock kernel; the Vagrantfile decides by the same signs.
    """
    if not os.access("/dev/kvm", os.W_OK):
        return "there is no /dev/kvm that may be used"
    if Path("/sys/module/kvm_pvm").exists():
        return "this host's KVM is a paravirtual one, which boots no stock kernel"
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults"]
    try:
        asked = subprocess.run(
            [*command, "-display", "none", "-S", "-monitor", "stdio"],
            input=b"quit\n", capture_output=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "QEMU does not start with KVM"
    return None if asked.returncode == 0 else "QEMU does not start with KVM"


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
