"""Whole lives of containers that between them have every section, as one command and as several."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mounting import COMMAND, V2_VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
#include <string.h>
int pause(void);
int main(int argc, char **argv) { return argc > 1 && !strcmp(argv[1], "wait") ? pause() : 0; }
"""
MAPPING = [{"containerID": 0, "hostID": 100000, "size": 65536}]
ALL_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
_numbers = itertools.count()


class Bundle:
    """A bundle with one small static program, and its runtime's state root."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "state"

    def write(
        self,
        process: dict[str, Any],
        *,
        kinds: tuple[str, ...] = (),
        linux: dict[str, Any] | None = None,
        **members: Any,
    ) -> str:
        """Write a config; return an id for its container."""
        identifier = f"o{os.getpid()}-{next(_numbers)}"
        document = {
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["/program"], **process},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": f"/seatrial-operations-{os.getpid()}/{identifier}",
                "namespaces": [
                    {"type": each} for each in ("mount", "pid", "ipc", "network", "uts", *kinds)
                ],
                **(linux or {}),
            },
            **members,
        }
        (self.folder / "config.json").write_text(json.dumps(document), "utf-8")
        return identifier

    def call(self, *words: str, view: tuple[str, ...] = ()) -> None:
        """Call the runtime, which has to succeed."""
        command = [*view, COMMAND, "--root", str(self.root), *words]
        # A file, as a container holds its stderr open.
        with (self.folder / "stderr").open("w+") as said:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
                cwd=self.folder, check=False,
            )  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, said.read()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("operations") / "program"
    command = ["cc", "-static", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=PROGRAM, text=True, check=True)
    return path


@pytest.fixture
def bundle(tmp_path: Path, program: Path) -> Iterator[Bundle]:
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    for name in ("proc", "dev", "sys"):
        # Owned by the root of the user namespace, which makes what is missing.
        (tmp_path / "rootfs" / name).mkdir(parents=True)
        os.chown(tmp_path / "rootfs" / name, 100000, 100000)
    os.chown(tmp_path / "rootfs", 100000, 100000)
    shutil.copy(program, tmp_path / "rootfs" / "program")
    found = Bundle(tmp_path)
    yield found
    for identifier in os.listdir(found.root) if found.root.exists() else []:
        found.call("delete", "--force", identifier)
    left = f"seatrial-operations-{os.getpid()}"
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            (hierarchy / left).rmdir()


def test_every_member_of_process_is_made_true_by_a_run(bundle: Bundle) -> None:
    hook = {"path": "/usr/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 60}
    inside = {"path": "/program", "args": ["program"]}
    identifier = bundle.write(
        {
            "user": {"uid": 7, "gid": 8, "umask": 0o27, "additionalGids": [9, 10]},
            "capabilities": {each: ["CAP_KILL", "CAP_CHOWN"] for each in ALL_SETS},
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            "oomScoreAdj": 100, "noNewPrivileges": True, "args": ["program", "x"],
            "env": ["PATH=/nowhere::/", "B="],
            "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 3},
        },
        linux={
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
            },
            "personality": {"domain": "LINUX"},
            "memoryPolicy": {"mode": "MPOL_DEFAULT"},
            "sysctl": {"net.ipv4.ip_forward": "1"},
            "resources": {"pids": {"limit": 100}},
        },
        hooks={
            "prestart": [hook], "createRuntime": [hook], "createContainer": [hook],
            "startContainer": [inside], "poststart": [hook], "poststop": [hook],
        },
        hostname="host", domainname="domain",
    )  # fmt: skip
    bundle.call("run", identifier)
    assert os.listdir(bundle.root) == []


def test_a_user_and_a_time_namespace_are_set_up_by_a_run(bundle: Bundle) -> None:
    identifier = bundle.write(
        {"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]},
        kinds=("user", "time"),
        linux={
            "uidMappings": MAPPING, "gidMappings": MAPPING,
            "timeOffsets": {"monotonic": {"secs": 7}},
        },
    )  # fmt: skip
    bundle.call("run", identifier)


def test_a_cgroup_of_v2_is_given_to_the_user_of_the_container(bundle: Bundle) -> None:
    identifier = bundle.write(
        {},
        kinds=("user", "cgroup"),
        linux={"uidMappings": MAPPING, "gidMappings": MAPPING},
        mounts=[
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"},
        ],
    )
    bundle.call("run", identifier, view=V2_VIEW)


def test_a_device_of_the_network_is_moved_by_a_run(bundle: Bundle) -> None:
    identifier = bundle.write({}, linux={"netDevices": {"moved0": {"name": "in0"}}})
    # A persistent tun device, in a network namespace that ends with it.
    prepare = 'ip tuntap add dev moved0 mode tun && exec "$@"'
    bundle.call("run", identifier, view=("unshare", "--net", "sh", "-c", prepare, "sh"))


def test_a_process_is_executed_in_a_running_container(bundle: Bundle) -> None:
    identifier = bundle.write({"args": ["/program", "wait"]}, kinds=("cgroup",))
    bundle.call("create", identifier)
    bundle.call("start", identifier)
    cpu = str(min(os.sched_getaffinity(0)))
    process = {
        "cwd": "/", "args": ["/program"], "user": {"uid": 1, "gid": 1},
        "execCPUAffinity": {"initial": cpu, "final": cpu},
    }  # fmt: skip
    (bundle.folder / "process.json").write_text(json.dumps(process), "utf-8")
    bundle.call("exec", "--process", str(bundle.folder / "process.json"), identifier)
    bundle.call("kill", identifier, "KILL")
    bundle.call("delete", "--force", identifier)
