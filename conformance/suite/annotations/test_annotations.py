"""config.md, "Annotations"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.annotations import (
    IMAGE,
    unknown_keys,
    unknown_maps,
    wrong_maps,
    wrong_values,
)

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

#: What an annotation could change in a program, of what is the same in every run.
LASTING = (
    *("argv", "environ", "cwd", "uid", "gid", "groups", "umask", "capabilities", "rlimits"),
    *("hostname", "domainname", "no_new_privileges", "oom_score_adj", "seccomp_mode"),
)


def annotated(harness: Harness, annotations: Any) -> Config:
    """Return a config with ``annotations``."""
    config = harness.config()
    config["annotations"] = annotations
    return config


def shown(harness: Harness, annotations: dict[str, str]) -> dict[str, str]:
    """Create a container with ``annotations``, and return those of them that its state shows."""
    with harness.created(annotated(harness, annotations)) as container:
        seen = container.state().get("annotations", {})
        return {key: value for key, value in seen.items() if key in annotations}


# The map


@requirement("config.annotations.map")
@given(annotations=wrong_maps())
def test_annotations_that_are_no_map_generate_an_error(
    harness: Harness,
    annotations: Any,
) -> None:
    assert harness.attempt(annotated(harness, annotations)).failed


@requirement("config.annotations.absent-or-empty")
@pytest.mark.parametrize("said", [{"annotations": {}}, {}], ids=["empty", "absent"])
def test_annotations_may_be_empty_or_absent(harness: Harness, said: Config) -> None:
    result = harness.attempt(harness.config() | said)
    assert result.ok, result


# Keys


@requirement("config.annotations.keys-nonempty")
def test_the_reaction_to_an_empty_key_is_recorded(harness: Harness) -> None:
    result = harness.attempt(annotated(harness, {"": "value"}))
    harness.note(f"an annotation with an empty key is {'refused' if result.failed else 'accepted'}")


@requirement("config.annotations.image-keys-usable")
def test_the_keys_of_the_table_may_be_used(harness: Harness) -> None:
    assert shown(harness, IMAGE) == IMAGE
    result = harness.attempt(annotated(harness, IMAGE))
    assert result.ok, result


@requirement("config.annotations.unknown-keys-ignored")
@given(annotations=unknown_maps())
@settings(max_examples=15)
def test_unknown_keys_change_nothing(harness: Harness, annotations: dict[str, str]) -> None:
    without = harness.run(harness.config())
    report = harness.run(annotated(harness, annotations))
    assert {name: report[name] for name in LASTING} == {name: without[name] for name in LASTING}


@requirement("config.annotations.unknown-keys-no-error")
@given(annotations=unknown_maps())
@settings(max_examples=15)
def test_unknown_keys_are_no_error(harness: Harness, annotations: dict[str, str]) -> None:
    result = harness.attempt(annotated(harness, annotations))
    assert result.ok, result


# Values


@requirement("config.annotations.values-strings")
@given(key=unknown_keys(), value=wrong_values())
def test_a_value_that_is_no_string_generates_an_error(
    harness: Harness,
    key: str,
    value: Any,
) -> None:
    assert harness.attempt(annotated(harness, {key: value})).failed


@requirement("config.annotations.values-strings")
@given(key=unknown_keys())
@settings(max_examples=5)
def test_a_value_that_is_null_generates_an_error(harness: Harness, key: str) -> None:
    assert harness.attempt(annotated(harness, {key: None})).failed


@requirement("config.annotations.values-may-be-empty")
@given(key=unknown_keys())
@settings(max_examples=10)
def test_a_value_may_be_empty(harness: Harness, key: str) -> None:
    assert shown(harness, {key: ""}) == {key: ""}
