"""Mutants for features.md and features-linux.md: runtimes that promise what they do not do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.catalogue.hooks import those
from conformance.tests.mutants.mutation import COMPILING, edited, objects, plan, verb, without

from seatrial.oci import features, libseccomp, memory_policy, namespaces
from seatrial.oci import seccomp as filters

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, Any]], object]


def _saying(name: str, says: str, *rows: str, change: Change) -> None:
    """Add a mutant by what it says of itself; it does all that the runtime does."""

    @verb(name, says, *rows, verbs=("features",))
    def _() -> None:
        right = features.document

        def document() -> dict[str, Any]:
            found = right()
            change(found)
            return found

        features.document = document


def _without(member: str) -> Change:
    return lambda found: found.pop(member)


def _with(**members: Any) -> Change:
    return lambda found: found.update(members)


# Versions

for end, word in (("min", "Min"), ("max", "Max")):
    _saying(
        f"says-no-{end}-version",
        f"prints no ociVersion{word}",
        f"features.version.{end}-present",
        change=_without(f"ociVersion{word}"),
    )
    _saying(
        f"says-another-{end}-version",
        f"prints an ociVersion{word} that it does not accept",
        f"features.version.{end}-accepted",
        change=_with(**{f"ociVersion{word}": "0.0.0"}),
    )
_saying(
    "says-a-max-version-below-the-min",
    "prints an ociVersionMax that is smaller than ociVersionMin",
    "features.version.max-not-below-min",
    change=_with(ociVersionMin="1.3.0", ociVersionMax="1.3.0-rc.1"),
)
_saying(
    "says-more-than-its-version-defines",
    "prints members of 1.3.0 as a runtime of 1.2.0",
    "features.version.no-later-properties",
    change=_with(ociVersionMax="1.2.0"),
)

# Members

_saying(
    "says-annotations-that-are-numbers",
    "prints annotations that are no strings",
    "features.annotations.map",
    change=_with(annotations={"org.seatrial.number": 1}),
)
_saying(
    "says-unsafe-annotations-that-are-empty",
    "prints an empty name among potentiallyUnsafeConfigAnnotations",
    "features.unsafe-annotations.names-or-prefixes",
    change=_with(potentiallyUnsafeConfigAnnotations=[""]),
)
_saying(
    "says-a-text-for-a-list",
    "prints a text where there is to be a list",
    "features.structure.members-absent-or-null",
    change=_with(mountOptions="all"),
)
_saying(
    "says-an-option-that-it-does-not-know",
    "lists a mount option that it passes to the filesystem",
    "features.mount-options.listed-recognized",
    change=lambda found: found["mountOptions"].append("no-such-option"),
)
_saying(
    "says-options-of-filesystems",
    "lists a mount option of one filesystem",
    "features.mount-options.none-filesystem-specific",
    change=lambda found: found["mountOptions"].append("size"),
)
_saying(
    "says-supported-flags-that-are-unknown",
    "lists flags as supported and not as known",
    "features-linux.seccomp.supported-within-known",
    change=lambda found: found["linux"]["seccomp"].update(knownFlags=[]),
)


def _denying(member: str) -> Change:
    def change(found: dict[str, Any]) -> None:
        part = found["linux"][member]
        part.get("idmap", part).update(enabled=False)

    return change


for name, member, *denied in (
    ("seccomp", "seccomp", "seccomp.enabled-truthful"),
    ("network-devices", "netDevices", "net-devices.truthful"),
    (
        *("idmap", "mountExtensions"),
        *("mount-extensions.idmap-truthful", "mount-extensions.idmap-partial-true"),
    ),
):
    _saying(
        f"denies-{name}",
        f"says that it has no {name}",
        *(f"features-linux.{row}" for row in denied),
        change=_denying(member),
    )

# What is listed, and not done

plan(
    "calls-not-all-hooks-that-it-lists",
    "lists startContainer hooks and does not call them",
    "features.hooks.listed-supported",
    change=without(those("startContainer")),
)


def _unable(name: str, rows: tuple[str, ...], table: dict[str, int], *keys: str) -> None:
    @verb(
        f"does-not-do-{name}",
        f"refuses {', '.join(keys)}, and lists it",
        *(f"features-linux.{row}" for row in rows),
        verbs=COMPILING,
    )
    def _() -> None:
        for key in keys:
            del table[key]


_unable("cgroup", ("namespaces.listed-recognized",), namespaces.FLAGS, "cgroup")
_unable("logging", ("seccomp.actions-recognized",), libseccomp.ACTIONS, "SCMP_ACT_LOG")
_unable("masks", ("seccomp.operators-recognized",), libseccomp.OPERATORS, "SCMP_CMP_MASKED_EQ")
_unable("a-flag", ("seccomp.known-flags-recognized", "seccomp.supported-flags-supported"),
        filters.FLAGS, "SECCOMP_FILTER_FLAG_LOG")  # fmt: skip
_unable("interleaving", ("memory-policy.modes-recognized",), memory_policy.MODES,
        "MPOL_INTERLEAVE")  # fmt: skip
_unable("static-nodes", ("memory-policy.flags-recognized",), memory_policy.FLAGS,
        "MPOL_F_STATIC_NODES")  # fmt: skip


@verb(
    "does-not-do-x86",
    "refuses SCMP_ARCH_X86, and lists it",
    "features-linux.seccomp.archs-recognized",
    verbs=COMPILING,
)
def _() -> None:
    known = tuple(each for each in libseccomp.ARCHITECTURES if each != "SCMP_ARCH_X86")
    setattr(filters, "ARCHITECTURES", known)  # noqa: B010 - a name that it imports


def _without_kill(document: Any) -> None:
    for each in objects(document, "/process/capabilities"):
        for name, names in each.items():
            if isinstance(names, list):
                each[name] = [word for word in names if word != "CAP_KILL"]


edited(
    "does-not-do-cap-kill",
    "does not grant CAP_KILL, and lists it",
    "features-linux.capabilities.listed-recognized",
    edit=_without_kill,
)
