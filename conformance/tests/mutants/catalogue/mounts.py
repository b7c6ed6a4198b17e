"""Mutants for config.md, "Mounts" and "Linux mount options"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.mutation import (
    altered,
    edited,
    objects,
    of,
    plan,
    replacing,
    without,
)

from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Callable


def _mounts(document: Any) -> list[dict[str, Any]]:
    """Return the entries that have options."""
    return [
        each for each in objects(document, "/mounts/*") if isinstance(each.get("options"), list)
    ]


# Options, each by itself


def _taking(name: str, option: str, *others: str, rows: tuple[str, ...] = ()) -> None:
    """Add a mutant that takes one option for others, or for none."""

    def edit(document: Any) -> None:
        for each in _mounts(document):
            each["options"] = [
                word
                for found in each["options"]
                for word in (others if found == option else [found])
            ]

    edited(
        name,
        f"takes the mount option {option} for {' and '.join(others) or 'nothing'}",
        f"config.mounts.option.{option}",
        *rows,
        edit=edit,
    )


FORGOTTEN = (
    *("ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nosymfollow", "symfollow"),
    *("nodiratime", "diratime", "noatime", "atime", "strictatime"),
    *("sync", "async", "dirsync", "lazytime", "nolazytime", "remount", "tmpcopyup"),
    *("shared", "private", "unbindable"),
)
for option in FORGOTTEN:
    _taking(f"forgets-{option}", option)

#: Recursive ones that are taken for those of one mount.
SHALLOW = (
    *("rbind", "rshared", "rprivate", "runbindable"),
    *("rro", "rrw", "rnosuid", "rsuid", "rdev", "rnoexec", "rexec"),
    *("rnosymfollow", "rsymfollow", "rnoatime", "ratime", "rnodiratime", "rdiratime"),
    *("rrelatime", "rstrictatime"),
)
for option in SHALLOW:
    _taking(f"{option}-is-not-recursive", option, option[1:])

# What is bound is a slave of its source by itself.
_taking("slave-is-private", "slave", "private")
_taking("rslave-is-rprivate", "rslave", "rprivate")
_taking("bind-is-recursive", "bind", "rbind")
_taking("relatime-is-strictatime", "relatime", "strictatime")
_taking("passes-defaults-on", "defaults", "no-such-option")
for option in ("silent", "loud", "iversion", "noiversion", "norelatime", "nostrictatime"):
    _taking(f"passes-{option}-on", option, "no-such-option")


# Entries


def _sorted(document: Any) -> None:
    if isinstance(document.get("mounts"), list):
        document["mounts"].sort(key=lambda each: str(each.get("destination")))


edited(
    "sorts-mounts",
    "mounts in the order of the destinations",
    "config.mounts.listed-order",
    edit=_sorted,
)


def _elsewhere(destination: str) -> str:
    return destination if destination.startswith("/") else f"/tmp/{destination}"  # noqa: S108


replacing(
    "relative-destinations-are-elsewhere",
    "/mounts/*/destination",
    _elsewhere,
    "config.mounts.destination-relative-to-root",
    "config.mounts.destination-relative-allowed",
    says="takes a relative destination from /tmp",
)


def _unknown_type(op: Any) -> str:
    with Path("/proc/filesystems").open(encoding="ascii") as lines:
        known = {line.split()[-1] for line in lines}
    return op.text if op.text in known | {"cgroup"} else "tmpfs"


def _sources(document: Any) -> None:
    for each in _mounts(document):
        source = each.get("source")
        if {"bind", "rbind"} & {*map(str, each["options"])} and isinstance(source, str):
            each["source"] = source if source.startswith("/") else f"/{source}"


edited(
    "relative-sources-are-of-the-root",
    "takes a relative source of a bind mount from the host's root",
    "config.mounts.source-absolute-or-bundle-relative",
    edit=_sources,
)


def _by_type(document: Any) -> None:
    for each in _mounts(document):
        if each.get("type") == "bind" and not {"bind", "rbind"} & {*map(str, each["options"])}:
            each["options"].append("bind")


edited(
    "binds-by-type",
    "makes a bind mount of what has the type bind, whatever its options",
    "config.mounts.bind-iff-option",
    edit=_by_type,
)


plan(
    "passes-no-options-on",
    "gives filesystems none of their own options",
    "config.mounts.options.unknown-as-data",
    change=altered(of(Kind.MOUNT, at="/mounts/"), blob=b""),
)
plan(
    "mounts-tmpfs-for-all",
    "mounts a tmpfs where another filesystem is asked for",
    "config.mounts.type.selects-filesystem",
    change=altered(
        of(Kind.MOUNT, at="/mounts/"),
        text=lambda op: op.text if op.text in {"proc", "sysfs"} else "tmpfs",
        blob=lambda op: op.blob if op.text in {"proc", "sysfs"} else b"",
    ),
)


plan(
    "mounts-tmpfs-for-what-it-does-not-know",
    "mounts a tmpfs where it does not know the type",
    "config.mounts.type.unknown-errors",
    change=altered(of(Kind.MOUNT, at="/mounts/"), text=_unknown_type),
)

# Id mappings


def _mapped(name: str, says: str, *rows: str, edit: Callable[[dict[str, Any], bool], None]) -> None:
    """Add a mutant by what it does to an entry with idmap or ridmap.

    It is told whether the container has a user namespace.
    """

    def edit_all(document: Any) -> None:
        has_users = any(
            each.get("type") == "user" for each in objects(document, "/linux/namespaces/*")
        )
        for each in _mounts(document):
            if {"idmap", "ridmap"} & {*map(str, each["options"])}:
                edit(each, has_users)

    edited(name, says, *rows, edit=edit_all)


def _forget(entry: dict[str, Any], *options: str, mappings: bool = False) -> None:
    entry["options"] = [each for each in entry["options"] if each not in options]
    for name in ("uidMappings", "gidMappings") if mappings else ():
        entry.pop(name, None)


def _forgetting(option: str) -> Callable[[dict[str, Any], bool], None]:
    return lambda entry, _: _forget(entry, option, mappings=option in entry["options"])


def _has_mapping(entry: dict[str, Any]) -> bool:
    return bool(entry.get("uidMappings") or entry.get("gidMappings"))


for option in ("idmap", "ridmap"):
    _mapped(
        f"forgets-{option}",
        f"maps nothing where a mount has {option}",
        f"config.mounts.option.{option}",
        f"config.mounts.{option}.mapping-{'applied' if option == 'idmap' else 'recursive'}",
        edit=_forgetting(option),
    )
_mapped(
    "idmap-needs-no-mapping",
    "ignores idmap and ridmap where there is nothing to map by",
    "config.mounts.idmap.no-userns-errors",
    "config.mounts.ridmap.no-userns-errors",
    edit=lambda entry, users: (
        None if _has_mapping(entry) or users else _forget(entry, "idmap", "ridmap")
    ),
)
_mapped(
    "idmap-does-not-fall-back",
    "ignores idmap and ridmap of a mount without mappings of its own",
    "config.mounts.idmap.no-fallback-errors",
    "config.mounts.ridmap.no-fallback-errors",
    edit=lambda entry, _: None if _has_mapping(entry) else _forget(entry, "idmap", "ridmap"),
)
_mapped(
    "idmap-always-falls-back",
    "maps by the container's mapping wherever it has one",
    "config.mounts.idmap.mount-mappings-used",
    edit=lambda entry, users: _forget(entry, mappings=users),
)
plan(
    "maps-groups-like-users",
    "maps the groups of a mount by its uidMappings",
    "config.mounts.idmap.mount-mappings-used",
    "config.mounts.ridmap.mount-mappings-used",
    change=altered(of(Kind.ID_MAPPING), extra=lambda op: op.text),
)
_taking("ridmap-is-not-recursive", "ridmap", "idmap",
        rows=("config.mounts.ridmap.mapping-recursive",))  # fmt: skip
_taking("idmap-is-recursive", "idmap", "ridmap")


# The root's propagation, and the default filesystems

for name, other in (
    ("shared", "private"), ("slave", "shared"), ("private", "shared"), ("unbindable", "private"),
):  # fmt: skip
    replacing(
        f"{name}-roots-are-{other}",
        "/linux/rootfsPropagation",
        lambda value, name=name, other=other: other if value == name else value,
        f"linux.rootfs-propagation.{name}",
        says=f"takes {other} for a rootfsPropagation of {name}",
    )


def _any_propagation(document: Any) -> None:
    for each in objects(document, "/linux"):
        known = {"shared", "slave", "private", "unbindable"}
        if str(each.get("rootfsPropagation")).removeprefix("r") not in known:
            each.pop("rootfsPropagation", None)


edited(
    "ignores-an-unknown-propagation",
    "ignores a rootfsPropagation that it does not know",
    "linux.rootfs-propagation.unknown-value-errors",
    edit=_any_propagation,
)
for name in ("proc", "sys", "dev/pts", "dev/shm"):
    plan(
        f"mounts-no-{name.replace('/', '-')}",
        f"mounts nothing at /{name}",
        f"linux.default-filesystems.{name.replace('/', '-')}",
        change=without(of(Kind.MOUNT, path=f"/{name}")),
    )
