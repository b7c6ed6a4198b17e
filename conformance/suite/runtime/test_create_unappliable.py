"""runtime.md, "Create": properties that cannot be applied as the config has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.bundle import Bundle
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness


def _mount(**members: object) -> Callable[[Config], None]:
    mount = {"destination": "/data", "type": "tmpfs", "source": "tmpfs", **members}
    return lambda config: config["mounts"].append(mount)


def _joined(kind: str, path: str) -> Callable[[Config], None]:
    def edit(config: Config) -> None:
        others = [each for each in config["linux"]["namespaces"] if each["type"] != kind]
        config["linux"]["namespaces"] = [*others, {"type": kind, "path": path}]

    return edit


def _linux(**members: object) -> Callable[[Config], None]:
    return lambda config: config["linux"].update(members)


def _resources(**members: object) -> Callable[[Config], None]:
    return _linux(resources=members)


def _device(**members: object) -> Callable[[Config], None]:
    device = {"path": "/dev/seatrial", "type": "c", "major": 1, "minor": 3, **members}
    return _linux(devices=[device])


def _root(path: str) -> Callable[[Config], None]:
    return lambda config: config["root"].update(path=path)


def _hostname(name: str) -> Callable[[Config], None]:
    return lambda config: config.update(hostname=name)


def _process(**members: object) -> Callable[[Config], None]:
    return lambda config: config["process"].update(members)


#: Edits of a config, each of a property outside ``process``, that no runtime can do as they say.
_EDITS = {
    "root.path:missing": _root("no-such-folder"),
    "root.path:file": _root("config.json"),
    "hostname:too-long": _hostname("h" * 65),
    "mounts.type:unknown": _mount(type="no-such-filesystem"),
    "mounts.options:bad-data": _mount(options=["size=banana"]),
    "mounts.source:missing": _mount(type="bind", source="/no/such", options=["bind"]),
    "mounts.source:folder-on-a-file": _mount(
        destination="/probe", type="bind", source="/proc", options=["bind"]
    ),
    "mounts.destination:below-a-file": _mount(destination="/probe/data"),
    **{
        f"namespaces.{kind}.path:missing": _joined(kind, "/no/such/namespace")
        for kind in ("pid", "network", "mount", "ipc", "uts", "cgroup")
    },
    "namespaces.uts.path:of-another-type": _joined("uts", "/proc/self/ns/net"),
    "namespaces.ipc.path:of-another-type": _joined("ipc", "/proc/self/ns/uts"),
    "namespaces.network.path:of-another-type": _joined("network", "/proc/self/ns/ipc"),
    "namespaces.uts.path:file": _joined("uts", "/proc/self/status"),
    "devices.path:below-a-file": _device(path="/probe/device"),
    "sysctl:unknown": _linux(sysctl={"kernel.shm_no_such": "1"}),
    "sysctl:bad-value": _linux(sysctl={"kernel.msgmax": "banana"}),
    "seccomp.defaultAction:unknown": _linux(seccomp={"defaultAction": "SCMP_ACT_BANANA"}),
    "seccomp.architectures:unknown": _linux(
        seccomp={"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_BANANA"]}
    ),
    # Where the controller is missing this cannot be done either.
    "resources.cpu.quota:too-small": _resources(cpu={"quota": 1, "period": 100_000}),
    "resources.cpu.period:too-small": _resources(cpu={"period": 1}),
    "resources.cpu.cpus:not-there": _resources(cpu={"cpus": "100000"}),
    "resources.cpu.mems:not-there": _resources(cpu={"mems": "1000"}),
    "resources.hugepageLimits:no-such-size": _resources(
        hugepageLimits=[{"pageSize": "3KB", "limit": 0}]
    ),
    "resources.network.priorities:no-such-interface": _resources(
        network={"priorities": [{"name": "seatrial-none", "priority": 1}]}
    ),
    "resources.devices.type:unknown": _resources(
        devices=[{"allow": True, "type": "z", "access": "r"}]
    ),
}
#: The same of ``process``, of which ``args`` has to wait for start, and others may.
_PROCESS_EDITS = {
    "cwd:file": _process(cwd="/probe"),
    "oomScoreAdj:out-of-range": _process(oomScoreAdj=5000),
    "rlimits.type:unknown": _process(rlimits=[{"type": "RLIMIT_BANANA", "soft": 1, "hard": 1}]),
    "rlimits.soft:above-hard": _process(rlimits=[{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]),
}


def _refused(harness: Harness, edit: Callable[[Config], None]) -> None:
    config = harness.config()
    edit(config)
    with harness.container(config) as container:
        if container.create().ok:
            raise Ignored("create succeeded, so there is a container without this property")
        assert container.runtime.state(container.id).failed


_ROWS = (
    "runtime.create.unappliable-property-errors",
    "runtime.create.unappliable-property-creates-nothing",
)


@requirement(*_ROWS)
@pytest.mark.parametrize("edit", _EDITS.values(), ids=_EDITS)
def test_a_property_that_cannot_be_applied_is_an_error_of_create(
    harness: Harness, edit: Callable[[Config], None]
) -> None:
    _refused(harness, edit)


@requirement(*_ROWS)
def test_a_device_of_an_unknown_type_is_an_error_of_create(harness: Harness) -> None:
    _refused(harness, _device(type="z"))


@requirement(*_ROWS)
def test_an_unknown_propagation_is_an_error_of_create(harness: Harness) -> None:
    _refused(harness, _linux(rootfsPropagation="banana"))


@requirement("runtime.create.unappliable-property-errors")
@pytest.mark.parametrize("edit", _PROCESS_EDITS.values(), ids=_PROCESS_EDITS)
def test_a_property_of_the_process_that_cannot_be_applied_is_an_error(
    harness: Harness, edit: Callable[[Config], None]
) -> None:
    config = harness.config("mark", "program", Bundle.LOG)
    edit(config)
    with harness.bundle(config) as bundle:
        assert harness.attempt(config, bundle=bundle).failed
        assert bundle.log_lines() == []


@requirement("runtime.create.unappliable-property-creates-nothing")
def test_the_id_that_create_failed_with_is_still_free(harness: Harness) -> None:
    identifier = harness.new_id()
    config = harness.config()
    config["hostname"] = "h" * 65
    with harness.container(config, identifier=identifier) as container:
        assert container.create().failed
    with harness.container(harness.config(), identifier=identifier) as container:
        assert container.create().ok
        assert container.state()["status"] == "created"
