"""One guest as a machine: started, asked, fetched from and removed through Vagrant."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vagrant as python_vagrant

from seatrial.vm import host
from seatrial.vm.errors import VmError

if TYPE_CHECKING:
    from seatrial.vm.guests import Guest

#: Seconds for each step, from the slow end of what was seen without KVM on a busy machine.
UP_S, DOWN_S, STEP_S = 1200, 120, 120


class Machine:
    """A guest of the checkout ``root``."""

    def __init__(self, root: Path, guest: Guest) -> None:
        """Nothing is started yet."""
        self.root, self.guest = root, guest
        # It comes without types.
        self._vagrant: Any = python_vagrant.Vagrant(  # type: ignore[no-untyped-call]
            root=str(root), env=host.environment(), quiet_stdout=False
        )
        self._ssh_config: Path | None = None

    @property
    def state(self) -> str:
        """What Vagrant says of it: running, shutoff, not_created and the like."""
        (status,) = self._vagrant.status(vm_name=self.guest.name)
        return str(status.state)

    def up(self) -> None:
        """Have it running and provisioned; what Vagrant says is shown.

        Raises:
            VmError: it does not boot in time, or provisioning fails.
        """
        is_new = self.state == "not_created"
        self._call("up", self.guest.name, "--no-destroy-on-error", seconds=UP_S)
        if not is_new:
            # Vagrant installs the first time only; what the tree has become since is to be there.
            self._call("rsync", self.guest.name, seconds=UP_S)
            self._call("provision", self.guest.name, seconds=UP_S)

    def down(self) -> None:
        """Remove it and its disk.

        Raises:
            VmError: Vagrant cannot.
        """
        self._call("destroy", "--force", self.guest.name, seconds=DOWN_S)

    def run(self, *command: str, seconds: float) -> int:
        """Run a command in it as root, with its output shown; return the exit status.

        Raises:
            VmError: it takes more than ``seconds``.
        """
        return self._timed(self._ssh(*command), seconds, f"{command[0]} in {self.guest.name}")

    def ask(self, *command: str) -> str:
        """Run a short command in it as root; return what it prints.

        Raises:
            VmError: it fails or takes too long.
        """
        try:
            done = subprocess.run(
                self._ssh(*command), capture_output=True, text=True, timeout=STEP_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise VmError(f"{self.guest.name} did not answer within {STEP_S} s") from None
        if done.returncode != 0:
            raise VmError(f"{command[0]} failed in {self.guest.name}: {done.stderr.strip()}")
        return done.stdout

    def fetch(self, path: str, file: Path) -> None:
        """Bring the file ``path`` home, whole or not at all.

        Raises:
            VmError: it is not there.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(self.ask("cat", path), "utf-8")
        new.replace(file)

    def ssh_config(self) -> Path:
        """Return a file of ssh's configuration for it, as testinfra takes it."""
        if self._ssh_config is None:
            text = self._vagrant.ssh_config(vm_name=self.guest.name)
            folder = Path(tempfile.mkdtemp(prefix="seatrial-vm-"))
            self._ssh_config = folder / "ssh_config"
            self._ssh_config.write_text(text, "utf-8")
        return self._ssh_config

    def close(self) -> None:
        """Remove what was written to reach it."""
        if self._ssh_config is not None:
            self._ssh_config.unlink()
            self._ssh_config.parent.rmdir()
            self._ssh_config = None

    def _ssh(self, *command: str) -> list[str]:
        config = str(self.ssh_config())
        return ["ssh", "-F", config, "-o", "LogLevel=ERROR", self.guest.name, "sudo", *command]

    def _call(self, *words: str, seconds: float) -> None:
        command = ["vagrant", *words]
        if self._timed(command, seconds, f"vagrant {words[0]} {self.guest.name}") != 0:
            raise VmError(
                f"vagrant {words[0]} {self.guest.name} failed",
                hint=f"seatrial vm down {self.guest.name} removes what there is of it",
            )

    def _timed(self, command: list[str], seconds: float, what: str) -> int:
        # A group of its own, so that all of it can be ended; Ctrl-C is handed on.
        child = subprocess.Popen(
            command, cwd=self.root, env=host.environment(), stdin=subprocess.DEVNULL,
            process_group=0,
        )  # fmt: skip
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise VmError(
                f"{what} took more than {seconds:.0f} s and was ended",
                hint=f"seatrial vm down {self.guest.name} removes what there is of it",
            ) from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGINT)
                try:
                    child.wait(STEP_S)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
