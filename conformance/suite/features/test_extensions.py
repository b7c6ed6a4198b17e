"""features-linux.md: security modules, Intel RDT, id-mapped mounts, network devices."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.errors import Ignored
from seatrial.conformance.features import Document, declared
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.harness import Harness

RESCTRL = Path("/sys/fs/resctrl")
TARGET = "/tmp"  # noqa: S108 - a folder of the test root filesystem
#: linux/if_tun.h, linux/if.h.
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
DEVICE = "seatrial0"
HOST_ID = 4321


# Security modules


@requirement("features-linux.apparmor.truthful")
def test_apparmor_is_enabled_if_a_profile_is_tried(harness: Harness, features: Document) -> None:
    said = declared(features, "linux.apparmor.enabled")
    config = harness.config()
    # Nothing can be confined by a profile that is not loaded.
    config["process"]["apparmorProfile"] = "seatrial-no-such-profile"
    assert harness.attempt(config).failed or not said


@requirement("features-linux.selinux.truthful")
def test_selinux_is_enabled_if_a_label_is_tried(harness: Harness, features: Document) -> None:
    said = declared(features, "linux.selinux.enabled")
    config = harness.config()
    config["process"]["selinuxLabel"] = "seatrial_no_such:label"
    assert harness.attempt(config).failed or not said


# Intel RDT


@pytest.mark.parametrize(
    ("member", "asked", "made"),
    [
        pytest.param(
            *("enabled", {}, ""), marks=requirement("features-linux.intel-rdt.enabled-truthful")
        ),
        pytest.param(
            *("schemata", {"schemata": []}, "schemata"),
            marks=requirement("features-linux.intel-rdt.schemata-truthful"),
        ),
        pytest.param(
            *("monitoring", {"enableMonitoring": True}, "mon_groups"),
            marks=requirement("features-linux.intel-rdt.monitoring-truthful"),
        ),
    ],
)
def test_intel_rdt_is_declared_as_it_works(
    harness: Harness, features: Document, member: str, asked: dict[str, object], made: str
) -> None:
    said = declared(features, f"linux.intelRdt.{member}")
    config = harness.config("pause")
    group = f"seatrial-{harness.new_id()}"
    config["linux"]["intelRdt"] = {"closID": group, **asked}
    with harness.container(config) as container:
        created = container.create()
        if created.failed:
            assert not said, created
            return
        works = (RESCTRL / group / made).exists()
    assert said is None or works == said


# Id-mapped mounts


@requirement(
    "features-linux.mount-extensions.idmap-truthful",
    "features-linux.mount-extensions.idmap-partial-true",
)
def test_id_mapped_mounts_are_declared_as_they_work(harness: Harness, features: Document) -> None:
    said = declared(features, "linux.mountExtensions.idmap.enabled")
    config = harness.config("stat", f"{TARGET}/file")
    mapping = [{"containerID": 0, "hostID": HOST_ID, "size": 1}]
    with harness.bundle(config) as bundle:
        source = bundle.path / "source"
        source.mkdir()
        (source / "file").touch()
        mount = {"destination": TARGET, "type": "none", "source": str(source), "options": ["bind"]}
        config["mounts"].append(mount | {"uidMappings": mapping, "gidMappings": mapping})
        with harness.container(config, bundle=bundle) as container:
            if container.create().failed or container.start().failed:
                # Parsed, and not supported as it is here: that is all that being enabled promises.
                return
            seen = container.read_line()
    if (seen["uid"], seen["gid"]) == (0, 0):
        if said is None:
            harness.note("mountExtensions.idmap is not declared, and mappings are ignored")
            return
        raise Ignored(f"idmap.enabled is {said}, and the mappings of a mount do nothing")
    assert said is True


# Network devices


@contextlib.contextmanager
def network_device() -> Iterator[None]:
    """Have a device in our network namespace; it ends with the context, wherever it is then."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TAP | IFF_NO_PI))
        yield
    finally:
        os.close(device)


@requirement("features-linux.net-devices.truthful")
def test_moving_network_devices_is_declared_as_it_works(
    harness: Harness, features: Document
) -> None:
    said = declared(features, "linux.netDevices.enabled")
    config = harness.config("read", "/proc/net/dev")
    config["linux"]["namespaces"].append({"type": "network"})
    config["linux"]["netDevices"] = {DEVICE: {}}
    with network_device(), harness.container(config) as container:
        if container.create().failed or container.start().failed:
            assert not said
            return
        moved = f"{DEVICE}:" in container.read_line()["content"]
    if said is None:
        harness.note(f"netDevices is not declared, and a device is {'' if moved else 'not '}moved")
        return
    assert moved == said
