"""The kinds of samples: which steps each takes, and what its figures are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.perf import bundles
from seatrial.perf.programs import program
from seatrial.perf.stopwatch import Step

if TYPE_CHECKING:
    from seatrial.perf.bundle import Bundle
    from seatrial.perf.cases import Case
    from seatrial.perf.contenders import Contender
    from seatrial.perf.place import Place

Raw = dict[str, Any]


def floor() -> str:
    """Return the floor's path."""
    return str(program("floor"))


def take(place: Place, contender: Contender, case: Case, *, count: bool = False) -> Raw:
    """Take one sample of ``run``, ``steps`` or ``version``; what went wrong is at ``error``."""
    if case.kind == "version":
        return place.sample(Step("version", (contender.path, "--version")), count=count)
    bundle = bundles.make(place, contender, case)
    identifier = place.new_id()
    if contender.mode and contender.mode.fresh:
        bundle.freshen(identifier)
    if contender.mode and contender.mode.in_process:
        raw = place.sample_in_process(contender, str(bundle.path), identifier, count=count)
    elif case.kind == "run":
        step = run(place, contender, bundle, identifier, rootless=case.rootless)
        before = place.engines.used_ns(contender) if contender.is_engine else None
        raw = place.sample(step, count=count)
        after = place.engines.used_ns(contender) if contender.is_engine else None
        if before is not None and after is not None:
            raw["beside_ns"] = after - before
    else:
        raw = place.sample(
            *_life(place, contender, str(bundle.path), identifier), pid_file=True, count=count
        )
    if "error" in raw:
        place.clear(contender, identifier)
    return raw


def run(
    place: Place, contender: Contender, bundle: Bundle, identifier: str, *, rootless: bool = False
) -> Step:
    """Return the step that runs a bundle from its creation to its removal."""
    flags = "pu" if rootless else "p"
    if contender.is_floor:
        return Step("run", (floor(), "run", str(bundle.path / "orders")), flags)
    if contender.is_engine:
        return place.engines.step(contender, bundle)
    words = ("--bundle", str(bundle.path), *contender.preserving(), identifier)
    root = place.root(contender, rootless=rootless)
    return contender.step("run", root, *words, flags=flags)


def _life(place: Place, contender: Contender, bundle: str, identifier: str) -> list[Step]:
    root = place.root(contender)
    words = ("--bundle", bundle, "--pid-file", place.pid_file, *contender.preserving(), identifier)
    return [
        contender.step("create", root, *words),
        contender.step("start", root, identifier, flags="px"),
        contender.step("delete", root, identifier),
    ]
