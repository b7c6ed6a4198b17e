"""Containers of somebody without any privilege: uid 1000, by setpriv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
BUSYBOX = shutil.which("busybox")
WHO = 1000
NOBODY_ELSE = (
    "setpriv", f"--reuid={WHO}", f"--regid={WHO}", "--clear-groups", "--inh-caps=-all",
)  # fmt: skip
#: /sys/fs/cgroup is cgroup2, as on a pure v2 host.
V2_VIEW = (
    "unshare", "--mount", "--propagation", "private", "sh", "-c",
    'umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"', "sh",
)  # fmt: skip


class Rootless:
    """A bundle of uid 1000's, and the command as that."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(bundle / "run"),
            "SEATRIAL_OCI_CACHE": "off",
        }

    def call(
        self, *words: str, view: tuple[str, ...] = (), who: tuple[str, ...] = NOBODY_ELSE
    ) -> subprocess.CompletedProcess[str]:
        """Run the command, with files for its output: containers hold it open."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                [*view, *who, COMMAND, *words], stdin=subprocess.DEVNULL, stdout=out,
                stderr=said, check=False, timeout=60, env=self.environment, cwd=self.bundle,
            )  # fmt: skip
            out.seek(0)
            said.seek(0)
            return subprocess.CompletedProcess(words, done.returncode, out.read(), said.read())

    def configure(self, script: str, **linux: Any) -> None:
        """Take the config that `spec --rootless` writes, for a script, with changed members."""
        (self.bundle / "config.json").unlink(missing_ok=True)
        assert self.call("spec", "--rootless").stderr == ""
        config = json.loads((self.bundle / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/busybox", "sh", "-c", script]}
        config["linux"] |= linux
        (self.bundle / "config.json").write_text(json.dumps(config))


@pytest.fixture
def rootless() -> Iterator[Rootless]:
    """Return a bundle below a folder that uid 1000 can get to."""
    if BUSYBOX is None:
        pytest.skip("there is no busybox to run")
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv to become somebody else")
    able = subprocess.run([*NOBODY_ELSE, "unshare", "-U", "true"], capture_output=True, check=False)
    if able.returncode:
        pytest.skip(f"only root makes user namespaces here: {able.stderr.decode().strip()}")
    bundle = Path(tempfile.mkdtemp(prefix="seatrial-rootless-"))
    bundle.chmod(0o755)
    binaries = bundle / "rootfs" / "bin"
    binaries.mkdir(parents=True)
    (bundle / "run").mkdir()
    shutil.copy(BUSYBOX, binaries / "busybox")
    for path in (bundle, *bundle.rglob("*")):
        os.chown(path, WHO, WHO)
    yield Rootless(bundle)
    shutil.rmtree(bundle)


@pytest.mark.parametrize("view", [(), V2_VIEW], ids=["host", "v2"])
def test_what_spec_writes_runs(rootless: Rootless, view: tuple[str, ...]) -> None:
    rootless.configure("busybox id -u; busybox cat /proc/self/uid_map; busybox hostname; exit 7")
    done = rootless.call("run", "x", view=view)
    assert (done.stdout.split(), done.stderr) == (["0", "0", str(WHO), "1", "seatrial"], "")
    assert done.returncode == 7
    assert not list((rootless.bundle / "run" / "seatrial-oci").iterdir())


def test_it_is_remembered_among_the_users_own_things(rootless: Rootless) -> None:
    rootless.configure("busybox sleep 100")
    assert rootless.call("create", "x").stderr == ""
    assert (rootless.bundle / "run" / "seatrial-oci" / "x").is_dir()
    assert json.loads(rootless.call("state", "x").stdout)["status"] == "created"
    assert rootless.call("start", "x").returncode == 0
    done = rootless.call("exec", "x", "/bin/busybox", "id", "-u")
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert rootless.call("kill", "x", "KILL").returncode == 0
    assert rootless.call("delete", "--force", "x").returncode == 0
    assert "container x does not exist" in rootless.call("state", "x").stderr


def test_without_a_folder_of_ones_own_the_error_says_how_to_give_one(rootless: Rootless) -> None:
    del rootless.environment["XDG_RUNTIME_DIR"]
    rootless.configure("true")
    said = rootless.call("run", "x").stderr
    assert "cannot make /run/seatrial-oci/x: permission denied (hint: --root DIR" in said


@pytest.mark.parametrize(
    ("linux", "said"),
    [
        (
            {
                "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "uts"}],
                "uidMappings": [],
                "gidMappings": [],
            },
            "config.json#/linux/namespaces: without CAP_SYS_ADMIN a container needs a user ",
        ),
        (
            {"uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}]},
            "without privileges only one's own id can be mapped, unless there is newuidmap (apt-",
        ),
        (
            {"cgroupsPath": "/seatrial-gaps/rootless"},
            "/seatrial-gaps/rootless: permission denied (config.json#/linux/cgroupsPath)",
        ),
        (
            {"resources": {"pids": {"limit": 5}}},
            "/pids/limit: no cgroup hierarchy that we can use has the pids controller",
        ),
    ],
    ids=["no user namespace", "somebody else's id", "a cgroup", "a limit"],
)  # fmt: skip
def test_what_only_root_may_do_is_a_clear_error(
    rootless: Rootless, linux: dict[str, Any], said: str
) -> None:
    rootless.configure("true", **linux)
    who = (str(shutil.which(NOBODY_ELSE[0])), *NOBODY_ELSE[1:])
    rootless.environment["PATH"] = "/nowhere"  # so no newuidmap
    done = rootless.call("run", "x", who=who)
    assert done.returncode == 1
    assert said in done.stderr
    state = rootless.bundle / "run" / "seatrial-oci"
    assert not state.exists() or not list(state.iterdir())


def test_a_host_without_room_for_user_namespaces_is_told(rootless: Rootless) -> None:
    mapping = [{"containerID": 0, "hostID": 0, "size": 1}]
    rootless.configure("true", uidMappings=mapping, gidMappings=mapping)
    full = ("unshare", "--user", "--map-root-user", "sh", "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh")  # fmt: skip
    done = rootless.call("run", "x", view=full, who=())
    assert "cannot make the container process: no space left on device (hint: a " in done.stderr


def test_more_ids_are_mapped_by_newuidmap(rootless: Rootless) -> None:
    if not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        pytest.skip("newuidmap and newgidmap are not installed (uidmap)")
    subordinate = rootless.bundle / "subordinate"
    subordinate.write_text(f"{WHO}:500000:65536\n")
    allow = f"for it in /etc/subuid /etc/subgid; do mount --bind {subordinate} $it || exit; done;"
    view = (
        *("unshare", "--mount", "--propagation", "private"),
        *("sh", "-c", allow + 'exec "$@"', "sh"),
    )
    mappings = [
        {"containerID": 0, "hostID": WHO, "size": 1},
        {"containerID": 1, "hostID": 500000, "size": 1000},
    ]
    rootless.configure("busybox cat /proc/self/uid_map", uidMappings=mappings, gidMappings=mappings)
    done = rootless.call("run", "x", view=view)
    assert done.stdout.split() == ["0", str(WHO), "1", "1", "500000", "1000"], done.stderr
