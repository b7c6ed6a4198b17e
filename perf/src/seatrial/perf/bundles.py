"""Makes bundles, in memory: one per case and contender."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from seatrial.perf import configs, filters, rungs
from seatrial.perf.bundle import Bundle
from seatrial.perf.orders import dump
from seatrial.perf.programs import program

if TYPE_CHECKING:
    from seatrial.perf.cases import Case
    from seatrial.perf.contenders import Contender
    from seatrial.perf.orders import Order
    from seatrial.perf.place import Place

_FOLDERS = ("proc", "dev", "sys", "tmp")


def make(place: Place, contender: Contender, case: Case, *arguments: str, slot: str = "") -> Bundle:
    """Make the bundle of a case for a contender, with its payload's arguments."""
    name = f"{contender.name}-{case.suite}-{case.name}-{case.kind}{slot}".replace("#", "-")
    path = place.work / "bundles" / name
    rootfs = path / "rootfs"
    bundle = Bundle(
        path,
        configs.finished(
            case.config,
            arguments=[str(contender.descriptor), *arguments],
            cgroup=None if case.rootless else f"{place.cgroups.path}/{name}",
        ),
        place.cgroups,
        name,
    )
    if path.is_dir():
        return bundle
    for folder in _FOLDERS:
        (rootfs / folder).mkdir(parents=True)
    (path / "extra").mkdir()
    for entry in case.config["mounts"]:
        if entry["destination"].startswith(configs.EXTRA):
            (rootfs / entry["destination"].lstrip("/")).mkdir(parents=True)
    shutil.copy(program("payload"), rootfs / configs.PAYLOAD.lstrip("/"))
    (path / "config.json").write_text(json.dumps(bundle.config, indent=1))
    if contender.is_floor:
        (path / "orders").write_bytes(dump(_orders(case, bundle)))
    return bundle


def _orders(case: Case, bundle: Bundle) -> list[Order]:
    if case.orders:
        make = rungs.micro if case.kind == "micro" else rungs.ladder
        return make(case.orders, bundle)
    filter_file = None
    if case.filtered:
        filter_file = bundle.path / "filter"
        filter_file.write_bytes(filters.compile_filter(list(case.filtered)))
    return bundle.orders().all(filter_file)
