"""The floor's own cases: a ladder whose rungs each add a step, and single steps in a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.perf import filters, layers
from seatrial.perf.configs import plain
from seatrial.perf.orders import NAMESPACES, Orders

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.perf.bundle import Bundle
    from seatrial.perf.orders import Order

#: The rungs from the lowest; each does what those before it do and one thing more.
LADDER = (
    "exec",
    "namespaces",
    "cgroup",
    "root",
    "mounts",
    "devices",
    "paths",
    "privileges",
    "network",
)
#: Those of the single steps that need the names of system calls.
FILTERS = ("filter-search-400", "filter-list-400")
_END: Order = ("end",)


def ladder(rung: str, bundle: Bundle) -> list[Order]:
    """Return the orders for everything up to a rung."""
    height = LADDER.index(rung)
    config = bundle.config
    if rung == "network":
        types = config["linux"]["namespaces"]
        config = config | {"linux": config["linux"] | {"namespaces": [*types, {"type": "network"}]}}
    orders = Orders(config, bundle.path, bundle.cgroups, bundle.cgroup)
    steps: dict[str, list[Order]] = {
        "namespaces": [*orders.clone(), *orders.enter()],
        "cgroup": [*orders.make_cgroups(), ("attach",)],
        "root": orders.root(),
        "mounts": orders.mounts(),
        "devices": orders.devices(),
        "paths": orders.paths(),
        "privileges": [*orders.limits(), *orders.privileges()],
    }
    made: list[Order] = []
    for name in ("cgroup", "namespaces", *LADDER[3:8]):
        if LADDER.index(name) <= height:
            made += steps[name]
            if name == "paths":
                made += orders.pivot()
    program = ""
    if height < LADDER.index("paths"):
        program = str(bundle.path / "rootfs/payload")
    return [*made, orders.execute(program)]


def micro_names() -> list[str]:
    """Return the names of the single steps."""
    return [
        *(f"namespace-{name}" for name in ("none", *NAMESPACES, "all-but-user")),
        *(f"mount-{name}" for name in ("none", "proc", "dev", "devpts", "shm", "mqueue", "sysfs")),
        *("mount-bind", "mount-overlay1", "mount-overlay10", "mount-overlay50"),
        *("paths-readonly", "paths-masked", "pivot"),
        *("filter-none", "cgroup-none", "cgroup-make", "cgroup-attach", "capabilities"),
    ]


def micro(name: str, bundle: Bundle) -> list[Order]:
    """Return the orders for one step; raises ``filters.NoNamesError``."""
    group, _, which = name.partition("-")
    return _GROUPS[group](which, bundle)


def _clone(*kinds: str) -> Order:
    return ("clone", f"{sum(NAMESPACES[kind] for kind in kinds):x}")


def _namespace(which: str, bundle: Bundle) -> list[Order]:
    del bundle
    if which == "all-but-user":
        return [_clone(*(kind for kind in NAMESPACES if kind != "user")), _END]
    return [_clone(*([] if which == "none" else [which])), _END]


def _in_root(bundle: Bundle) -> tuple[Orders, list[Order]]:
    orders = bundle.orders()
    return orders, [_clone("mount", "pid", "ipc"), *orders.root()]


def _mount(which: str, bundle: Bundle) -> list[Order]:
    orders, before = _in_root(bundle)
    if which == "bind":
        return [*before, ("bind", str(bundle.path / "extra"), "tmp", "0"), _END]
    if which.startswith("overlay"):
        data = layers.options(bundle.path, int(which.removeprefix("overlay")))
        return [*before, ("mount", "overlay", "tmp", "overlay", "0", data), _END]
    if which == "dev":
        entry = plain()["mounts"][1]
        return [*before, *orders.mount(entry), *orders.devices(), _END]
    for entry in plain()["mounts"]:
        if which in {entry["source"], entry["destination"].rpartition("/")[2]}:
            return [*before, *orders.mount(entry | {"destination": "/tmp"}), _END]  # noqa: S108
    return [*before, _END]


def _paths(which: str, bundle: Bundle) -> list[Order]:
    orders, before = _in_root(bundle)
    word = {"readonly": "readonly", "masked": "mask"}[which]
    mounts = [entry for entry in plain()["mounts"] if entry["destination"] in {"/proc", "/sys"}]
    mounted = [order for entry in mounts for order in orders.mount(entry)]
    return [*before, *mounted, *(o for o in orders.paths() if o[0] == word), _END]


def _pivot(which: str, bundle: Bundle) -> list[Order]:
    del which
    orders, before = _in_root(bundle)
    return [*before, *orders.pivot(), _END]


def _filter(which: str, bundle: Bundle) -> list[Order]:
    if which == "none":
        return [_clone(), ("nothing-new",), _END]
    file = bundle.path / which
    names, _ = filters.choose(400)
    # The program has to be able to end: exit_group is among them.
    file.write_bytes(filters.compile_filter(names, linear=which.startswith("list")))
    return [_clone(), ("nothing-new",), ("seccomp", str(file)), _END]


def _cgroup(which: str, bundle: Bundle) -> list[Order]:
    orders = bundle.orders()
    made = [] if which == "none" else orders.make_cgroups()
    return [*made, _clone(), *([("attach",)] if which == "attach" else []), _END]


def _capabilities(which: str, bundle: Bundle) -> list[Order]:
    del which
    return [_clone(), *bundle.orders().privileges(), _END]


_GROUPS: dict[str, Callable[[str, Bundle], list[Order]]] = {
    "namespace": _namespace,
    "mount": _mount,
    "paths": _paths,
    "pivot": _pivot,
    "filter": _filter,
    "cgroup": _cgroup,
    "capabilities": _capabilities,
}
