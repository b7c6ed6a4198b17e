"""Block I/O (config-linux.md, "Block IO"; cgroup-v1/blkio-controller.rst, cgroup-v2.rst)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.cgroup_files import Writer, check_uint64
from seatrial.oci.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.cgroup_files import Groups
    from seatrial.oci.config import BlockIO, ThrottleDevice
    from seatrial.oci.operations import Op, Stage

POINTER = "/linux/resources/blockIO"
WEIGHT_LEAST, WEIGHT_MOST = 10, 1000
#: By member: the file of v1, the key in io.max of v2.
THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}


def compile(io: BlockIO | None, groups: Groups, stage: Stage) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the writes; raises ``ConfigError``.

    The kernel has no weight of 0, and callers write it for "not set".
    """
    if io is None:
        return
    throttles = _throttles(io)
    for number, each in enumerate(io.weight_device):
        if each.weight is None and each.leaf_weight is None:
            raise ConfigError(f"{POINTER}/weightDevice/{number}", "needs weight or leafWeight")
    if not (io.weight or io.leaf_weight or io.weight_device or any(throttles.values())):
        return
    write = Writer(groups.get("blkio", POINTER), stage, POINTER)
    yield from _v1_weights(io, write) if write.is_v1 else _v2_weights(io, write)
    for member, devices in throttles.items():
        file, key = THROTTLES[member]
        for number, device in enumerate(devices):
            place = f"{member}/{number}"
            check_uint64(device.rate, f"{POINTER}/{place}/rate")
            numbers = f"{device.major}:{device.minor}"
            if write.is_v1:
                yield write(file, f"{numbers} {device.rate}", place)
            else:
                # To v1 0 is no limit.
                yield write("io.max", f"{numbers} {key}={device.rate or 'max'}", place)


def _throttles(io: BlockIO) -> dict[str, list[ThrottleDevice]]:
    return {
        "throttleReadBpsDevice": io.throttle_read_bps_device,
        "throttleWriteBpsDevice": io.throttle_write_bps_device,
        "throttleReadIOPSDevice": io.throttle_read_iops_device,
        "throttleWriteIOPSDevice": io.throttle_write_iops_device,
    }


def _v1_weights(io: BlockIO, write: Writer) -> Iterator[Op]:
    # BFQ has names of its own, those of CFQ went with it in Linux 5.0.
    if io.weight:
        yield write("blkio.weight", io.weight, "weight", other="blkio.bfq.weight")
    if io.leaf_weight:
        yield write("blkio.leaf_weight", io.leaf_weight, "leafWeight")
    for number, each in enumerate(io.weight_device):
        place, numbers = f"weightDevice/{number}", f"{each.major}:{each.minor}"
        if each.weight is not None:
            text = f"{numbers} {each.weight}"
            yield write("blkio.weight_device", text, place, other="blkio.bfq.weight_device")
        if each.leaf_weight is not None:
            yield write("blkio.leaf_weight_device", f"{numbers} {each.leaf_weight}", place)


def _v2_weights(io: BlockIO, write: Writer) -> Iterator[Op]:
    # BFQ's file takes weights as they are, the kernel's own has another scale.
    has_bfq = write.group.read("io.bfq.weight") is not None or _has_bfq(write)
    name = "io.bfq.weight" if has_bfq else "io.weight"
    if io.leaf_weight:
        write.refuse("leafWeight", "cgroup v2 has no leaf weight")
    if io.weight:
        value = io.weight if has_bfq else weight(io.weight, f"{POINTER}/weight")
        yield write(name, value, "weight")
    for number, each in enumerate(io.weight_device):
        place = f"weightDevice/{number}"
        if each.leaf_weight is not None:
            write.refuse(f"{place}/leafWeight", "cgroup v2 has no leaf weight")
        if each.weight is not None:
            pointer = f"{POINTER}/{place}/weight"
            value = each.weight if has_bfq else weight(each.weight, pointer)
            yield write(name, f"{each.major}:{each.minor} {value}", place)


def _has_bfq(write: Writer) -> bool:
    """Whether a cgroup that is there has BFQ's file: the root has none, and ours is to be made."""
    top = write.group.hierarchy.path
    return any(host.exists(f"{folder}/io.bfq.weight") for folder in host.folders(top))


def weight(value: int, pointer: str) -> int:
    """Return the v2 weight of 1 to 10000 for a v1 weight of 10 to 1000."""
    if not WEIGHT_LEAST <= value <= WEIGHT_MOST:
        raise ConfigError(pointer, f"{value} is not from {WEIGHT_LEAST} to {WEIGHT_MOST}")
    return 1 + (value - 10) * 9999 // 990
