"""Whole valid configs, drawn from the chapters' strategies, for one root filesystem of ours."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from seatrial.conformance.strategies import capabilities, devices, mounts, names, process
from seatrial.conformance.strategies.annotations import unknown_keys

if TYPE_CHECKING:
    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config

#: Files of the root filesystem that anybody may read and write, and what is in each.
FILES = ("/files/one", "/files/two", "/files/three")
CONTENT = "as it was"
#: Folders beside it to be bound, with one file each.
SOURCES = ("source", "other/source")
BOUND = "inside"
#: Kernel parameters by the namespace that has them, and values that the kernel takes as they are.
PARAMETERS = {
    "ipc": {"kernel.shmmni": st.integers(1, 32768), "kernel.msgmax": st.integers(1, 1 << 20)},
    "network": {"net.ipv4.ip_unprivileged_port_start": st.integers(0, 1024)},
}
#: Namespaces beside those of pid and mount.
_MORE_NAMESPACES = ("ipc", "uts", "network", "cgroup")
_MOUNT_POINTS = ("/m/one", "/m/two", "/three", "/tmp/four")  # noqa: S108 - in the container


def prepare(bundle: Bundle) -> None:
    """Put what the configs speak of into a bundle."""
    for path in FILES:
        file = bundle.rootfs / path.lstrip("/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(CONTENT)
        file.chmod(0o666)
    for source in SOURCES:
        folder = bundle.path / source
        folder.mkdir(parents=True)
        (folder / BOUND).write_text(source)


@st.composite
def configs(draw: st.DrawFn, base: Config, *, least_oom_score: int) -> Config:
    """Return a copy of ``base`` with any valid members that this host can have.

    Each of them may be missing; nothing in it is left to the runtime's choice.
    """
    config = copy.deepcopy(base)
    kinds = [kind for kind in _MORE_NAMESPACES if draw(st.booleans())]
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "mount", *kinds)]
    config["root"] |= draw(_some(readonly=st.booleans()))
    config |= draw(_of_the_document(kinds))
    config["mounts"] = [*config["mounts"], *draw(_mounts())]
    config["linux"] |= draw(_of_linux(kinds))
    config["process"] |= draw(_of_the_process(least_oom_score))
    points = [each["destination"] for each in config["mounts"] if each["destination"] != "/dev"]
    config["process"]["cwd"] = draw(st.sampled_from(["/", "/files", *points]))
    return config


@st.composite
def _some(draw: st.DrawFn, /, **members: st.SearchStrategy[Any]) -> Config:
    """Give most of the members most of the time."""
    return {name: draw(values) for name, values in members.items() if draw(st.integers(0, 5))}


def _of_the_document(kinds: list[str]) -> st.SearchStrategy[Config]:
    members: dict[str, st.SearchStrategy[Any]] = {
        "annotations": st.dictionaries(unknown_keys(), process.texts(without="=", max_size=20))
    }
    if "uts" in kinds:
        members["hostname"] = names.dotted_names()
    return _some(**members)


@st.composite
def _of_the_process(draw: st.DrawFn, least_oom_score: int) -> Config:
    uid = draw(capabilities.users())
    user = {"gid": process.ids(), "umask": process.masks()}
    members = _some(
        env=process.environments(),
        rlimits=process.rlimits(),
        capabilities=capabilities.lasting(uid),
        noNewPrivileges=st.booleans(),
        oomScoreAdj=st.integers(least_oom_score, 1000).filter(bool),
        terminal=st.just(False),  # noqa: FBT003 - a value
    )
    gids = _some(additionalGids=st.lists(process.ids(), max_size=10, unique=True))
    return draw(members) | {"user": {"uid": uid, **draw(st.fixed_dictionaries(user)), **draw(gids)}}


@st.composite
def _mounts(draw: st.DrawFn) -> list[Config]:
    entries = []
    for point in draw(st.lists(st.sampled_from(_MOUNT_POINTS), max_size=3, unique=True)):
        if draw(st.booleans()):
            options = draw(mounts.flag_sets(mounts.FLAGS, mounts.ACCESS_TIMES))
            entry = {"type": "tmpfs", "source": "tmpfs", "options": [*options, "mode=755"]}
        else:
            source, option = draw(st.sampled_from(SOURCES)), draw(st.sampled_from(["ro", "rw"]))
            entry = {"source": source, "options": ["bind", option]}
        entries.append({"destination": point, **entry})
    return entries


@st.composite
def _of_linux(draw: st.DrawFn, kinds: list[str]) -> Config:
    parameters = {name: values for kind in kinds for name, values in _parameters(kind).items()}
    nodes = devices.nodes().filter(lambda each: each["path"].startswith("/dev/"))
    owners = st.fixed_dictionaries(
        {"fileMode": devices.modes(), "uid": process.ids(), "gid": process.ids()}
    )
    entries = st.lists(
        st.tuples(nodes, owners).map(lambda pair: pair[0] | pair[1]),
        max_size=3,
        unique_by=lambda each: each["path"],
    )
    files = draw(st.permutations(FILES))
    masked, readonly = draw(st.integers(0, len(FILES))), draw(st.integers(0, len(FILES)))
    drawn: Config = draw(
        _some(
            devices=entries,
            sysctl=st.fixed_dictionaries(parameters),
            maskedPaths=st.just(list(files[:masked])),
            readonlyPaths=st.just(list(files[masked : masked + readonly])),
        )
    )
    return drawn


def _parameters(kind: str) -> dict[str, st.SearchStrategy[str]]:
    return {name: values.map(str) for name, values in PARAMETERS.get(kind, {}).items()}


# The same said otherwise


#: Lists whose order has no meaning, by where they are; those that are not there are passed over.
_SETS = (
    *(("process", name) for name in ("env", "rlimits")),
    ("process", "user", "additionalGids"),
    *(("process", "capabilities", kind) for kind in capabilities.KINDS),
    *(("linux", name) for name in ("namespaces", "devices", "maskedPaths", "readonlyPaths")),
)


@st.composite
def reordered_lists(draw: st.DrawFn, config: Config) -> Config:
    """Return a copy of ``config`` with its sets in any order."""
    edited = copy.deepcopy(config)
    for *path, name in _SETS:
        inner: Any = edited
        for key in path:
            inner = inner.get(key, {})
        if name in inner:
            inner[name] = draw(st.permutations(inner[name]))
    return edited


@st.composite
def respelled(draw: st.DrawFn, config: Config) -> bytes:
    """Write ``config`` as JSON with other spaces and escapes than usual (RFC 8259)."""
    spaces = st.text(" \t\n\r", max_size=3)
    comma, colon = (draw(spaces) + mark + draw(spaces) for mark in ",:")
    indent = draw(st.none() | st.text(" \t", max_size=9))
    escaped = draw(st.booleans())
    text = json.dumps(config, ensure_ascii=escaped, indent=indent, separators=(comma, colon))
    if draw(st.booleans()):
        text = text.replace("/", "\\/")
    return f"{draw(spaces)}{text}{draw(spaces)}".encode()
