"""What the user is told of a run: what will be done, and the medians at its end."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from seatrial.perf import figures

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.plan import Plan
    from seatrial.perf.pyperf_files import Block, Key

#: The figures that stand for a case in the table.
_SHOWN = (
    *("run-wall", "whole-wall", "create-wall", "start-wall", "first-instruction-wall"),
    *("exit-seen-wall", "delete-wall", "run-cpu", "run-minor-faults", "run-syscalls"),
    *("exec-wall", "version-wall", "wall", "starts-per-second", "p99-wall"),
    *("pss-memory", "cgroup-memory"),
)
_MILLISECOND = 1e-3


def before(plan: Plan, folder: Path) -> str:
    """Return what will be done."""
    names = ", ".join(f"{e.name} {e.version}".rstrip(" -") for e in plan.contenders)
    sizes = ", ".join(f"{name} {size.blocks} x {size.samples}" for name, size in plan.sizes.items())
    lines = [
        f"measuring {names}",
        f"blocks x samples: {sizes}; seed {plan.seed}; into {folder}",
        *(f"skipping {each['contender']}: {each['reason']}" for each in plan.skipped),
        *plan.notes,
    ]
    return "\n".join(lines)


def after(
    environment: dict[str, Any],
    skipped: list[dict[str, str]],
    found: dict[Key, list[Block]],
    folder: Path,
) -> str:
    """Return the medians of all contenders, and what is to be said against them."""
    lines = [*_table(found), ""]
    marks = environment["not_comparable"].items()
    lines += [f"not comparable: {name}: {why}" for name, why in marks]
    lines += [f"skipped: {_where(each)}: {each['reason']}" for each in skipped]
    lines += [f"note: {text}" for text in environment["notes"]]
    lines += [f"left out: {text}" for text in environment.get("left_out", [])]
    if environment["publishable"]:
        lines.append("publishable: yes")
    else:
        lines.append("not publishable: " + "; ".join(environment["reasons"]))
    return "\n".join([*lines, f"results: {folder}"])


def _where(skipped: dict[str, str]) -> str:
    return f"{skipped['contender']} {skipped.get('case', '')}".rstrip()


def _table(found: dict[Key, list[Block]]) -> list[str]:
    rows: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for (contender, suite, case, figure), those in found.items():
        if figure not in _SHOWN:
            continue
        if contender not in names:
            names.append(contender)
        value = median(median(each.values) for each in those)
        rows.setdefault(f"{suite}/{case}/{figure}", {})[contender] = shown(figure, value)
    width = max((len(row) for row in rows), default=0)
    widths = [max(len(name), 9) for name in names]
    lines = [" " * width + "".join(f"  {n:>{w}}" for n, w in zip(names, widths, strict=True))]
    for row, values in rows.items():
        cells = (values.get(name, "") for name in names)
        lines.append(
            f"{row:<{width}}" + "".join(f"  {c:>{w}}" for c, w in zip(cells, widths, strict=True))
        )
    return lines if rows else ["nothing was measured"]


def shown(figure: str, value: float) -> str:
    """Return a value with its unit, as short as it can be read."""
    unit = figures.unit(figure)
    if unit == "second":
        return f"{value * 1e3:.2f} ms" if value >= _MILLISECOND else f"{value * 1e6:.0f} us"
    if unit == "byte":
        return f"{value / 1024:.0f} KiB"
    return f"{value:.0f}"
