"""config-linux.md, "Default Filesystems"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.config import mount
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_SHM = "/dev/shm"  # noqa: S108 - of the container
_ENTRIES = {
    "/proc": mount("/proc", source="proc", kind="proc"),
    "/dev": mount("/dev", "nosuid", "strictatime", "mode=755", "size=64k"),
    "/sys": mount("/sys", "nosuid", "noexec", "nodev", "ro", source="sysfs", kind="sysfs"),
    "/dev/pts": mount(
        *("/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
        source="devpts",
        kind="devpts",
    ),
    _SHM: mount(_SHM, "nosuid", "noexec", "nodev", "mode=1777", source="shm"),
}
_PARAMETERS = [
    pytest.param(place, kind, marks=requirement(f"linux.default-filesystems.{name}"))
    for name, place, kind in (
        ("proc", "/proc", "proc"),
        ("sys", "/sys", "sysfs"),
        ("dev-pts", "/dev/pts", "devpts"),
        ("dev-shm", _SHM, "tmpfs"),
    )
]


def config_with(harness: Harness, places: list[str]) -> Config:
    """Return a config that mounts these filesystems alone, and has a network namespace (/sys)."""
    config = harness.config()
    config["mounts"] = [_ENTRIES[place] for place in places]
    config["linux"]["namespaces"].append({"type": "network"})
    return config


@pytest.mark.parametrize(("place", "kind"), _PARAMETERS)
def test_a_customary_config_has_the_filesystem(harness: Harness, place: str, kind: str) -> None:
    report = harness.run(config_with(harness, list(_ENTRIES)))
    assert report.mount(place).fstype == kind
    assert [each.target for each in report.mounts].count(place) == 1


@pytest.mark.parametrize(("place", "kind"), _PARAMETERS)
def test_what_there_is_without_an_entry_is_recorded(
    harness: Harness, place: str, kind: str
) -> None:
    # The text does not say whose work it is, the runtime's or that of the config's author.
    config = config_with(harness, [each for each in _ENTRIES if each != place])
    config["process"]["args"] = ["/probe", "list", place, "+", "report"]
    with harness.container(config) as container:
        if container.create().failed:
            harness.note(f"without an entry for {place} create is refused")
            return
        assert container.start().ok
        report = container.report()
        if report["mountinfo"] is None or place not in [each.target for each in report.mounts]:
            harness.note(f"without an entry there is no {kind} at {place}")
        else:
            assert report.mount(place).fstype == kind
