"""config-linux.md, "Cgroup ownership": who owns the container's cgroup, by what the config says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement
from seatrial.conformance.placement import Placement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

CGROUPS = "/sys/fs/cgroup"
#: The host's id of the container's uid 0, and how many ids there are.
FIRST, COUNT = 100_000, 65_536
#: For kernels without /sys/kernel/cgroup/delegate.
FALLBACK = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
#: What decides whether the cgroup changes hands, besides a new cgroup namespace.
NOT_DELEGATED: dict[str, dict[str, Any] | None] = {
    "no-mount": None,
    "read-only": {"options": ["nosuid", "ro"]},
    "elsewhere": {"destination": "/elsewhere"},
}

in_a_user_namespace = pytest.mark.parametrize("userns", [True, False], ids=["userns", "no-userns"])


def delegated(
    harness: Harness,
    uid: int,
    *,
    userns: bool,
    cgroupns: bool = True,
    mount: dict[str, Any] | bool | None = True,
) -> Config:
    """Return a config; by default all is said that lets the cgroup change hands.

    ``mount`` is what is otherwise about the mount of the cgroup filesystem, or ``None``.
    """
    config = harness.config("pause")
    config["process"]["user"] = {"uid": uid, "gid": uid}
    linux = config["linux"]
    if userns:
        linux["namespaces"] += [{"type": "user"}]
        ids = [{"containerID": 0, "hostID": FIRST, "size": COUNT}]
        linux |= {"uidMappings": ids, "gidMappings": ids}
    if cgroupns:
        linux["namespaces"] += [{"type": "cgroup"}]
    if mount is not None:
        config["mounts"].append(
            {
                "destination": CGROUPS,
                "type": "cgroup",
                "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev"],
            }
            | (mount if isinstance(mount, dict) else {})
        )
    return config


def host_uid(uid: int, *, userns: bool) -> int:
    """Return the host's id of the container's ``uid``."""
    return FIRST + uid if userns else uid


def delegate_files() -> list[str]:
    """Return the names of the files that change hands with the directory."""
    try:
        return Path("/sys/kernel/cgroup/delegate").read_text().split()
    except FileNotFoundError:
        return FALLBACK


def owners(harness: Harness, config: Config) -> list[dict[str, int]]:
    """Create a container, and return for each of its cgroups who owns the files in it.

    The cgroup itself has the name ``.``.
    """
    with harness.bundle(config) as bundle:
        for path in (CGROUPS, "/elsewhere"):
            (bundle.rootfs / path.lstrip("/")).mkdir(parents=True)
        with harness.created(config, bundle=bundle) as container:
            folders = Placement(container).folders()
            return [
                {".": folder.stat().st_uid}
                | {file.name: file.stat().st_uid for file in folder.iterdir()}
                for folder in folders
            ]


def changed(harness: Harness, uid: int, *, userns: bool) -> dict[str, int] | None:
    """Return who owns what in a cgroup that should have changed hands.

    ``None``, with a note, if it did not: the change itself is a MAY.
    """
    (found,) = owners(harness, delegated(harness, uid, userns=userns))
    if found["."] == 0:
        harness.note("the cgroup does not change hands")
        return None
    return found


def kept(harness: Harness, config: Config) -> bool:
    """Whether all files of all cgroups of the container are root's."""
    return all(set(each.values()) == {0} for each in owners(harness, config))


def uids() -> st.SearchStrategy[int]:
    """Users of the container process other than root, whom nobody can tell from the runtime."""
    return st.integers(1, COUNT - 1)


@requirement("linux.cgroups.ownership.owner-is-process-uid")
@in_a_user_namespace
@given(uid=uids())
@settings(max_examples=5)
def test_the_new_owner_is_the_user_of_the_process(
    harness: Harness, *, userns: bool, uid: int
) -> None:
    found = changed(harness, uid, userns=userns)
    if found is not None:
        assert found["."] == host_uid(uid, userns=userns)


@requirement("linux.cgroups.ownership.owner-is-process-uid")
def test_the_new_owner_is_the_host_user_behind_root(harness: Harness) -> None:
    found = changed(harness, 0, userns=True)
    if found is not None:
        assert found["."] == FIRST


@requirement("linux.cgroups.ownership.iff-rw-cgroup-mount")
@in_a_user_namespace
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("type_", ["cgroup", "cgroup2"])
def test_the_cgroup_changes_hands_with_a_writable_mount(
    harness: Harness, *, userns: bool, uid: int, type_: str
) -> None:
    config = delegated(harness, uid, userns=userns, mount={"type": type_})
    (found,) = owners(harness, config)
    if found["."] != host_uid(uid, userns=userns):
        raise Ignored(f"the cgroup is mounted for writing, and is user {found['.']}'s")


@requirement("linux.cgroups.ownership.iff-rw-cgroup-mount")
@in_a_user_namespace
@pytest.mark.parametrize("how", [name for name, mount in NOT_DELEGATED.items() if mount])
def test_the_cgroup_stays_with_another_mount(harness: Harness, *, userns: bool, how: str) -> None:
    config = delegated(harness, 1000, userns=userns, mount=NOT_DELEGATED[how])
    assert kept(harness, config)


@requirement("linux.cgroups.ownership.not-without-mount")
@in_a_user_namespace
@given(uid=st.just(0) | uids())
@settings(max_examples=5)
def test_the_cgroup_stays_without_a_mount(harness: Harness, *, userns: bool, uid: int) -> None:
    assert kept(harness, delegated(harness, uid, userns=userns, mount=None))


@requirement("linux.cgroups.ownership.only-with-new-cgroupns")
@in_a_user_namespace
@given(uid=st.just(0) | uids())
@settings(max_examples=5)
def test_the_cgroup_stays_without_a_new_namespace(
    harness: Harness, *, userns: bool, uid: int
) -> None:
    # Not the mount either where it could not be made: by the kernel's rules a user namespace
    # mounts what its own cgroup namespace shows.
    mount = None if userns else True
    assert kept(harness, delegated(harness, uid, userns=userns, cgroupns=False, mount=mount))


@requirement("linux.cgroups.ownership.only-with-new-cgroupns")
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_cgroup_stays_with_the_namespace_of_another(harness: Harness, uid: int) -> None:
    holder = harness.config("pause")
    holder["linux"]["namespaces"] += [{"type": "cgroup"}]
    with harness.running(holder) as other:
        config = delegated(harness, uid, userns=False, cgroupns=False)
        path = f"/proc/{other.pid}/ns/cgroup"
        config["linux"]["namespaces"] += [{"type": "cgroup", "path": path}]
        assert kept(harness, config)


@requirement(
    "linux.cgroups.ownership.delegate-files-only", "linux.cgroups.ownership.no-other-files"
)
@in_a_user_namespace
@given(uid=uids())
@settings(max_examples=5)
def test_no_file_changes_hands_that_is_not_listed(
    harness: Harness, *, userns: bool, uid: int
) -> None:
    found = changed(harness, uid, userns=userns)
    if found is not None:
        others = {name for name, owner in found.items() if owner != 0} - {"."}
        assert others - set(delegate_files()) == set()


@requirement("linux.cgroups.ownership.existing-delegate-files-changed")
@in_a_user_namespace
@given(uid=uids())
@settings(max_examples=5)
def test_every_listed_file_that_is_there_changes_hands(
    harness: Harness, *, userns: bool, uid: int
) -> None:
    found = changed(harness, uid, userns=userns)
    if found is not None:
        there = {name: owner for name, owner in found.items() if name in delegate_files()}
        assert there == dict.fromkeys(there, host_uid(uid, userns=userns))
        assert set(there) >= set(FALLBACK)


@requirement("linux.cgroups.ownership.missing-delegate-files-tolerated")
@in_a_user_namespace
def test_a_listed_file_that_the_cgroup_lacks_is_no_error(harness: Harness, *, userns: bool) -> None:
    (found,) = owners(harness, delegated(harness, 1000, userns=userns))
    lacking = set(delegate_files()) - set(found)
    if not lacking:
        harness.note("the cgroup has every file that the kernel lists")


@requirement("linux.cgroups.ownership.not-on-v1")
@in_a_user_namespace
@pytest.mark.parametrize("mount", [True, None], ids=["mount", "no-mount"])
def test_on_version_1_the_cgroups_stay(
    harness: Harness, *, userns: bool, mount: bool | None
) -> None:
    cgroupns = not userns or mount is None
    config = delegated(harness, 1000, userns=userns, cgroupns=cgroupns, mount=mount)
    assert kept(harness, config)
