"""config-linux.md, "User namespace mappings"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.id_mappings import Mapping, many, mappings

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What the kernel takes since Linux 4.15 (user_namespaces(7)).
_MOST = 340


def mapped(
    harness: Harness, uids: list[Mapping], gids: list[Mapping], *act: str, uid: int = 0
) -> Config:
    """Return a config with a user namespace and its mappings."""
    config = with_namespaces(harness.config(*act), ["pid", "mount", "ipc", "uts", "user"])
    config["linux"] |= {"uidMappings": uids, "gidMappings": gids}
    config["process"]["user"]["uid"] = uid
    return config


def rows(mapping: list[Mapping]) -> list[list[int]]:
    """Return mappings as the kernel shows them, which may order them."""
    return sorted([each["containerID"], each["hostID"], each["size"]] for each in mapping)


def read(text: str) -> list[list[int]]:
    """Read /proc/PID/uid_map or gid_map."""
    return sorted([int(number) for number in line.split()] for line in text.splitlines())


@requirement("linux.id-mappings.applied")
@given(data=st.data(), uids=mappings(), gids=mappings())
def test_the_maps_of_the_user_namespace_are_those_of_the_config(
    harness: Harness, data: st.DataObject, uids: list[Mapping], gids: list[Mapping]
) -> None:
    uid = data.draw(st.sampled_from([each["containerID"] for each in uids]))
    report = harness.run(mapped(harness, uids, gids, uid=uid))
    assert read(report["uid_map"]) == rows(uids)
    assert read(report["gid_map"]) == rows(gids)
    assert report["uid"]["effective"] == uid


@requirement(
    "linux.id-mappings.container-id-present",
    "linux.id-mappings.host-id-present",
    "linux.id-mappings.size-present",
)
def test_mappings_without_one_of_their_members_are_recorded(harness: Harness) -> None:
    said = []
    whole = {"containerID": 0, "hostID": 100_000, "size": 1000}
    for name in whole:
        partial = {key: value for key, value in whole.items() if key != name}
        result = harness.attempt(mapped(harness, [partial], [whole]))
        said.append(f"without {name} {'refused' if result.failed else 'accepted'}")
    harness.note(f"an id mapping {', '.join(said)}")


@requirement("linux.id-mappings.no-ownership-change")
@given(mapping=mappings(most=2))
def test_nobody_else_owns_the_files_then(harness: Harness, mapping: list[Mapping]) -> None:
    config = mapped(harness, mapping, mapping)
    with harness.bundle(config) as bundle:
        source = bundle.path / "source"
        for folder in (source, bundle.rootfs / "data"):
            (folder / "below").mkdir(parents=True)
            (folder / "below" / "file").touch()
            os.chown(folder / "below" / "file", 12, 34)
        bound = {"destination": "/tmp", "source": str(source), "options": ["bind"]}  # noqa: S108
        config["mounts"].append({"type": "bind", **bound})
        before = owners(bundle.path)
        harness.run(config, bundle=bundle)
        after = owners(bundle.path)
        assert {path: after.get(path) for path in before} == before


def owners(folder: Path) -> dict[str, tuple[int, int]]:
    """Return who owns each file below a folder."""
    found = {}
    for path in [folder / "source", folder / "rootfs"]:
        for each in [path, *path.rglob("*")]:
            status = each.lstat()
            found[str(each.relative_to(folder))] = (status.st_uid, status.st_gid)
    return found


@requirement("linux.id-mappings.kernel-limit")
@pytest.mark.parametrize("count", [5, 6, _MOST])
def test_as_many_mappings_as_the_kernel_takes_are_applied(harness: Harness, count: int) -> None:
    report = harness.run(mapped(harness, many(count), many(count)))
    assert read(report["uid_map"]) == read(report["gid_map"]) == rows(many(count))


@requirement("linux.id-mappings.kernel-limit")
def test_more_mappings_than_the_kernel_takes_generate_an_error(harness: Harness) -> None:
    assert harness.attempt(mapped(harness, many(_MOST + 1), many(1))).failed
