"""features-linux.md: namespaces, capabilities, cgroups, memory policies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.facts import held_capabilities, kernel_release
from seatrial.conformance.features import Document, declared, listed
from seatrial.conformance.marks import needs, requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: Types of namespaces, by the kernel's names for them (namespaces(7)).
KERNEL_NAMES = {
    "cgroup": "cgroup",
    "ipc": "ipc",
    "mount": "mnt",
    "network": "net",
    "pid": "pid",
    "time": "time",
    "user": "user",
    "uts": "uts",
}
#: Memory policies: their number, whether they take nodes, and since when Linux has them
#: (set_mempolicy(2)).
POLICIES = {
    "MPOL_DEFAULT": (0, False, (2, 6)),
    "MPOL_PREFERRED": (1, True, (2, 6)),
    "MPOL_BIND": (2, True, (2, 6)),
    "MPOL_INTERLEAVE": (3, True, (2, 6)),
    "MPOL_LOCAL": (4, False, (3, 8)),
    "MPOL_PREFERRED_MANY": (5, True, (5, 15)),
    "MPOL_WEIGHTED_INTERLEAVE": (6, True, (6, 9)),
}
POLICY_FLAGS = {
    "MPOL_F_STATIC_NODES": 1 << 15,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_NUMA_BALANCING": 1 << 13,
}
IDENTITY = [{"containerID": 0, "hostID": 0, "size": 65536}]
LIMIT = 42


def here(kind: str) -> bool:
    """Whether this host has a type of namespace."""
    return os.path.exists(f"/proc/self/ns/{KERNEL_NAMES[kind]}")


def with_namespace(harness: Harness, kind: str) -> Config:
    """Return a config with a new namespace of this type."""
    config = harness.config("pause")
    listed_types = {entry["type"] for entry in config["linux"]["namespaces"]}
    config["linux"]["namespaces"] = [{"type": name} for name in sorted({*listed_types, kind})]
    if kind == "user":
        config["linux"] |= {"uidMappings": IDENTITY, "gidMappings": IDENTITY}
    return config


# Namespaces


@requirement("features-linux.namespaces.listed-recognized")
@pytest.mark.parametrize("kind", sorted(KERNEL_NAMES))
def test_a_listed_type_of_namespace_is_recognised(
    harness: Harness, features: Document, kind: str
) -> None:
    if kind not in listed(features, "linux.namespaces"):
        refused = harness.attempt(with_namespace(harness, kind)).failed
        harness.note(f"{kind} is not listed, and is {'refused' if refused else 'accepted'}")
        return
    if not here(kind):
        harness.note(f"{kind} is listed, and this host has none")
        return
    with harness.running(with_namespace(harness, kind)) as container:
        name = KERNEL_NAMES[kind]
        assert container.namespace(name) != namespaces.current(name)


# Capabilities


@requirement("features-linux.capabilities.listed-recognized")
def test_the_listed_capabilities_are_granted(harness: Harness, features: Document) -> None:
    held = [name for name in listed(features, "linux.capabilities") if name in held_capabilities()]
    config = harness.config()
    kinds = ("bounding", "permitted", "effective")
    config["process"]["capabilities"] = dict.fromkeys(kinds, held)
    report = harness.run(config)
    assert {kind: report.capabilities(kind) for kind in kinds} == {
        kind: set(held) for kind in kinds
    }


@requirement("features-linux.capabilities.listed-recognized")
def test_each_listed_capability_is_granted_alone(harness: Harness, features: Document) -> None:
    for name in listed(features, "linux.capabilities"):
        if name in held_capabilities():
            config = harness.config()
            config["process"]["capabilities"] = {"bounding": [name]}
            assert harness.run(config).capabilities("bounding") == {name}


# Control groups


@requirement("features-linux.cgroup.truthful")
@needs("controller:pids")
def test_the_version_of_cgroups_that_is_in_use_is_declared_as_it_is(
    harness: Harness, features: Document
) -> None:
    # The other version, and systemd, cannot be tried on the same host.
    found = cgroups.hierarchies()
    version = 2 if cgroups.mode(found) == "v2" else 1
    config = harness.config("pause")
    config["linux"] |= {
        "resources": {"pids": {"limit": LIMIT}},
        "cgroupsPath": f"{harness.cgroup}/{harness.new_id()}",
    }
    said = declared(features, f"linux.cgroup.v{version}")
    if said is None:
        harness.note(f"cgroup.v{version} is not declared")
    with harness.container(config) as container:
        created = container.create()
        if created.failed:
            assert not said, created
            return
        places = [each.path for each in found if each.version == version]
        files = [
            place / config["linux"]["cgroupsPath"].lstrip("/") / "pids.max" for place in places
        ]
        limits = [file.read_text().strip() for file in files if file.exists()]
        if limits != [str(LIMIT)]:
            raise Ignored(f"cgroup.v{version} is {said}, and no limit of processes is set")
        assert said is not False


# Memory policies


def with_policy(harness: Harness, mode: str, *flags: str) -> Config:
    """Return a config with a memory policy."""
    config = harness.config()
    _, has_nodes, _ = POLICIES[mode]
    config["linux"]["memoryPolicy"] = {"mode": mode} | ({"nodes": "0"} if has_nodes else {})
    if flags:
        config["linux"]["memoryPolicy"]["flags"] = list(flags)
    return config


@requirement("features-linux.memory-policy.modes-recognized")
@pytest.mark.parametrize("mode", sorted(POLICIES))
def test_a_listed_mode_of_memory_policy_is_recognised(
    harness: Harness, features: Document, mode: str
) -> None:
    number, _, since = POLICIES[mode]
    if mode not in listed(features, "linux.memoryPolicy.modes"):
        harness.note(f"{mode} is not listed")
    elif kernel_release() < since or not os.path.exists("/proc/self/numa_maps"):
        harness.note(f"{mode} is listed, and this kernel does not have it")
    else:
        policy = harness.run(with_policy(harness, mode))["memory_policy"]
        assert policy is not None
        assert policy["mode"] == number


@requirement("features-linux.memory-policy.flags-recognized")
@pytest.mark.parametrize("flag", sorted(POLICY_FLAGS))
def test_a_listed_flag_of_memory_policies_is_recognised(
    harness: Harness, features: Document, flag: str
) -> None:
    if flag not in listed(features, "linux.memoryPolicy.flags"):
        harness.note(f"{flag} is not listed")
    elif not os.path.exists("/proc/self/numa_maps"):
        harness.note(f"{flag} is listed, and this kernel has no memory policies")
    else:
        policy = harness.run(with_policy(harness, "MPOL_BIND", flag))["memory_policy"]
        assert policy is not None
        assert policy["flags"] & POLICY_FLAGS[flag]
