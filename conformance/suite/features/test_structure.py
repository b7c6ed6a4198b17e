"""features.md: the document as a whole, its versions and its annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.features import (
    Document,
    breaches,
    declared,
    listed,
    precedence,
    release_of,
    undefined,
)
from seatrial.conformance.marks import requirement
from seatrial.conformance.namespaces import CLONE_NEWNS
from seatrial.conformance.runtime import parse_object
from seatrial.conformance.strategies.annotations import unknown_maps

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.conformance.harness import Harness

MS_BIND = 0x1000
#: What an annotation could change in a program, of what is the same in every run.
LASTING = (
    *("argv", "environ", "cwd", "uid", "gid", "groups", "umask", "capabilities", "rlimits"),
    *("hostname", "domainname", "no_new_privileges", "oom_score_adj", "seccomp_mode"),
)


def features_with(harness: Harness, *mounts: tuple[str, str, str, int]) -> Document:
    """Return the document as printed where these mounts hide what a host has."""
    acts = ["quiet", "+", "unshare", str(CLONE_NEWNS)]
    for source, target, fstype, flags in mounts:
        acts += ["+", "mount", source, target, fstype, str(flags), ""]
    runtime = harness.runtime.called_through(str(probe_binary()), *acts, "+", "exec")
    result = runtime.invoke("features")
    assert result.ok, result
    return parse_object(result)


def without_supported_flags(document: Document) -> Document:
    """Return a document without what the text itself says to depend on kernel and library."""
    seccomp = declared(document, "linux.seccomp")
    if isinstance(seccomp, dict):
        kept = {key: value for key, value in seccomp.items() if key != "supportedFlags"}
        document = {**document, "linux": {**document["linux"], "seccomp": kept}}
    return document


# The structure


@requirement("features.structure.members-absent-or-null")
def test_what_is_there_is_of_its_kind(features: Document) -> None:
    assert breaches(features) == []


@requirement("features.structure.compile-time")
def test_the_document_is_the_same_each_time(harness: Harness, features: Document) -> None:
    assert features_with(harness) == features


@requirement("features.structure.host-independent")
@pytest.mark.parametrize("hidden", ["/sys", "/proc/sys", "/sys/fs/cgroup", "/sys/kernel"])
def test_the_document_says_nothing_of_the_host(
    harness: Harness, features: Document, hidden: str
) -> None:
    seen = features_with(harness, ("tmpfs", hidden, "tmpfs", 0))
    assert without_supported_flags(seen) == without_supported_flags(features)


@requirement("features.structure.compile-time", "features.structure.host-independent")
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("/proc/sys/kernel/cap_last_cap", "30"),
        ("/proc/sys/kernel/seccomp/actions_avail", "errno allow"),
        ("/proc/filesystems", "nodev\ttmpfs\n"),
        ("/proc/cgroups", ""),
    ],
)
def test_the_document_is_the_same_on_a_kernel_that_has_less(
    harness: Harness, features: Document, tmp_path: Path, file: str, content: str
) -> None:
    less = tmp_path / "less"
    less.write_text(content)
    seen = features_with(harness, (str(less), file, "", MS_BIND))
    assert without_supported_flags(seen) == without_supported_flags(features)


# Versions


@requirement("features.version.min-present")
def test_there_is_a_smallest_version(features: Document) -> None:
    assert isinstance(features.get("ociVersionMin"), str)


@requirement("features.version.max-present")
def test_there_is_a_largest_version(features: Document) -> None:
    assert isinstance(features.get("ociVersionMax"), str)


@requirement("features.version.min-accepted")
def test_the_smallest_version_is_accepted(harness: Harness, features: Document) -> None:
    harness.run(harness.config() | {"ociVersion": features.get("ociVersionMin")})


@requirement("features.version.max-accepted")
def test_the_largest_version_is_accepted(harness: Harness, features: Document) -> None:
    harness.run(harness.config() | {"ociVersion": features.get("ociVersionMax")})


@requirement("features.version.max-not-below-min")
def test_the_largest_version_is_not_smaller_than_the_smallest(features: Document) -> None:
    largest, smallest = (str(features.get(f"ociVersion{end}")) for end in ("Max", "Min"))
    assert precedence(largest) >= precedence(smallest)


@requirement("features.version.no-later-properties")
def test_the_document_has_nothing_that_its_largest_version_does_not_define(
    features: Document,
) -> None:
    largest = str(features.get("ociVersionMax"))
    release = release_of(largest)
    assert release is not None, f"{largest} is before the first release"
    assert undefined(features, release) == []


# Annotations


@requirement("features.annotations.map")
def test_annotations_are_a_map_of_strings(features: Document) -> None:
    found = declared(features, "annotations")
    assert found is None or isinstance(found, dict)
    for key, value in (found or {}).items():
        assert key != ""
        assert isinstance(value, str)


@requirement("features.unsafe-annotations.names-or-prefixes")
def test_unsafe_annotations_are_names_or_prefixes(features: Document) -> None:
    assert all(listed(features, "potentiallyUnsafeConfigAnnotations"))


@requirement("features.unsafe-annotations.unlisted-without-effect")
@given(annotations=unknown_maps())
@settings(max_examples=10)
def test_an_annotation_that_is_not_listed_changes_nothing(
    harness: Harness, features: Document, annotations: dict[str, str]
) -> None:
    if declared(features, "potentiallyUnsafeConfigAnnotations") is None:
        harness.note("potentiallyUnsafeConfigAnnotations is not declared")
        return
    unsafe = listed(features, "potentiallyUnsafeConfigAnnotations")
    safe = {
        key: value
        for key, value in annotations.items()
        if not any(key == each or (each.endswith(".") and key.startswith(each)) for each in unsafe)
    }
    without = harness.run(harness.config())
    report = harness.run(harness.config() | {"annotations": safe})
    assert {name: report[name] for name in LASTING} == {name: without[name] for name in LASTING}
