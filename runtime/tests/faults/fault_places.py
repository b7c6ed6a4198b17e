"""Where faults happen: namespaces of a worker's own, a bundle that is new each time, an audit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import fault_cases
import thousand

if TYPE_CHECKING:
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


class Place(thousand.Place):
    """One worker's."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        super().__init__(folder)
        self.binaries = binaries
        self.data, self.agent = folder / "data", folder / "agent.sock"
        self.console, self.pid_file = folder / "console.sock", folder / "bundle-0" / "pid"
        self.bundle_folder = folder / "bundle-0"
        self.cpu = min(os.sched_getaffinity(0))
        self.arguments: tuple[str, ...] = ()
        self._holder: subprocess.Popen[bytes] | None = None
        self._listening: list[socket.socket] = []

    def prepare(self) -> None:
        """Make what all containers share."""
        self.folder.chmod(0o755)
        self.root.mkdir(0o700)
        self.data.mkdir()
        (self.data / "file").write_text("data\n", "utf-8")
        for path in (self.agent, self.console):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(str(path))
            listening.listen(16)
            listening.setblocking(False)  # noqa: FBT003 - the socket's own name for it
            self._listening.append(listening)

    def holder(self) -> int:
        """Return the pid of a process with namespaces of its own."""
        if self._holder is None:
            command = ["unshare", "--net", "--ipc", str(self.binaries / "program"), "wait"]
            self._holder = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            words = Path(f"/proc/{self._holder.pid}/cmdline")
            while not words.read_bytes().startswith(os.fsencode(command[-2])):
                time.sleep(0.001)
        return self._holder.pid

    def close(self) -> None:
        """End what was started."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()

    def renew(self, case: Case, arguments: tuple[str, ...]) -> None:
        """Lay the bundle anew, and what the case takes from the host."""
        self.arguments = arguments
        shutil.rmtree(self.bundle_folder, ignore_errors=True)
        rootfs = self.bundle_folder / "rootfs"
        rootfs.mkdir(parents=True)
        for name in ("proc", "dev", "sys"):
            (rootfs / name).mkdir()
        (rootfs / "masked").touch()
        os.link(self.binaries / "program", rootfs / "program")
        content = fault_cases.document(case.name, self)
        if "uidMappings" in content["linux"]:
            for each in (rootfs, *rootfs.iterdir()):
                if each.name != "program":
                    os.chown(each, 100000, 100000)
        (self.bundle_folder / "config.json").write_text(json.dumps(content), "utf-8")
        if case.name == "device" and not Path("/proc/sys/net/ipv4/conf/moved0").exists():
            subprocess.run(["ip", "tuntap", "add", "dev", "moved0", "mode", "tun"], check=True)
        self.accept()

    def accept(self) -> None:
        """Take what has come over the sockets, and drop it."""
        for listening in self._listening:
            with contextlib.suppress(BlockingIOError):
                while True:
                    listening.accept()[0].close()

    def call(self, case: Case, *words: str, inject: tuple[str, ...] | None = None) -> Done:
        """Call the runtime, under the tracer where ``inject`` is given."""
        command = [str(self.binaries / "seatrial-oci"), "--root", str(self.root), *words]
        report = self.folder / "bundle-report"
        if inject is not None:
            marker = "config.json" if words[0] in {"create", "run"} else str(self.root)
            command = [str(self.binaries / "inject"), *inject, str(report), marker, *command]
            report.unlink(missing_ok=True)
        # A file: a container holds its stderr open, and a pipe would be read until it ends.
        with (self.folder / "bundle-stderr").open("w+", encoding="utf-8", errors="replace") as said:
            process = subprocess.Popen(
                [*case.view, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=said, cwd=self.bundle_folder,
            )  # fmt: skip
            try:
                status = process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                status = HUNG
            said.seek(0)
            text = said.read()
        if inject is None:
            return Done(status, text)
        told = report.read_text("utf-8", "replace") if report.exists() else ""
        last = told.splitlines()[-1] if told else ""
        if status == 0 and last.startswith("end\t"):
            status = int(last.split("\t")[1])
        return Done(status, text, told)

    def words(self, case: Case, verb: str) -> list[str]:
        """Return the command line of a verb."""
        bundle = ["--bundle", str(self.bundle_folder)]
        terminal = case.name == "terminal"
        console = ["--console-socket", str(self.console)] if terminal else []
        return {
            "create": ["create", *bundle, "--pid-file", str(self.pid_file), *console, ID],
            "run": ["run", *bundle, ID],
            "start": ["start", ID],
            "exec": ["exec", *(["--tty"] if terminal else []), ID, "/program"],
            "kill": ["kill", ID, "KILL"],
            "delete": ["delete", ID],
            "delete --force": ["delete", "--force", ID],
        }[verb]

    def inventory(self) -> dict[str, set[str]]:
        """Return what there is that a container could leave behind."""
        found = thousand.inventory(self)
        found["network devices"] = set(os.listdir("/proc/sys/net/ipv4/conf"))
        return found

    def rootfs(self) -> set[str]:
        """Return what is in the bundle's root."""
        rootfs = self.bundle_folder / "rootfs"
        return {str(each.relative_to(rootfs)) for each in rootfs.rglob("*")}

    def left(self, before: dict[str, set[str]], but: tuple[str, ...] = ()) -> list[str]:
        """Return what is there that was not; what a dying process holds has some time to go."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.accept()
            after = self.inventory()
            found = [
                f"{what} left: {sorted(after[what] - before[what])[:5]}"
                for what in after
                if what not in but and after[what] - before[what]
            ]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.003)


HUNG = 1000
