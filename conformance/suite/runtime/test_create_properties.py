"""runtime.md, "Create": what is in effect when it returns, as the host sees it before start."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import cgroups, namespaces
from seatrial.conformance.config import with_namespaces
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness

_KINDS = ("ipc", "uts", "pid", "network")
#: What the kernel calls those whose names in a config are others (namespaces(7)).
_LINKS = {"network": "net", "mount": "mnt"}


def _root(container: Container) -> Path:
    """Return the way to the container's root, with its mounts (proc(5))."""
    return Path(f"/proc/{container.pid}/root")


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


@needs("host-kernel")
@requirement("runtime.lifecycle.resources-exist-after-create")
@settings(max_examples=16)
@given(kinds=st.sets(st.sampled_from(_KINDS)))
def test_new_namespaces_are_there_after_create_and_no_others(
    harness: Harness, kinds: set[str]
) -> None:
    config = with_namespaces(harness.config("pause"), ["mount", *sorted(kinds)])
    with harness.created(config) as container:
        links = {kind: _LINKS.get(kind, kind) for kind in (*_KINDS, "mount")}
        new = {
            kind
            for kind, link in links.items()
            if container.namespace(link) != namespaces.current(link)
        }
        assert new == {"mount", *kinds}


@needs("host-kernel")
@requirement(
    "runtime.lifecycle.resources-exist-after-create", "runtime.create.all-properties-applied"
)
def test_mounts_are_there_after_create(harness: Harness) -> None:
    config = harness.config("pause")
    with harness.bundle(config) as bundle:
        source = bundle.path / "source"
        source.mkdir()
        (source / "file").write_text("content")
        config["mounts"] += [
            {"destination": "/bound", "type": "bind", "source": str(source), "options": ["bind"]},
            {"destination": "/memory", "type": "tmpfs", "source": "tmpfs"},
        ]
        with harness.created(config, bundle=bundle) as container:
            assert (_root(container) / "bound" / "file").read_text() == "content"
            with open(f"/proc/{container.pid}/mountinfo", encoding="latin-1") as lines:
                mounts = [namespaces.Mount.parse(line.rstrip("\n")) for line in lines]
            assert ("/memory", "tmpfs") in [(mount.target, mount.fstype) for mount in mounts]


@requirement(
    "runtime.lifecycle.resources-exist-after-create", "runtime.create.all-properties-applied"
)
def test_the_cgroup_is_there_after_create_and_the_process_in_it(harness: Harness) -> None:
    config = harness.config("pause")
    config["linux"]["cgroupsPath"] = path = f"{harness.cgroup}/{harness.new_id()}"
    with harness.created(config) as container:
        with open(f"/proc/{container.pid}/cgroup", encoding="latin-1") as lines:
            entered = {line.rstrip("\n").split(":", 2)[2] for line in lines}
        assert path in entered


@needs("controller:pids")
@requirement("runtime.create.all-properties-applied")
@settings(max_examples=10)
@given(limit=st.integers(10, 10_000))
def test_a_limit_of_the_cgroup_is_set_after_create(harness: Harness, limit: int) -> None:
    config = harness.config("pause")
    path = f"{harness.cgroup}/{harness.new_id()}"
    config["linux"] |= {"cgroupsPath": path, "resources": {"pids": {"limit": limit}}}
    with harness.created(config):
        places = [each.path for each in cgroups.hierarchies() if "pids" in each.controllers]
        files = [place / path.lstrip("/") / "pids.max" for place in places]
        assert [file.read_text().strip() for file in files] == [str(limit)] * len(files)


@needs("host-kernel")
@requirement(
    "runtime.lifecycle.resources-exist-after-create", "runtime.create.all-properties-applied"
)
def test_devices_are_there_after_create(harness: Harness) -> None:
    config = harness.config("pause")
    device = {"path": "/dev/seatrial", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640}
    config["linux"]["devices"] = [device]
    with harness.created(config) as container:
        found = (_root(container) / "dev" / "seatrial").stat()
        assert stat.S_ISCHR(found.st_mode)
        assert (os.major(found.st_rdev), os.minor(found.st_rdev)) == (1, 5)


@needs("host-kernel")
@requirement("runtime.create.all-properties-applied")
def test_the_hostname_is_set_after_create(harness: Harness) -> None:
    config = harness.config("pause")
    config["hostname"] = "berth"
    with harness.created(config) as container:
        assert container.pid is not None
        with namespaces.inside(container.pid, "uts"):
            name = socket.gethostname()
        assert name == "berth"


@needs("host-kernel")
@requirement("runtime.create.all-properties-applied")
@settings(max_examples=10)
@given(value=st.integers(1024, 1 << 20))
def test_a_kernel_parameter_is_set_after_create(harness: Harness, value: int) -> None:
    config = harness.config("pause")
    config["linux"]["sysctl"] = {"kernel.msgmax": str(value)}
    with harness.created(config) as container:
        assert container.pid is not None
        with namespaces.inside(container.pid, "ipc"):
            found = Path("/proc/sys/kernel/msgmax").read_text().strip()
        assert found == str(value)


@needs("host-kernel")
@requirement("runtime.create.all-properties-applied")
def test_the_root_is_read_only_after_create(harness: Harness) -> None:
    config = harness.config("pause")
    config["root"]["readonly"] = True
    with harness.created(config) as container:
        assert _is_read_only(_root(container))


@needs("host-kernel")
@requirement("runtime.create.all-properties-applied")
def test_paths_are_masked_and_read_only_after_create(harness: Harness) -> None:
    config = harness.config("pause")
    config["linux"] |= {"maskedPaths": ["/secret"], "readonlyPaths": ["/fixed"]}
    with harness.bundle(config) as bundle:
        (bundle.rootfs / "secret").write_text("secret")
        (bundle.rootfs / "fixed").mkdir()
        with harness.created(config, bundle=bundle) as container:
            assert (_root(container) / "secret").read_bytes() == b""
            assert _is_read_only(_root(container) / "fixed")
            assert not _is_read_only(_root(container))


@needs("host-kernel")
@needs("userns")
@requirement("runtime.create.all-properties-applied")
def test_ids_are_mapped_after_create(harness: Harness) -> None:
    config = with_namespaces(harness.config("pause"), ["mount", "pid", "user"])
    mapping = [{"containerID": 0, "hostID": 0, "size": 4096}]
    config["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
    with harness.created(config) as container:
        for file in ("uid_map", "gid_map"):
            text = Path(f"/proc/{container.pid}/{file}").read_text()
            assert text.split() == ["0", "0", "4096"]
