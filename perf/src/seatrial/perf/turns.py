"""One turn: the samples that a contender gives in a row, a warm-up before them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.perf import bundles, figures, kernel, kinds, layers
from seatrial.perf.figures import ImpossibleError
from seatrial.perf.stopwatch import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.perf.bundle import Bundle
    from seatrial.perf.contenders import Contender
    from seatrial.perf.place import Place
    from seatrial.perf.schedule import Turn

#: A part of a line of samples.jsonl: figures or an error, and what the stopwatch saw.
Part = dict[str, Any]
_MOST_SAID = 1000


def take(place: Place, turn: Turn, samples: int, *, count: bool) -> Iterator[Part]:
    """Yield the samples of a turn: a warm-up, ``samples`` of them, with ``count`` a counted one."""
    with _surroundings(place, turn):
        if turn.case.kind == "micro":
            yield from _micro(place, turn, samples)
        elif turn.case.kind == "burst":
            yield _burst(place, turn)
        elif turn.case.kind == "density":
            yield _density(place, turn)
        elif turn.case.kind == "exec":
            yield from _exec(place, turn, samples, count=count)
        else:
            for number in range(samples + 1):
                raw = kinds.take(place, turn.contender, turn.case)
                yield {"warmup": number == 0} | _part(turn, raw)
            if count:
                yield _counted(turn, kinds.take(place, turn.contender, turn.case, count=True))


def _part(turn: Turn, raw: dict[str, Any]) -> Part:
    """Return what a sample comes to."""
    if "error" in raw:
        return {"error": raw["error"], "stderr": raw["stderr"][-_MOST_SAID:], "raw": raw}
    try:
        found = figures.of_sample(turn.case.kind, raw, turn.contender)
    except ImpossibleError as error:
        return {"error": f"impossible interval: {error}", "raw": raw}
    return {"figures": found, "exit": raw["steps"][-1]["status"], "raw": raw}


def _counted(turn: Turn, raw: dict[str, Any]) -> Part:
    part = _part(turn, raw)
    if "figures" in part:
        part["figures"] = figures.of_counters(turn.case.kind, raw)
    return {"counted": True} | part


@contextlib.contextmanager
def _surroundings(place: Place, turn: Turn) -> Iterator[None]:
    """Have the mounts that the case wants around it, in this run's own mount namespace."""
    made: list[Path] = []
    try:
        for number in range(turn.case.table):
            each = place.work / "table" / str(number)
            each.mkdir(parents=True, exist_ok=True)
            kernel.mount("table", str(each), "tmpfs", data="size=4k")
            made.append(each)
        if turn.case.layers:
            bundle = bundles.make(place, turn.contender, turn.case)
            made.append(layers.mount(bundle.path, turn.case.layers))
        yield
    finally:
        for each in reversed(made):
            kernel.umount(str(each), kernel.MNT_DETACH)


def _micro(place: Place, turn: Turn, samples: int) -> Iterator[Part]:
    orders = bundles.make(place, turn.contender, turn.case).path / "orders"
    output = place.work / "micro"
    # The floor measures itself here: a process for each would cost more than what it does.
    step = Step("micro", (kinds.floor(), "micro", str(samples + 1), str(orders), str(output)))
    raw = place.sample(step)
    if "error" in raw:
        place.cgroups.clear()
        yield _part(turn, raw)
        return
    for number, line in enumerate(output.read_text().splitlines()):
        yield {"warmup": number == 0, "figures": {"wall": int(line)}, "exit": 0}


def _burst(place: Place, turn: Turn) -> Part:
    contender, case = turn.contender, turn.case
    made = [bundles.make(place, contender, case, slot=f"-{n}") for n in range(case.number)]
    path = str(made[0].path)[: -len("0")] + "@SLOT@"
    if contender.is_floor:
        step = Step("run", (kinds.floor(), "run", f"{path}/orders"))
    else:
        words = ("--bundle", path, *contender.preserving(), f"{place.new_id()}-@N@")
        step = contender.step("run", place.root(contender), *words)
    total = max(12, 4 * case.number)
    raw = place.stopwatch.burst(step, parallel=case.number, total=total, timeout_s=place.timeout_s)
    if "error" in raw:
        return {"error": raw["error"], "raw": raw}
    found = figures.of_burst(raw)
    if found.get("failures"):
        place.cgroups.clear()
    if "starts-per-second" not in found:
        return {"error": f"all {total} starts failed", "raw": raw}
    return {"figures": found, "exit": 0, "raw": raw}


def _start_idle(
    place: Place, contender: Contender, bundle: Bundle, identifier: str
) -> dict[str, Any]:
    root = place.root(contender)
    words = ("--bundle", str(bundle.path), *contender.preserving(), identifier)
    create = contender.step("create", root, *words)
    # The payload writes to what `create` was given, and that is the same pipe.
    return place.sample(create, contender.step("start", root, identifier, flags="p"))


def _stop(place: Place, contender: Contender, identifier: str) -> dict[str, Any]:
    delete = contender.step("delete", place.root(contender), "--force", identifier)
    return place.sample(delete)


def _exec(place: Place, turn: Turn, samples: int, *, count: bool) -> Iterator[Part]:
    contender = turn.contender
    bundle = bundles.make(place, contender, turn.case, "idle")
    identifier = place.new_id()
    raw = _start_idle(place, contender, bundle, identifier)
    if "error" in raw:
        place.clear(contender, identifier)
        yield _part(turn, raw)
        return
    words = (*contender.preserving(), identifier, "/payload", str(contender.descriptor))
    step = contender.step("exec", place.root(contender), *words, flags="p")
    try:
        for number in range(samples + 1):
            yield {"warmup": number == 0} | _part(turn, place.sample(step))
        if count:
            yield _counted(turn, place.sample(step, count=True))
    finally:
        if "error" in _stop(place, contender, identifier):
            place.clear(contender, identifier)


def _density(place: Place, turn: Turn) -> Part:
    contender, number = turn.contender, turn.case.number
    identifiers: list[str] = []
    try:
        for slot in range(number):
            bundle = bundles.make(place, contender, turn.case, "idle", slot=f"-{slot}")
            identifiers.append(place.new_id())
            raw = _start_idle(place, contender, bundle, identifiers[-1])
            if "error" in raw:
                return _part(turn, raw)
        used = {
            "pss-memory": _proportional(place),
            "cgroup-memory": _charged(place),
        }
    finally:
        for identifier in identifiers:
            if "error" in _stop(place, contender, identifier):
                place.clear(contender, identifier)
    each = {name: value / number for name, value in used.items() if value}
    return {"figures": each, "exit": 0}


def _tasks(place: Place) -> set[int]:
    """Return what runs in the run's cgroups but the stopwatch and what it has started."""
    found: set[int] = set()
    for top in place.cgroups.folders():
        for file in top.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                found |= {int(line) for line in file.read_text().split()}
    return found - {place.stopwatch.pid, 0}


def _proportional(place: Place) -> int:
    total = 0
    for pid in _tasks(place):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def _charged(place: Place) -> int:
    """Return what the containers' cgroups are charged for, kernel memory included."""
    hierarchy = place.cgroups.find("memory")
    if hierarchy is None:
        return 0
    name = "memory.usage_in_bytes" if hierarchy.version == 1 else "memory.current"
    total = 0
    for folder in place.cgroups.folder(hierarchy).iterdir():
        if folder.is_dir() and folder.name != "stopwatch":
            with contextlib.suppress(OSError):
                total += int((folder / name).read_text())
    return total
