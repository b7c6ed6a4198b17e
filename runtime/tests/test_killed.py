"""A runtime that is killed amid a create: what it left is undone by a delete by force."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest
from mounting import COMMAND

# Kills the process at the n-th call of a function by which cgroups are made and marked.
KILLS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static void count(void) {
    static int calls;
    const char *at = getenv("KILLED_AT");
    if (at && ++calls == atoi(at))
        kill(getpid(), SIGKILL);
}
int mkdir(const char *path, mode_t mode) {
    int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");
    int result = real(path, mode);
    count();
    return result;
}
int setxattr(const char *path, const char *name, const void *value, size_t bytes, int flags) {
    int (*real)(const char *, const char *, const void *, size_t, int);
    real = dlsym(RTLD_NEXT, "setxattr");
    int result = real(path, name, value, bytes, flags);
    count();
    return result;
}
int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    const char *name = getenv("KILLED_BEFORE_RENAMING");
    if (name && strstr(from, name))
        kill(getpid(), SIGKILL);
    return real(from, to);
}
"""
#: Runs a command where there are no cgroups.
NO_CGROUPS = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'umount -l /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kills") / "kills.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(path), "-ldl"]
    subprocess.run(command, input=KILLS, text=True, check=True)
    return path


def left(name: str) -> list[str]:
    return [str(each) for each in Path("/sys/fs/cgroup").glob(f"*/{name}")]


# One is the container's folder; then come three calls for each of the folders of a hierarchy, and
# one more for the last of them.
@pytest.mark.parametrize("call", range(1, 16))
def test_the_cgroups_that_it_was_making_are_removed(
    tmp_path: Path, library: Path, call: int
) -> None:
    (tmp_path / "rootfs").mkdir()
    name = f"seatrial-killed-{os.getpid()}"
    document = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/none"]},
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}],
            "cgroupsPath": f"/{name}/above/container",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(document), "utf-8")
    command = [COMMAND, "--root", str(tmp_path / "state")]
    environment = {**os.environ, "LD_PRELOAD": str(library), "KILLED_AT": str(call)}
    created = subprocess.run(
        [*command, "create", "--bundle", str(tmp_path), "one"], env=environment,
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    assert created.returncode == -signal.SIGKILL
    refused = subprocess.run([*command, "delete", "one"], capture_output=True, check=False)
    deleted = subprocess.run([*command, "delete", "--force", "one"], check=False)
    assert deleted.returncode == 0
    assert left(name) == []
    assert os.listdir(tmp_path / "state") == []
    if call > 2:
        assert refused.returncode == 1
        assert b"is what a runtime that was killed has left (hint: delete --force" in refused.stderr


def processes_of(folder: Path) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def test_a_process_that_nobody_knows_of_ends_with_the_runtime(
    tmp_path: Path, library: Path
) -> None:
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "program").touch(0o755)
    document = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/program"]},
        "linux": {"namespaces": [{"type": "mount"}]},
    }
    (tmp_path / "config.json").write_text(json.dumps(document), "utf-8")
    command = [*NO_CGROUPS, COMMAND, "--root", str(tmp_path / "state")]
    environment = {**os.environ, "LD_PRELOAD": str(library), "KILLED_BEFORE_RENAMING": "record"}
    created = subprocess.run(
        [*command, "create", "--bundle", str(tmp_path), "one"], env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert created.returncode == -signal.SIGKILL
    poller = select.poll()
    for pid in processes_of(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            poller.register(os.pidfd_open(pid), select.POLLIN)
            assert poller.poll(10_000)
    assert subprocess.run([*command, "delete", "--force", "one"], check=False).returncode == 0
    assert processes_of(tmp_path) == []
    assert os.listdir(tmp_path / "state") == []
