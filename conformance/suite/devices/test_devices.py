"""config-linux.md, "Devices": what is at the path of an entry."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.strategies.devices import MEMORY_DEVICES, Device, modes, nodes
from seatrial.conformance.strategies.id_mappings import Mapping, mappings
from seatrial.conformance.strategies.process import ids

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.runtime import Runtime

_TYPES = {"c": "char", "u": "char", "b": "block", "p": "fifo"}
_HOST_ID = 100_000


def with_devices(harness: Harness, *devices: Device, act: tuple[str, ...] = ()) -> Config:
    """Return a config with devices, whose program looks at each and then does ``act``."""
    acts: list[str] = []
    for device in devices:
        acts += ["stat-target", device["path"], "+"]
    config = harness.config(*acts, *(act or ("say", "end")))
    config["linux"]["devices"] = list(devices)
    return config


def looked_at(harness: Harness, *devices: Device, runtime: Runtime | None = None) -> list[Any]:
    """Run a container with devices, and return what its program saw of each."""
    with harness.created(with_devices(harness, *devices), runtime=runtime) as container:
        assert container.start().ok
        return [container.read_line() for _ in devices]


def check(seen: dict[str, Any], device: Device) -> None:
    """Compare what is at a path with the device that is to be there."""
    assert seen["ok"], seen
    assert seen["type"] == _TYPES[device["type"]]
    if device["type"] != "p":
        assert (seen["major"], seen["minor"]) == (device["major"], device["minor"])


@requirement("linux.devices.available", "linux.devices.path-anywhere")
@given(devices=st.lists(nodes(), min_size=1, max_size=4, unique_by=lambda each: each["path"]))
def test_each_device_is_at_its_path(harness: Harness, devices: list[Device]) -> None:
    for seen, device in zip(looked_at(harness, *devices), devices, strict=True):
        check(seen, device)


@requirement("linux.devices.available")
@pytest.mark.parametrize("name", MEMORY_DEVICES)
@pytest.mark.parametrize("folder", ["/dev", ""])
def test_a_device_can_be_opened(harness: Harness, name: str, folder: str) -> None:
    major, minor = MEMORY_DEVICES[name]
    path = f"{folder}/seatrial"
    device = {"type": "c", "path": path, "major": major, "minor": minor}
    config = with_devices(harness, device, act=("open", path, "rw"))
    with harness.created(config) as container:
        assert container.start().ok
        check(container.read_line(), device)
        assert container.read_line()["ok"]


@requirement("linux.devices.available")
@needs("userns")
def test_a_device_in_a_user_namespace_has_the_numbers_of_the_config(harness: Harness) -> None:
    """Also where the host has another at the same path, which a runtime must not bind then."""
    config = harness.config()
    with harness.bundle(config) as bundle:
        path = bundle.path / "device"
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*MEMORY_DEVICES["full"]))
        major, minor = MEMORY_DEVICES["zero"]
        device = {"type": "c", "path": str(path), "major": major, "minor": minor}
        config = with_namespaces(with_devices(harness, device), ["pid", "mount", "user"])
        same = [{"containerID": 0, "hostID": 0, "size": 1 << 16}]
        config["linux"] |= {"uidMappings": same, "gidMappings": same}
        with harness.container(config, bundle=bundle) as container:
            result = container.create()
            result = container.start() if result.ok else result
            if result.failed:
                harness.note("a device is refused in a user namespace")
                return
            check(container.read_line(), device)


@requirement("linux.devices.type-u-is-char")
@given(device=nodes(types="u"))
@settings(max_examples=10)
def test_type_u_gives_a_character_device(harness: Harness, device: Device) -> None:
    check(looked_at(harness, device)[0], device)


@requirement("linux.devices.fifo")
@given(device=nodes(types="p"))
@settings(max_examples=10)
def test_type_p_gives_a_fifo_and_needs_no_numbers(harness: Harness, device: Device) -> None:
    check(looked_at(harness, device)[0], device)


@requirement("linux.devices.file-mode-applied")
@given(device=nodes(), mode=modes(), umask=st.sampled_from([0, 0o022, 0o077, 0o777]))
def test_file_mode_is_the_mode_whatever_the_callers_umask(
    harness: Harness, device: Device, mode: int, umask: int
) -> None:
    # A folder that has to be made would carry the umask, and cannot be looked into then.
    device |= {"path": "/dev/seatrial", "fileMode": mode}
    runtime = harness.runtime.called_with_umask(umask)
    (seen,) = looked_at(harness, device, runtime=runtime)
    check(seen, device)
    assert seen["mode"] == mode


@requirement("linux.devices.owner-applied")
@given(device=nodes(), uid=ids(), gid=ids())
def test_the_node_belongs_to_uid_and_gid(
    harness: Harness, device: Device, uid: int, gid: int
) -> None:
    (seen,) = looked_at(harness, device | {"uid": uid, "gid": gid})
    check(seen, device)
    assert (seen["uid"], seen["gid"]) == (uid, gid)


@requirement("linux.devices.owner-applied")
@given(data=st.data(), uids=mappings(most=3), gids=mappings(most=3))
@settings(max_examples=8)
def test_uid_and_gid_are_ids_of_the_container(
    harness: Harness, data: st.DataObject, uids: list[Mapping], gids: list[Mapping]
) -> None:
    _has_owner(harness, "/dev/seatrial", uids, gids, data)


@requirement("linux.devices.owner-applied")
@given(data=st.data(), uids=mappings(most=3), gids=mappings(most=3))
@settings(max_examples=8)
def test_uid_and_gid_are_applied_to_a_device_that_is_also_a_default_one(
    harness: Harness, data: st.DataObject, uids: list[Mapping], gids: list[Mapping]
) -> None:
    _has_owner(harness, "/dev/zero", uids, gids, data)


def _has_owner(
    harness: Harness, path: str, uids: list[Mapping], gids: list[Mapping], data: st.DataObject
) -> None:
    """In a user namespace a runtime cannot make every device, and may refuse what it cannot."""
    uid, gid = (
        data.draw(st.sampled_from([each["containerID"] for each in mapping]))
        for mapping in (uids, gids)
    )
    device = {"type": "c", "path": path, "major": 1, "minor": 5, "uid": uid, "gid": gid}
    config = with_namespaces(with_devices(harness, device), ["pid", "mount", "user"])
    config["linux"] |= {"uidMappings": uids, "gidMappings": gids}
    with harness.container(config) as container:
        result = container.create()
        result = container.start() if result.ok else result
        if result.failed:
            harness.note("a device with an owner is refused in a user namespace")
            return
        seen = container.read_line()
        check(seen, device)
        assert (seen["uid"], seen["gid"]) == (uid, gid)


@requirement("linux.devices.foreign-access")
def test_access_to_a_device_that_is_not_configured_is_recorded(harness: Harness) -> None:
    """``MAY NOT`` is no key word; who may open what is up to the list of allowed devices."""
    numbers = ("c", "10", "200")  # /dev/net/tun, which most containers do not have
    config = harness.config("mknod", "/node", *numbers, "+", "open", "/node", "r")
    sets = ("bounding", "effective", "permitted")
    config["process"]["capabilities"] = {name: ["CAP_MKNOD"] for name in sets}
    with harness.created(config) as container:
        assert container.start().ok
        made, opened = container.read_line(), container.read_line()
        denied = "EPERM" in {made.get("errno"), opened.get("errno")}
    harness.note(f"access to a foreign device is {'denied' if denied else 'granted'}")
