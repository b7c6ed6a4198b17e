"""What a container may use: ``linux.resources`` to writes of cgroup files (config-linux.md).

A setting goes to the hierarchy that has its controller.  The config speaks the language of v1; for
v2 it is converted, and what cannot be converted is an error.  Memory, CPU, block I/O and devices
have modules of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import cgroup_cpu, cgroup_io, cgroup_memory, device_rules, host
from seatrial.oci.cgroup_files import NEED_NOT_BE, Groups, Writer, check_uint64, escape
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import HugepageLimit, Network, Pids, Rdma, Resources
    from seatrial.oci.operations import Op

BASE = "/linux/resources"
#: Files of v2 that belong to no controller, or are there without it.
_CORE = {"cgroup"}
_WITHOUT_CONTROLLER = ("pressure", "stat", "stat.local")


def compile(  # noqa: A001 - the compiler's verb
    resources: Resources, groups: Groups, *, stage: Stage, update: bool = False
) -> Iterator[Op]:
    """Yield the writes; with ``update`` those for a container that exists.

    Raises ``ConfigError`` for values that no kernel takes, and for what this host has no way for.
    """
    yield from cgroup_memory.compile(resources.memory, groups, stage)
    yield from cgroup_cpu.compile(resources.cpu, groups, stage)
    yield from cgroup_io.compile(resources.block_io, groups, stage)
    yield from _hugepages(resources.hugepage_limits, groups, stage)
    yield from _network(resources.network, groups, stage)
    yield from _rdma(resources.rdma, groups, stage)
    yield from _unified(resources.unified, groups, stage)
    yield from device_rules.compile(resources.devices, groups, stage, update=update)
    # The process has to be there already: with a limit of 0 none could be made.
    yield from _pids(resources.pids, groups, stage if update else Stage.ADOPT)


def _pids(pids: Pids | None, groups: Groups, stage: Stage) -> Iterator[Op]:
    if pids is None or pids.limit is None:
        return
    pointer = f"{BASE}/pids"
    if pids.limit < -1:
        raise ConfigError(f"{pointer}/limit", f"{pids.limit} is no number of tasks; -1 is no limit")
    write = Writer(groups.get("pids", f"{pointer}/limit"), stage, pointer)
    yield write("pids.max", "max" if pids.limit == -1 else pids.limit, "limit")


def _hugepages(limits: list[HugepageLimit], groups: Groups, stage: Stage) -> Iterator[Op]:
    for number, each in enumerate(limits):
        pointer = f"{BASE}/hugepageLimits/{number}"
        check_uint64(each.limit, f"{pointer}/limit")
        write = Writer(groups.get("hugetlb", pointer), stage, pointer)
        end = "limit_in_bytes" if write.is_v1 else "max"
        # What is reserved is limited where the kernel can do that (since Linux 5.7), what is used
        # in any case.
        yield write(f"hugetlb.{each.page_size}.{end}", each.limit, "limit")
        name = f"hugetlb.{each.page_size}.rsvd.{end}"
        yield write(name, each.limit, "limit", flags=NEED_NOT_BE)


def _network(network: Network | None, groups: Groups, stage: Stage) -> Iterator[Op]:
    if network is None:
        return
    pointer = f"{BASE}/network"
    if network.class_id is not None:
        write = Writer(groups.get("net_cls", f"{pointer}/classID"), stage, pointer)
        yield write("net_cls.classid", network.class_id, "classID")
    for number, each in enumerate(network.priorities):
        member = f"priorities/{number}"
        write = Writer(groups.get("net_prio", f"{pointer}/{member}"), stage, pointer)
        yield write("net_prio.ifpriomap", f"{each.name} {each.priority}", member)


def _rdma(rdma: dict[str, Rdma], groups: Groups, stage: Stage) -> Iterator[Op]:
    for device, each in rdma.items():
        pointer = f"{BASE}/rdma/{escape(device)}"
        limits = {"hca_handle": each.hca_handles, "hca_object": each.hca_objects}
        words = [f"{name}={value}" for name, value in limits.items() if value is not None]
        if not words:
            raise ConfigError(pointer, "needs hcaHandles or hcaObjects")
        write = Writer(groups.get("rdma", pointer), stage, pointer)
        yield write("rdma.max", " ".join([device, *words]), "")


def _unified(unified: dict[str, str], groups: Groups, stage: Stage) -> Iterator[Op]:
    for name, value in unified.items():
        pointer = f"{BASE}/unified/{escape(name)}"
        if "/" in name or name in {"", ".", ".."}:
            raise ConfigError(pointer, f"{name!r} is not the name of a cgroup file")
        if groups.unified is None:
            host.refuse(pointer, "there is no cgroup v2 hierarchy that we can use")
            continue
        controller, _, rest = name.partition(".")
        if controller in groups.unified.hierarchy.controllers:
            groups.used.setdefault(controller, pointer)
        elif controller not in _CORE and rest not in _WITHOUT_CONTROLLER:
            host.refuse(
                pointer, f"the cgroup v2 hierarchy of this host has no {controller} controller"
            )
        write = Writer(groups.unified, stage, pointer)
        # Such files take one line a write.
        for line in value.split("\n"):
            if line:
                yield write(name, line, "")
