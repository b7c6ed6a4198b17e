"""Whole configs as JSON: a large valid one, its members in another order, and more of them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.strategies.process import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.report import Report

Path = tuple[str | int, ...]

#: Objects whose members have names of the author's choice.
_MAPS = ("annotations", "sysctl")
#: What a report says of the config, and what is the same in every run of it.
_LASTING = (
    *("argv", "environ", "cwd", "uid", "gid", "groups", "umask", "capabilities", "rlimits"),
    *("hostname", "no_new_privileges", "oom_score_adj", "personality"),
)


def large(config: Config) -> Config:
    """Return a config that has more: members of many kinds, which need nothing of the host."""
    edited = copy.deepcopy(config)
    edited["hostname"] = "seatrial"
    edited["root"]["readonly"] = False
    edited["annotations"] = {"org.example.key": "value"}
    held = ["CAP_KILL", "CAP_CHOWN"]
    kinds = ("bounding", "effective", "permitted", "inheritable")
    edited["process"] |= {
        "env": ["PATH=/bin", "SEATRIAL=yes"],
        "user": {"uid": 5, "gid": 6, "umask": 0o27, "additionalGids": [7, 8]},
        "capabilities": dict.fromkeys(kinds, held),
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "noNewPrivileges": True,
        "oomScoreAdj": 100,
        "terminal": False,
    }
    edited["mounts"] += [
        {"destination": "/m", "type": "tmpfs", "source": "m", "options": ["nosuid", "mode=755"]}
    ]
    # It reads its state: a runtime that writes to a closed pipe is another matter.
    reads = ["probe", "quiet", "+", "wait", "/dev/stdin"]
    hook = {"path": str(probe_binary()), "args": reads, "env": ["A=b"], "timeout": 10}
    edited["hooks"] = {
        kind: [copy.deepcopy(hook)] for kind in ("createRuntime", "poststart", "poststop")
    }
    edited["linux"] |= {
        "devices": [
            {"path": "/dev/seatrial", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600,
             "uid": 0, "gid": 0}
        ],
        "resources": {"devices": [{"allow": True, "access": "rwm"}]},
        "sysctl": {"kernel.shmmni": "1000"},
        "rootfsPropagation": "private",
        "maskedPaths": ["/proc/kcore"],
        "readonlyPaths": ["/proc/sys"],
    }  # fmt: skip
    return edited


#: Members of the large config that may be left out, those that others count on apart.
OPTIONAL: tuple[Path, ...] = (
    *((name,) for name in ("hostname", "annotations", "hooks")),
    ("root", "readonly"),
    *(("process", name) for name in ("env", "capabilities", "rlimits", "noNewPrivileges")),
    *(("process", name) for name in ("oomScoreAdj", "terminal")),
    *(("process", "user", name) for name in ("umask", "additionalGids")),
    *(("process", "capabilities", name) for name in ("inheritable", "effective")),
    *(("mounts", 2, name) for name in ("source", "options")),
    *(("hooks", kind) for kind in ("createRuntime", "poststart", "poststop")),
    *(("hooks", "createRuntime", 0, name) for name in ("env", "timeout")),
    *(("linux", name) for name in ("devices", "resources", "sysctl", "rootfsPropagation")),
    *(("linux", name) for name in ("maskedPaths", "readonlyPaths")),
    *(("linux", "devices", 0, name) for name in ("fileMode", "uid", "gid")),
    *(("linux", "resources", "devices", 0, name) for name in ("access",)),
)


def lasting(report: Report) -> dict[str, Any]:
    """Return what a report says of its config, the mounts among it."""
    mounts = [
        (each.target, each.fstype, sorted(each.options), sorted(each.propagation))
        for each in report.mounts
    ]
    # The environment has no order (environ(7)), and no name twice here.
    lasting = {name: report[name] for name in _LASTING}
    return lasting | {"environ": sorted(report["environ"]), "mounts": mounts}


# Members of no meaning


def objects(document: Any, at: Path = ()) -> Iterator[Path]:  # noqa: ANN401 - JSON
    """Yield the places of all objects that have members of the spec's only."""
    if isinstance(document, dict):
        if not at or at[-1] not in _MAPS:
            yield at
        for name, value in document.items():
            yield from objects(value, (*at, name))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from objects(value, (*at, number))


def unknown_names() -> st.SearchStrategy[str]:
    """Names of members that no runtime has ever known."""
    prefixed = texts(max_size=20).map(lambda text: f"seatrial{text}")
    return prefixed | st.sampled_from(["", " ", "$schema", "//", "com.example/x", "é", "𝄞", "\\"])


def anything() -> st.SearchStrategy[Any]:
    """Any JSON, some of it deep."""
    plain: st.SearchStrategy[Any] = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        texts(),
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
    )


@st.composite
def unknown_members(draw: st.DrawFn, places: list[Path]) -> list[tuple[Path, str, Any]]:
    """Members for some of the objects at these places."""
    chosen = draw(st.lists(st.sampled_from(places), min_size=1, max_size=6, unique=True))
    return [(place, draw(unknown_names()), draw(anything())) for place in chosen]


def with_members(config: Config, members: list[tuple[Path, str, Any]]) -> Config:
    """Return a copy of the config with these members in it as well."""
    edited = copy.deepcopy(config)
    for place, name, value in members:
        inner: Any = edited
        for key in place:
            inner = inner[key]
        inner[name] = value
    return edited


# The same in another order


def reordered(document: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - JSON
    """The same document with the members of all its objects in any order."""
    if isinstance(document, list):
        return st.tuples(*(reordered(value) for value in document)).map(list)
    if not isinstance(document, dict):
        return st.just(document)
    names = st.permutations(list(document))
    values = st.fixed_dictionaries({name: reordered(value) for name, value in document.items()})
    return st.tuples(names, values).map(lambda drawn: {name: drawn[1][name] for name in drawn[0]})
