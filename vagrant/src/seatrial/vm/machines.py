"""One guest as a machine: started, asked, fetched from and removed through Vagrant."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.vm import host
from seatrial.vm.errors import VmError

if TYPE_CHECKING:
    from seatrial.vm.guests import Guest

#: Seconds for each step, from the slow end of what was seen without KVM on a busy machine.
UP_S, DOWN_S, STEP_S = 1200, 120, 120
#: The state of a guest in which this tree is installed and nothing has run yet.
_SNAPSHOT = "installed"


def _reason(stdout: str, stderr: str) -> str:
    """Return in one line why a command failed; Vagrant tells machines on its standard output."""
    for line in stdout.splitlines():
        if line.split(",")[2:3] == ["error-exit"]:
            text = line.split(",", 4)[-1].replace("%!(VAGRANT_COMMA)", ",").replace("\\n", " ")
            return " ".join(text.split())
    return " ".join(stderr.split()) or "it did not say why"


class Machine:
    """A guest of the checkout ``root``."""

    def __init__(self, root: Path, guest: Guest) -> None:
        """Nothing is started yet."""
        self.root, self.guest = root, guest
        self._ssh_config: Path | None = None

    @property
    def state(self) -> str:
        """What Vagrant says of it: running, shutoff, not_created and the like."""
        for line in self._asked("status", "--machine-readable", self.guest.name).splitlines():
            _, _, kind, text = [*line.split(",", 3), "", "", ""][:4]
            if kind == "state":
                return text
        raise VmError(f"vagrant does not say how {self.guest.name} is")

    def up(self) -> None:
        """Have it running, with this tree installed and nothing run yet.

        What Vagrant says is shown.

        Raises:
            VmError: it does not boot in time, or provisioning fails.
        """
        name = self.guest.name
        if self.state == "not_created":
            self._call("up", name, "--no-destroy-on-error", seconds=UP_S)
        else:
            if _SNAPSHOT in self._asked("snapshot", "list", name).split():
                self._call("snapshot", "restore", "--no-provision", name, _SNAPSHOT, seconds=UP_S)
                self.ask("date", "--set", f"@{time.time():.0f}")  # it went on from where it was
            else:
                self._call("up", name, seconds=UP_S)
            # Vagrant installs the first time only; what the tree has become since is to be there.
            self._call("rsync", name, seconds=UP_S)
            self._call("provision", name, seconds=UP_S)
        self._call("snapshot", "save", "--force", name, _SNAPSHOT, seconds=UP_S)

    def down(self) -> None:
        """Remove it and its disk, if it is there.

        Raises:
            VmError: Vagrant cannot.
        """
        if self.state != "not_created":
            self._call("destroy", "--force", self.guest.name, seconds=DOWN_S)

    def run(self, program: str, *arguments: str, seconds: float) -> int:
        """Run a program in it as root, with its output shown; return the exit status.

        Raises:
            VmError: it takes more than ``seconds``.
        """
        command = self._ssh("PYTHONUNBUFFERED=1", program, *arguments)
        try:
            return self._timed(command, seconds, f"{program} in {self.guest.name}")
        except (VmError, KeyboardInterrupt):
            # That ended ssh; the program goes on until it is told.
            with contextlib.suppress(VmError):
                self.ask("pkill", "-INT", "-x", program)
            raise

    def ask(self, *command: str) -> str:
        """Run a short command in it as root; return what it prints.

        Raises:
            VmError: it fails or takes too long.
        """
        return self._answer(self._ssh(*command), f"{command[0]} in {self.guest.name}").decode()

    def fetch(self, path: str, file: Path) -> None:
        """Bring the file ``path`` home, whole or not at all.

        Raises:
            VmError: it is not there.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_bytes(self._answer(self._ssh("cat", path), f"cat in {self.guest.name}"))
        new.replace(file)

    def fetch_folder(self, path: str, folder: Path) -> None:
        """Bring the folder ``path`` home in place of ``folder``, whole or not at all.

        Raises:
            VmError: it is not there.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        packed = self._answer(self._ssh("tar", "-C", path, "-c", "."), f"tar in {self.guest.name}")
        new = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        subprocess.run(["tar", "-C", str(new), "--no-same-owner", "-x"], input=packed, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)

    def ssh_config(self) -> Path:
        """Return a file of ssh's configuration for it, as testinfra takes it."""
        if self._ssh_config is None:
            text = self._asked("ssh-config", self.guest.name)
            folder = Path(tempfile.mkdtemp(prefix="seatrial-vm-"))
            self._ssh_config = folder / "ssh_config"
            # One connection for all: to make one takes an emulated guest seconds.
            shared = f"  ControlMaster auto\n  ControlPath {folder}/shared\n  ControlPersist 60\n"
            self._ssh_config.write_text(f"{text.rstrip()}\n{shared}", "utf-8")
        return self._ssh_config

    def close(self) -> None:
        """Remove what was written to reach it."""
        if self._ssh_config is not None:
            command = ["ssh", "-F", str(self._ssh_config), "-O", "exit", self.guest.name]
            subprocess.run(command, capture_output=True, timeout=STEP_S, check=False)
            shutil.rmtree(self._ssh_config.parent)
            self._ssh_config = None

    def _ssh(self, *command: str) -> list[str]:
        config = str(self.ssh_config())
        return ["ssh", "-F", config, "-o", "LogLevel=ERROR", self.guest.name, "sudo", *command]

    def _asked(self, *words: str) -> str:
        return self._answer(["vagrant", *words], f"vagrant {words[0]}").decode()

    def _answer(self, command: list[str], what: str) -> bytes:
        try:
            done = subprocess.run(
                command, cwd=self.root, env=host.environment(), stdin=subprocess.DEVNULL,
                capture_output=True, timeout=STEP_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise VmError(f"{what} did not answer within {STEP_S} s") from None
        if done.returncode != 0:
            raise VmError(f"{what} failed: {_reason(done.stdout.decode(), done.stderr.decode())}")
        return done.stdout

    def _call(self, *words: str, seconds: float) -> None:
        # Its bars of progress are for terminals.
        quiet = [] if sys.stdout.isatty() else ["--no-tty"]
        command = ["vagrant", *words, *quiet]
        if self._timed(command, seconds, f"vagrant {words[0]} {self.guest.name}") != 0:
            raise VmError(
                f"vagrant {words[0]} {self.guest.name} failed",
                hint=f"seatrial vm down {self.guest.name} removes what there is of it",
            )

    def _timed(self, command: list[str], seconds: float, what: str) -> int:
        # A group of its own, so that all of it can be ended; Ctrl-C is handed on. Should it come
        # while there is no child yet to hand it to, it is kept until there is.
        kept: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, _: kept.append(number))
        try:
            child = subprocess.Popen(
                command, cwd=self.root, env=host.environment(), stdin=subprocess.DEVNULL,
                process_group=0,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)
        try:
            for number in kept:
                signal.raise_signal(number)
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
                except (subprocess.TimeoutExpired, KeyboardInterrupt):
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
