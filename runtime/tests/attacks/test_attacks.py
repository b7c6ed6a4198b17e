"""Attacks on the runtime from inside of containers, each of them known from another runtime.

The container's files are the host's /usr, read-only; what is attacked is a copy of Python, made for
the test, so that an attack that succeeds does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mounting import COMMAND

from seatrial.oci import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

SPY = Path(__file__).with_name("spy.py")
LAUNCHER = Path(COMMAND)
ROOTLESS = 54321
EVERY = [f"CAP_{name}" for name in (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "KILL", "SETGID", "SETUID", "SYS_PTRACE",
    "SYS_ADMIN",
)]  # fmt: skip
SETS = ("bounding", "effective", "permitted")


class Bundle:
    """A bundle whose programs are the host's, and the calls of one runtime."""

    def __init__(self, folder: Path, command: Path, user: int = 0) -> None:
        self.folder, self.command, self.user = folder, command, user
        self.root = folder / "state"
        self.out = folder / "out"
        self.files = folder / "rootfs"
        for each in (self.files, self.out, self.root):
            each.mkdir(parents=True)
        for name in ("usr", "proc", "dev", "out", "tmp", "etc", "sys"):
            (self.files / name).mkdir()
        for name in ("lib", "lib64", "bin"):
            if Path("/", name).is_symlink():
                (self.files / name).symlink_to(f"usr/{name}")
            else:
                (self.files / name).mkdir()
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                os.chown(path, user, user)
        self.ids: list[str] = []
        self.cgroups = f"/seatrial-attacks-{os.getpid()}"

    def write(self, *args: str, **more: Any) -> str:
        """Write the config of a container that executes ``args``; return its id."""
        identifier = f"a{os.getpid()}-{len(self.ids)}-{self.folder.name[-20:]}"
        self.ids.append(identifier)
        linux, mounts = more.pop("linux", {}), more.pop("mounts", [])
        process = {"cwd": "/", "args": [*args], "env": ["PATH=/usr/bin"], **more.pop("process", {})}
        paths = more.pop("paths", {})
        kinds = ["mount", "pid", "ipc", "user"] if self.user else ["mount", "pid", "ipc"]
        mappings = [{"containerID": 0, "hostID": self.user, "size": 1}]
        if self.user and "user" not in paths:
            linux = {"uidMappings": mappings, "gidMappings": mappings, **linux}
        document = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": process,
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/out", "source": str(self.out), "options": ["bind"]},
                *({"destination": f"/{name}", "source": f"/{name}", "options": ["rbind", "ro"]}
                  for name in ("usr", "lib", "lib64", "bin") if not (self.files / name).is_symlink()
                  and Path("/", name).exists()),
                *mounts,
            ],
            "linux": {
                # Without privilege there is no cgroup that could be made.
                **({} if self.user else {"cgroupsPath": f"{self.cgroups}/{identifier}"}),
                "namespaces": [
                    {"type": kind, **({"path": paths[kind]} if kind in paths else {})}
                    for kind in kinds
                ],
                **linux,
            },
            **more,
        }  # fmt: skip
        (self.folder / "config.json").write_text(json.dumps(document), "utf-8")
        return identifier

    def call(self, *words: str, descriptors: tuple[int, ...] = (), kept: str = "") -> str:
        """Call the runtime; return what it, and the program, said.

        The program is to keep a third descriptor, that of the folder ``kept``.
        """
        said = self.folder / "said"
        options = ["--preserve-fds", "1"] if kept else []
        command = [str(self.command), "--root", str(self.root), words[0], *options, *words[1:]]
        if kept:
            command = ["sh", "-c", 'folder=$1; shift; exec "$@" 3<"$folder"', "sh", kept, *command]
        with said.open("w+") as file:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=self.folder,
                pass_fds=descriptors, check=False,
                user=self.user or None, group=self.user or None,
                extra_groups=[] if self.user else None,
            )  # fmt: skip
            file.seek(0)
            text = file.read()
        return text if done.returncode == 0 else f"FAILED {text}"

    def spy(self, **more: Any) -> int:
        """Start a container that spies; return its pid."""
        for name in ("look", "report", "write"):
            os.mkfifo(self.out / name)
            os.chown(self.out / name, self.user, self.user)
        (self.out / "spy.py").write_text(SPY.read_text("utf-8"), "utf-8")
        identifier = self.write("python3", "/out/spy.py", "/out", **more)
        pid_file = self.folder / "pid"
        assert self.call("create", "--pid-file", str(pid_file), identifier) == ""
        assert self.call("start", identifier) == ""
        return int(pid_file.read_text("ascii"))

    def ask(self, what: str) -> Any:
        """Let it look, or write; return what it reports."""
        (self.out / what).write_text("now", "ascii")
        return json.loads((self.out / "report").read_text("ascii"))

    def delete(self) -> None:
        """Remove all containers and cgroups."""
        for identifier in self.ids:
            self.call("delete", "--force", identifier)
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            left = Path(f"{hierarchy}{self.cgroups}")
            if left.is_dir():
                left.rmdir()


def bundle_in(folder: Path, command: Path, user: int = 0) -> Iterator[Bundle]:
    for each in (folder, *folder.parents):
        if each.name.startswith(("pytest-", "popen-")) or each == folder:
            each.chmod(0o755)
    bundle = Bundle(folder / "bundle", command, user)
    yield bundle
    bundle.delete()


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    yield from bundle_in(tmp_path, LAUNCHER)


@pytest.fixture
def rootless(tmp_path: Path) -> Iterator[Bundle]:
    yield from bundle_in(tmp_path, LAUNCHER, ROOTLESS)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return the launcher of an environment with a Python of its own, which may be written to."""
    environment = tmp_path / "victim"
    venv.create(environment, symlinks=False)
    python = environment / "bin" / "python3"
    assert not python.is_symlink()
    # What this Python has installed, and the package as it is tested.
    lines = "".join(f"{each}\n" for each in sys.path if each.startswith("/"))
    next(environment.glob("lib/python*/site-packages")).joinpath("ours.pth").write_text(lines)
    launcher = environment / "bin" / "seatrial-oci"
    launcher.write_bytes(LAUNCHER.read_bytes())
    launcher.chmod(0o755)
    return launcher


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_we_execute_cannot_be_written_to_from_a_pid_namespace_that_we_enter(
    tmp_path: Path, victim: Path
) -> None:
    # CVE-2019-5736
    for bundle in bundle_in(tmp_path, victim):
        python = victim.parent / "python3"
        # What the process itself executes, for its moment.
        container = Path(_core.__file__).parent / "bin" / "container"
        ours = [each for each in (python, container) if each.exists()]  # none with sanitizers
        before = [digest(each) for each in ours]
        process = {"capabilities": dict.fromkeys(SETS, EVERY)}
        pid = bundle.spy(process=process)
        waiting = bundle.write("true", paths={"pid": f"/proc/{pid}/ns/pid"})
        assert bundle.call("create", waiting) == ""
        (seen,) = bundle.ask("look").values()
        assert seen["exe"] == "opened", "it may trace all processes that it sees"
        bundle.call("delete", "--force", waiting)
        assert bundle.ask("write") == ["Read-only file system"]
        assert [digest(each) for each in ours] == before


def test_no_directory_of_the_host_is_open_in_a_process_that_others_see(bundle: Bundle) -> None:
    # CVE-2016-9962, CVE-2024-21626
    host = os.open("/etc", os.O_RDONLY)
    there = os.fstat(host)
    pid = bundle.spy(process={"capabilities": dict.fromkeys(SETS, EVERY)})
    waiting = bundle.write("true", paths={"pid": f"/proc/{pid}/ns/pid"})
    assert bundle.call("create", waiting, descriptors=(host,)) == ""
    os.close(host)
    (seen,) = bundle.ask("look").values()
    assert len(seen["fd"]) > 3
    assert [there.st_dev, there.st_ino] not in [each[1:] for each in seen["fd"]]
    assert len(seen["fd"]) <= 8, "its three, its socket, and what is mounted"


def test_a_process_that_enters_namespaces_cannot_be_looked_at_before_exec(rootless: Bundle) -> None:
    # CVE-2016-9962; without privilege nothing but this keeps one from another of the same user.
    pid = rootless.spy()
    paths = {kind: f"/proc/{pid}/ns/{kind}" for kind in ("user", "pid")}
    waiting = rootless.write("true", paths=paths)
    assert rootless.call("create", waiting) == ""
    (seen,) = rootless.ask("look").values()
    assert set(seen.values()) == {"Permission denied"}
    assert rootless.call("start", waiting) == ""
    # For all that it works: a program is executed beside the one that spies.
    assert rootless.call("exec", rootless.ids[0], "python3", "-c", "print(7)") == "7\n"


@pytest.mark.parametrize("args", [["/proc/self/exe"], ["/entry"], ["entry"]])
@pytest.mark.parametrize("filtered", [False, True])
def test_we_are_not_executed_as_the_program_of_a_container(
    bundle: Bundle, args: list[str], *, filtered: bool
) -> None:
    # CVE-2019-5736
    (bundle.files / "entry").write_text("#!/proc/self/exe -c\nprint('ours')\n", "ascii")
    (bundle.files / "entry").chmod(0o755)
    seccomp = {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}}  # fmt: skip
    process = {"env": ["PATH=/:/usr/bin"]}
    identifier = bundle.write(*args, process=process, linux=seccomp if filtered else {})
    said = bundle.call("run", identifier)
    assert said.startswith("FAILED")
    assert "permission denied (config.json#/process/args" in said
    running = bundle.write("sleep", "1000", process=process, linux=seccomp if filtered else {})
    bundle.call("create", running)
    bundle.call("start", running)
    assert "permission denied (config.json#/process/args" in bundle.call("exec", running, *args)
    # The same file of the host in a mount of the container is the container's.
    assert bundle.call("exec", running, "python3", "-c", "print(7)") == "7\n"


def test_a_hook_in_the_container_is_a_program_of_the_container(bundle: Bundle) -> None:
    (bundle.files / "hook").symlink_to("/proc/self/exe")
    identifier = bundle.write("true", hooks={"startContainer": [{"path": "/hook"}]})
    bundle.call("create", identifier)
    assert "/hook: permission denied (config.json#/hooks/startContainer/0)" in bundle.call(
        "start", identifier
    )


@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/link", "/proc/self/fd/3/ssl"])
def test_a_working_directory_outside_of_the_root_is_refused(bundle: Bundle, cwd: str) -> None:
    # CVE-2024-21626
    (bundle.files / "link").symlink_to("/proc/self/fd/3")
    identifier = bundle.write("true", process={"cwd": cwd})
    said = bundle.call("run", identifier, kept="/etc")
    assert said.startswith("FAILED")
    assert f"change to {cwd}: no such file or directory (config.json#/process/cwd)" in said
    running = bundle.write("sleep", "1000")
    bundle.call("create", running)
    bundle.call("start", running)
    said = bundle.call("exec", "--cwd", cwd, running, "true", kept="/etc")
    assert f"change to {cwd}: no such file or directory" in said


def test_the_first_process_and_an_executed_one_have_three_descriptors(bundle: Bundle) -> None:
    # CVE-2024-21626
    listing = ("python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])")
    host = os.open("/etc", os.O_RDONLY)
    try:
        assert bundle.call("run", bundle.write(*listing), descriptors=(host,)) == (
            "['0', '1', '2']\n"
        )
        running = bundle.write("sleep", "1000")
        bundle.call("create", running, descriptors=(host,))
        bundle.call("start", running, descriptors=(host,))
        assert bundle.call("exec", running, *listing, descriptors=(host,)) == "['0', '1', '2']\n"
    finally:
        os.close(host)


def test_a_file_is_masked_by_the_hosts_null_device_not_by_what_the_image_calls_so(
    bundle: Bundle,
) -> None:
    # CVE-2025-31133
    sentinel = bundle.folder / "sentinel"
    sentinel.write_text("secret", "ascii")
    own = bundle.folder / "own-dev"
    own.mkdir()
    (own / "null").symlink_to("/sentinel")
    (bundle.files / "sentinel").write_text("of the image", "ascii")
    (bundle.files / "masked").write_text("hidden", "ascii")
    look = "import os; s = os.stat('/masked'); print(os.major(s.st_rdev), os.minor(s.st_rdev))"
    identifier = bundle.write(
        "python3", "-c", look,
        mounts=[{"destination": "/dev", "source": str(own), "options": ["bind"]}],
        linux={"maskedPaths": ["/masked"]},
    )  # fmt: skip
    assert bundle.call("run", identifier) == "1 3\n"


def test_a_null_device_that_is_a_link_is_refused_and_what_it_leads_to_left_alone(
    bundle: Bundle,
) -> None:
    # CVE-2025-31133; before pivot_root a link of the image would lead into the host.
    host = bundle.folder / "of-the-host"
    host.touch(0o600)
    identifier = bundle.write("true")
    document = json.loads((bundle.folder / "config.json").read_text("utf-8"))
    # /dev is a folder of the image.
    document["mounts"] = [m for m in document["mounts"] if m["destination"] != "/dev"]
    (bundle.folder / "config.json").write_text(json.dumps(document), "utf-8")
    (bundle.files / "dev" / "null").symlink_to(host)
    said = bundle.call("run", identifier)
    assert "make device /dev/null" in said
    assert "file exists" in said
    assert host.stat().st_mode & 0o7777 == 0o600


def test_no_capability_is_inheritable_or_ambient_that_was_not_asked_for(bundle: Bundle) -> None:
    # CVE-2022-24769, CVE-2022-29162
    status = "open('/proc/self/status')"
    wanted = "('CapInh', 'CapAmb')"
    look = ("python3", "-c", f"print(*[l.split()[1] for l in {status} if l[:6] in {wanted}])")
    none = f"{'0' * 16} {'0' * 16}\n"
    process = {"capabilities": {each: ["CAP_KILL"] for each in SETS}}
    assert bundle.call("run", bundle.write(*look, process=process)) == none
    running = bundle.write("sleep", "1000", process=process)
    bundle.call("create", running)
    bundle.call("start", running)
    assert bundle.call("exec", running, *look) == none
    assert bundle.call("exec", "--cap", "CAP_CHOWN", running, *look) == none
    assert bundle.call("exec", "--user", "1000", running, *look) == none
