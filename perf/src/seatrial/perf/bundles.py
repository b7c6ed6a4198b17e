"""Bundles, in memory: one per case and contender."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf import configs, filters, rungs
from seatrial.perf.orders import Orders, dump
from seatrial.perf.programs import program

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.cases import Case
    from seatrial.perf.configs import Config
    from seatrial.perf.contenders import Contender
    from seatrial.perf.orders import Order
    from seatrial.perf.place import Place

_FOLDERS = ("proc", "dev", "sys", "tmp")


@dataclass(frozen=True)
class Bundle:
    """One bundle: its folder, its config and the name of its cgroup below the run's own."""

    path: Path
    config: Config
    cgroup: str

    def orders(self, place: Place) -> Orders:
        """Return the floor's orders for it."""
        return Orders(self.config, self.path, place.cgroups, self.cgroup)

    def freshen(self, word: str) -> None:
        """Write the config anew with a word that nothing looks at, so that its bytes are new."""
        config = self.config | {"annotations": {"io.seatrial.perf": word}}
        (self.path / "config.json").write_text(json.dumps(config, indent=1))


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
        (path / "orders").write_bytes(dump(_orders(place, case, bundle)))
    return bundle


def _orders(place: Place, case: Case, bundle: Bundle) -> list[Order]:
    if case.orders:
        make = rungs.micro if case.kind == "micro" else rungs.ladder
        return make(case.orders, place, bundle)
    filter_file = None
    if case.filtered:
        filter_file = bundle.path / "filter"
        filter_file.write_bytes(filters.compile_filter(list(case.filtered)))
    return bundle.orders(place).all(filter_file)
