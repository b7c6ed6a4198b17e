"""Where faults happen: namespaces of a worker's own, a bundle that is new each time, an audit."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import fault_cases
import place

from seatrial.oci import kept

if TYPE_CHECKING:
    from collections.abc import Collection

    from fault_cases import Case

#: Each worker has these; the shell is the init, and reaps what the runtime leaves to that.
NAMESPACES = (
    "unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--kill-child", "--mount-proc",
    "sh", "-c", '"$@"; exit $?', "sh",
)  # fmt: skip
PATIENCE_S = 15.0
#: No command takes longer, unless it hangs; what does not die is waited for ten seconds.
HANG_S = 60.0
ID = "c"


class Done(NamedTuple):
    """What came of a command; the exit status is negative for a signal."""

    status: int
    said: str
    report: str = ""
    printed: str = ""


def wait_for_the_end(pid: int, deadline: float) -> bool:
    """Wait until a process has ended; whether it has."""
    try:
        ending = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        left = max(deadline - time.monotonic(), 0)
        return bool(select.select([ending], [], [], left)[0])
    finally:
        os.close(ending)


def _pid(process: str) -> int:
    return int(process.partition(" ")[0])


class Place(place.Place):
    """One worker's."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        super().__init__(folder)
        self.binaries = binaries
        self.data, self.agent = folder / "data", folder / "agent.sock"
        self.console, self.pid_file = folder / "console.sock", folder / "bundle-0" / "pid"
        self.bundle_folder = folder / "bundle-0"
        self.cpu = min(os.sched_getaffinity(0))
        self.arguments: tuple[str, ...] = ()
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._listening: list[socket.socket] = []

    @property
    def plans(self) -> Path:
        """Where plans are kept."""
        return Path(kept.folder_of(str(self.root)))

    def prepare(self) -> None:
        """Make what all containers share."""
        self.folder.chmod(0o755)
        for each in (self.root, self.plans):
            each.mkdir(0o700)
        self.data.mkdir()
        (self.data / "file").write_text("data\n", "utf-8")
        for path in (self.agent, self.console):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(str(path))
            listening.listen(16)
            listening.setblocking(False)  # noqa: FBT003 - the socket's own name for it
            self._listening.append(listening)

    def holder(self, *namespaces: str, setup: str = "true") -> int:
        """Return the pid of a process with namespaces of its own, where ``setup`` was done."""
        key = " ".join((*namespaces, setup))
        if key not in self._holders:
            script = ("sh", "-ec", f'{setup}; exec "$@"', "sh")
            command = ["unshare", *namespaces, *script, str(self.binaries / "program"), "hold"]
            made = self._holders[key] = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert made.stdout is not None
            if not made.stdout.read(1):
                raise RuntimeError(f"cannot make namespaces: {' '.join(command)}")
        return self._holders[key].pid

    def view(self, case: Case) -> tuple[str, ...]:
        """Return what a command is begun by, for it to see the host as in this case."""
        if not case.view:
            return ()
        pid = self.holder("--mount", "--propagation", "private", setup=case.view)
        return ("nsenter", f"--mount=/proc/{pid}/ns/mnt", "--")

    def close(self) -> None:
        """End what was started."""
        for each in self._holders.values():
            each.kill()
            each.communicate()

    def renew(self, case: Case, arguments: tuple[str, ...]) -> None:
        """Lay the bundle anew, and what the case takes from the host."""
        self.arguments = arguments
        self.view(case)
        shutil.rmtree(self.bundle_folder, ignore_errors=True)
        rootfs = self.bundle_folder / "rootfs"
        rootfs.mkdir(parents=True)
        for name in ("proc", "dev", "sys"):
            (rootfs / name).mkdir()
        (rootfs / "masked").touch()
        os.link(self.binaries / "program", rootfs / "program")
        content = fault_cases.document(case.config, self)
        if "uidMappings" in content["linux"]:
            for each in (rootfs, *rootfs.iterdir()):
                if each.name != "program":
                    os.chown(each, 100000, 100000)
        (self.bundle_folder / "config.json").write_text(json.dumps(content), "utf-8")
        if case.config == "device" and not Path("/proc/sys/net/ipv4/conf/moved0").exists():
            subprocess.run(["ip", "tuntap", "add", "dev", "moved0", "mode", "tun"], check=True)
        self.accept()

    def accept(self) -> None:
        """Take what has come over the sockets, and drop it."""
        for listening in self._listening:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listening.accept()[0].close()

    def call(
        self, case: Case, *words: str, inject: tuple[str, ...] | None = None, keeps: bool = True
    ) -> Done:
        """Call the runtime, under the tracer where ``inject`` is given.

        ``keeps``: it may use the plan that is kept, and keep one.
        """
        command = [str(self.binaries / "seatrial-oci"), "--root", str(self.root), *words]
        report = self.folder / "bundle-report"
        if inject is not None:
            marker = "config.json" if words[0] in {"create", "run"} else str(self.root)
            command = [str(self.binaries / "inject"), *inject, str(report), marker, *command]
            report.unlink(missing_ok=True)
        # Files: a container holds them open, and a pipe would be read until it ends.
        with (
            (self.folder / "bundle-stderr").open("w+", encoding="utf-8", errors="replace") as said,
            (self.folder / "bundle-stdout").open("w+", encoding="utf-8", errors="replace") as told,
        ):
            process = subprocess.Popen(
                [*self.view(case), *command], stdin=subprocess.DEVNULL, stdout=told, stderr=said,
                cwd=self.bundle_folder, env={**os.environ, kept.SWITCH: "on" if keeps else "off"},
            )  # fmt: skip
            try:
                status = process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = HUNG
            for each in (said, told):
                each.seek(0)
            done = Done(status, said.read(), printed=told.read())
        if inject is None:
            return done
        text = report.read_text("utf-8", "replace") if report.exists() else ""
        last = text.splitlines()[-1] if text else ""
        if status == 0 and last.startswith("end\t"):
            status = int(last.split("\t")[1])
        return done._replace(status=status, report=text)

    def words(self, case: Case, verb: str) -> list[str]:
        """Return the command line of a verb."""
        bundle = ["--bundle", str(self.bundle_folder)]
        terminal = case.config == "terminal"
        console = ["--console-socket", str(self.console)] if terminal else []
        return {
            "create": ["create", *bundle, "--pid-file", str(self.pid_file), *console, ID],
            "run": ["run", *bundle, ID],
            "start": ["start", ID],
            "state": ["state", ID],
            "exec": ["exec", *(["--tty"] if terminal else []), ID, "/program"],
            "kill": ["kill", ID, "KILL"],
            "delete": ["delete", ID],
            "delete --force": ["delete", "--force", ID],
        }[verb]

    def inventory(self, ended: Collection[int] = ()) -> dict[str, set[str]]:
        """Return what there is that a container could leave behind.

        Processes that have ended may not have been reaped by the init yet.
        """
        found = place.inventory(self)
        found["processes"] = {each for each in found["processes"] if _pid(each) not in ended}
        found["namespaces"] = place.namespaces(ended)
        found["network devices"] = set(os.listdir("/proc/sys/net/ipv4/conf"))
        return found

    def rootfs(self) -> set[str]:
        """Return what is in the bundle's root."""
        rootfs = self.bundle_folder / "rootfs"
        return {str(each.relative_to(rootfs)) for each in rootfs.rglob("*")}

    def left(self, before: dict[str, set[str]], but: tuple[str, ...] = ()) -> list[str]:
        """Return what is there that was not; processes that are dying have some time to go."""
        deadline = time.monotonic() + PATIENCE_S
        ended: set[int] = set()
        while True:
            self.accept()
            after = self.inventory(ended)
            new = {what: sorted(after[what] - before[what]) for what in after if what not in but}
            living = {_pid(each) for each in new["processes"]}
            # All else that a container has goes before the last of its processes.
            if not living or not all(wait_for_the_end(each, deadline) for each in living):
                return [f"{what} left: {names[:5]}" for what, names in new.items() if names]
            ended |= living

    def torn_plans(self) -> list[str]:
        """Return what in the store of plans is no whole plan."""
        found = []
        for each in self.plans.iterdir():
            try:
                kept.sections_of(each.read_bytes())
            except (ValueError, struct.error) as error:
                found.append(f"{each.name}: {error}")
        return found

    def forget_plans(self) -> None:
        """Keep no plan any more."""
        for each in self.plans.iterdir():
            each.unlink()


HUNG = 1000
