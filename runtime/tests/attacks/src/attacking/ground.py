"""Where attacks take place: a mount namespace of their own, a copy of everything, a sentinel.

Nothing here is the host's: the image, the volumes and the "host" that an attack is to reach are on
a tmpfs that nobody else sees.  The kernel's own files are opened at most, never written to.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CSRC = Path(__file__).resolve().parents[4] / "csrc"
TIMEOUT_S = 20.0
_NEW_NETWORK, _NEW_MOUNTS, _SAME_FOLDERS = 0x40000000, 0x20000, 0x200
_PRIVATE, _RECURSIVE, _DETACH = 1 << 18, 0x4000, 2
_libc = ctypes.CDLL(None, use_errno=True)

#: What Docker grants by default.
CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)]  # fmt: skip
MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
]  # fmt: skip
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
#: What no container needs and attacks use; engines have longer lists (A17 takes one of theirs).
REFUSED = [
    "add_key", "bpf", "clone3", "fsconfig", "fsmount", "fsopen", "fspick", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_load", "keyctl", "mount",
    "mount_setattr", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open",
    "pivot_root", "ptrace", "reboot", "request_key", "setns", "swapon", "umount2", "unshare",
    "userfaultfd",
]  # fmt: skip
NEW_USER_NAMESPACE = 0x10000000


class Done(NamedTuple):
    """What a command of the runtime came to: its exit status, and all that was said."""

    status: int
    said: str

    @property
    def failed(self) -> bool:
        """Whether the runtime, or the program, did not succeed."""
        return self.status != 0

    @property
    def error(self) -> str:
        """The last line, which is where runtimes say what was wrong."""
        return self.said.strip().rpartition("\n")[2][-300:]

    def step(self, name: str) -> str:
        """Return what the attacker said of a step, all lines of it; empty where it said nothing."""
        found = [line.removeprefix(name).strip() for line in self.said.splitlines()
                 if line == name or line.startswith(f"{name} ")]  # fmt: skip
        return "; ".join(found)


def config() -> dict[str, Any]:
    """Return the config of a container as engines make them by default."""
    rule = {"allow": True, "type": "c", "access": "rwm"}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {
            "cwd": "/",
            "args": [],
            "env": ["PATH=/"],
            "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": False,
            "capabilities": {each: [*CAPABILITIES] for each in
                             ("bounding", "effective", "permitted")},
        },
        "hostname": "attacked",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "namespaces": [{"type": each} for each in
                           ("mount", "pid", "ipc", "uts", "network", "cgroup")],
            "maskedPaths": [*MASKED],
            "readonlyPaths": [*READ_ONLY],
            "resources": {"devices": [
                {"allow": False, "access": "rwm"},
                *({**rule, "major": major, **({} if minor is None else {"minor": minor})}
                  for major, minor in _DEVICES),
                {"allow": True, "type": "b", "access": "m"},
                {"allow": True, "type": "c", "access": "m"},
            ]},
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                "syscalls": [
                    {"names": [*REFUSED], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
                    {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM,
                     "args": [{"index": 0, "value": NEW_USER_NAMESPACE,
                               "valueTwo": NEW_USER_NAMESPACE, "op": "SCMP_CMP_MASKED_EQ"}]},
                    {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM,
                     "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]},
                ],
            },
        },
    }  # fmt: skip


class Bundle:
    """One bundle: its root filesystem is to be spoiled by the attack, its config to be changed."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self.ground, self.folder, self.rootfs = ground, folder, folder / "rootfs"
        for name in ("proc", "dev", "sys", "tmp", "etc", "vol", "out"):
            (self.rootfs / name).mkdir(parents=True)
        os.link(ground.attacker, self.rootfs / "attacker")
        self.config = config()
        self.linux: dict[str, Any] = self.config["linux"]
        self.process: dict[str, Any] = self.config["process"]
        self.mounts: list[dict[str, Any]] = self.config["mounts"]

    def without_mount(self, destination: str) -> None:
        """Leave out what is mounted there and below."""
        self.mounts[:] = [each for each in self.mounts if each["destination"] != destination
                          and not each["destination"].startswith(f"{destination}/")]  # fmt: skip

    def bind(self, source: Path, destination: str) -> None:
        """Mount a folder of the host's: a volume."""
        self.mounts.append(
            {"destination": destination, "type": "bind", "source": str(source),
             "options": ["rbind", "rw"]}
        )  # fmt: skip

    def run(self, *steps: str, **more: Any) -> Done:
        """Run the attacker with these steps to its end."""
        return self.run_args("/attacker", *steps, **more)

    def run_args(self, *args: str, descriptors: tuple[int, ...] = ()) -> Done:
        """Run a program to its end."""
        self.process["args"] = [*args]
        return self.ground.call("run", "--bundle", str(self.write()), self.ground.new_id(),
                                descriptors=descriptors)  # fmt: skip

    def start(self, *steps: str, **more: Any) -> Running:
        """Create and start a container whose attacker goes on; raises ``Refused``."""
        container = self.create(*steps, **more)
        done = self.ground.call("start", container.id)
        if done.failed:
            raise Refused(done.error)
        return container

    def create(self, *steps: str, options: tuple[str, ...] = ()) -> Running:
        """Create a container; raises ``Refused``."""
        self.process["args"] = ["/attacker", *steps]
        identifier = self.ground.new_id()
        pid_file = self.folder / "pid"
        output = self.folder / "output"
        done = self.ground.call("create", "--bundle", str(self.write()), "--pid-file",
                                str(pid_file), *options, identifier, output=output)  # fmt: skip
        if done.failed:
            raise Refused(done.error or f"exit status {done.status}")
        return Running(self.ground, identifier, int(pid_file.read_text("ascii")), output)

    def write(self) -> Path:
        """Write its config; return its folder."""
        (self.folder / "config.json").write_text(json.dumps(self.config), "utf-8")
        return self.folder


class Refused(Exception):  # noqa: N818 - an outcome that is well
    """The runtime refused to make the container; the text is what it said."""


class Running:
    """A container that was created: it is deleted with the ground, or by ``delete``."""

    def __init__(self, ground: Ground, identifier: str, pid: int, output: Path) -> None:
        self.ground, self.id, self.pid, self.output = ground, identifier, pid, output

    def execute(
        self, *args: str, options: tuple[str, ...] = (), descriptors: tuple[int, ...] = ()
    ) -> Done:
        """Execute a further program in it."""
        return self.ground.call("exec", *options, self.id, *args, descriptors=descriptors)

    def ended(self, *, sent: int = 0) -> Done:
        """Send its first program a signal, wait for its end, return what it has said."""
        try:
            process = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return Done(0, self.output.read_text("utf-8", "replace"))
        try:
            if sent:
                signal.pidfd_send_signal(process, sent)
            poller = select.poll()
            poller.register(process, select.POLLIN)
            over = poller.poll(TIMEOUT_S * 1000)
        finally:
            os.close(process)
        return Done(0 if over else -1, self.output.read_text("utf-8", "replace"))

    def alive(self) -> bool:
        """Whether its first process is there, and no zombie."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text("utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}

    def delete(self) -> None:
        """Remove it."""
        self.ground.call("delete", "--force", self.id)


class Ground:
    """A context in which one runtime is attacked."""

    _grounds = itertools.count()

    def __init__(self, command: list[str], *, seconds: float = 1.0, keeps: bool = False) -> None:
        #: The runtime, as it is called; how long a race goes on.
        self.command, self.seconds = command, seconds
        #: Whether the plan of each bundle is kept before (of seatrial-oci only), and which are.
        self.keeps = keeps
        self.kept: dict[str, bytes] = {}
        self.view = "host"
        self._name = f"attack{os.getpid()}-{next(self._grounds)}"
        self._count = 0
        self._ids: list[str] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Enter a mount namespace and make the image; raises ``OSError``."""
        with contextlib.ExitStack() as stack:
            made = Path(tempfile.mkdtemp(prefix="seatrial-attacks-"))
            stack.callback(made.rmdir)
            stack.enter_context(private_namespaces())
            mount("tmpfs", made, "tmpfs", "mode=755")
            self.folder = made
            self.cgroup = f"/seatrial-{self._name}"
            stack.callback(self._clean)
            self.attacker = made / "attacker"
            shutil.copy(compiled(), self.attacker)
            self.state = made / "state"
            self.host = made / "host"
            self.host.joinpath("inner").mkdir(parents=True)
            for name in ("marker", "inner/null", "inner/console"):
                (self.host / name).write_text("secret", "ascii")
                (self.host / name).chmod(0o640)
            self.before = self.sentinel()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove containers, cgroups, files; leave the namespace."""
        self._stack.close()

    def bundle(self) -> Bundle:
        """Return a new bundle."""
        self._count += 1
        return Bundle(self, self.folder / f"bundle{self._count}")

    def volume(self, *folders: str) -> Path:
        """Return a new folder that containers may share, with folders in it."""
        self._count += 1
        made = self.folder / f"volume{self._count}"
        made.mkdir()
        for each in folders:
            (made / each).mkdir(parents=True)
        return made

    def new_id(self) -> str:
        """Return an id that is free."""
        self._ids.append(f"{self._name}-{len(self._ids)}")
        return self._ids[-1]

    def call(
        self,
        verb: str,
        *words: str,
        descriptors: tuple[int, ...] = (),
        output: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        wrapper: tuple[str, ...] = (),
    ) -> Done:
        """Call the runtime; what is not done after a while is killed, and has failed."""
        if output is None:
            self._count += 1
            output = self.folder / f"said{self._count}"
        if "--bundle" in words:
            self._place(Path(words[words.index("--bundle") + 1]) / "config.json", words[-1])
            if self.keeps:
                self._keep(words[words.index("--bundle") + 1])
        command = [*wrapper, *self.command, "--root", str(self.state), verb, *words]
        # A file: a container holds its output open, and a pipe would be read until it ends.
        with output.open("w+b") as file:
            try:
                status = subprocess.run(
                    command, stdin=stdin, stdout=file, stderr=file, pass_fds=descriptors,
                    check=False, timeout=TIMEOUT_S, env=self._environment(),
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                status = -1
            file.seek(0)
            return Done(status, file.read().decode("utf-8", "replace"))

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **({"SEATRIAL_OCI_CACHE": "on"} if self.keeps else {})}

    def _keep(self, bundle: str) -> None:
        content = Path(bundle, "config.json").read_bytes()
        if self.kept.get(bundle) != content:
            command = [*self.command, "--root", str(self.state), "keep", "--bundle", bundle]
            # What the runtime refuses, or only Python makes, has no plan that could be kept.
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                self.kept[bundle] = content

    def _place(self, file: Path, identifier: str) -> None:
        document = json.loads(file.read_text("utf-8"))
        document["linux"].setdefault("cgroupsPath", f"{self.cgroup}/{identifier}")
        file.write_text(json.dumps(document), "utf-8")

    def sentinel(self) -> dict[str, str]:
        """Return all that there is of the "host", with modes and contents."""
        found = {}
        for path in (self.host, *sorted(self.host.rglob("*"))):
            there = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            name = str(path.relative_to(self.folder))
            found[name] = f"{there.st_mode:o} {there.st_uid}:{there.st_gid} {content}"
        return found

    def harm(self) -> str:
        """Return what is different on the "host"; empty where nothing is."""
        now = self.sentinel()
        differ = [name for name in sorted({*now, *self.before})
                  if now.get(name) != self.before.get(name)]  # fmt: skip
        return ", ".join(differ)

    def heal(self) -> None:
        """Put the "host" as it was."""
        for path in sorted(self.host.rglob("*"), reverse=True):
            if str(path.relative_to(self.folder)) not in self.before:
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    def fits(self) -> str:
        """Try a container; return why there can be none. The view that it takes is kept."""
        bundle = self.bundle()
        done = bundle.run("identity")
        unified = Path("/sys/fs/cgroup/unified")
        if done.failed and unified.is_dir():
            # crun refuses hosts with controllers on both hierarchies.
            umount(unified)
            self.view = "v1"
            done = bundle.run("identity")
        return done.error or f"exit status {done.status}" if done.failed else ""

    def processes(self, identifier: str) -> list[str]:
        """Return the processes in a container's cgroups."""
        return [pid for each in self._cgroups(f"{identifier}/cgroup.procs")
                for pid in each.read_text("ascii").split()]  # fmt: skip

    def cgroups_of(self, identifier: str) -> list[Path]:
        """Return a container's cgroups."""
        return self._cgroups(identifier)

    def _clean(self) -> None:
        for identifier in self._ids:
            if (self.state / identifier).exists():
                self.call("delete", "--force", identifier)
        # A runtime that hung, or was told to do the wrong thing, may have left somebody.
        for procs in self._cgroups("**/cgroup.procs"):
            with contextlib.suppress(OSError):
                for pid in procs.read_text("ascii").split():
                    process = os.pidfd_open(int(pid))
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    poller = select.poll()
                    poller.register(process, select.POLLIN)
                    poller.poll(TIMEOUT_S * 1000)
                    os.close(process)
        until = time.monotonic() + 5
        for below in self._cgroups("**/"):
            while below.exists() and time.monotonic() < until:
                # A killed task leaves its cgroup a moment after its end is seen.
                try:
                    below.rmdir()
                except OSError:
                    os.sched_yield()

    def _cgroups(self, pattern: str) -> list[Path]:
        found: list[Path] = []
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            found += Path(f"{hierarchy}{self.cgroup}").glob(pattern)
        return sorted(found, reverse=True)


def mount(source: str, target: Path, kind: str | None, data: str = "", flags: int = 0) -> None:
    """Call mount(2); raises ``OSError``."""
    name = kind.encode() if kind else None
    if _libc.mount(source.encode(), os.fsencode(target), name, flags, data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def umount(target: Path) -> None:
    """Call umount2(2), lazily; raises ``OSError``."""
    if _libc.umount2(os.fsencode(target), _DETACH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


@contextlib.contextmanager
def private_namespaces() -> Iterator[None]:
    """Have this thread in a mount and a network namespace of its own, and then back again."""
    kinds = {"mnt": _NEW_MOUNTS, "net": _NEW_NETWORK}
    with contextlib.ExitStack() as stack:
        before = {}
        for kind, flag in kinds.items():
            path = f"/proc/thread-self/ns/{kind}"
            before[os.open(path, os.O_RDONLY | os.O_CLOEXEC)] = flag
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        for each in (here, *before):
            stack.callback(os.close, each)
        # setns(2) into a mount namespace wants a root and a working directory of one's own.
        if _libc.unshare(_SAME_FOLDERS) != 0 or _libc.unshare(_NEW_MOUNTS | _NEW_NETWORK) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unshare: {os.strerror(number)}")
        try:
            mount("none", Path("/"), None, flags=_PRIVATE | _RECURSIVE)
            yield
        finally:
            for descriptor, flag in before.items():
                if _libc.setns(descriptor, flag) != 0:
                    raise SystemExit("cannot go back into the namespaces that we are from")
            os.fchdir(here)


def compiled() -> Path:
    """Compile the attacker where its sources are newer; return the program."""
    sources = sorted((CSRC / "attacks").iterdir())
    program = CSRC.parents[1] / "build" / "attacks" / "attacker"
    newest = max(each.stat().st_mtime_ns for each in sources)
    if not program.exists() or program.stat().st_mtime_ns < newest:
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_name(f"attacker.{os.getpid()}")
        subprocess.run(
            ["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-o", str(fresh),
             *(str(each) for each in sources if each.suffix == ".c")],
            check=True,
        )  # fmt: skip
        fresh.replace(program)
    return program
