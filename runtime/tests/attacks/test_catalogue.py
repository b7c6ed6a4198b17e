"""Every attack of the catalogue comes to nothing, and to something where its defence is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from attacking.attack import CONTAINED, OPEN, REFUSED, UNTRIED, worst
from attacking.catalogue import ATTACKS
from attacking.ground import Ground
from attacking.variants import VARIANTS, Variant, install
from mounting import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How long each race goes on; `make attacks` takes longer.
SECONDS = float(os.environ.get("SEATRIAL_ATTACK_SECONDS", "0.7"))
#: What this host may lack: a hierarchy of cgroup v1, an engine's profile, a disk, a controller.
MAY_BE_UNTRIED = {"A11", "A16", "A17", "A21"}
RACES = {"A04", "A05", "A06", "A07"}


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground([COMMAND], seconds=SECONDS) as made:
        assert made.fits() == ""
        yield made


@pytest.mark.parametrize("number", sorted(ATTACKS))
def test_an_attack_is_refused_or_contained(ground: Ground, number: str) -> None:
    found = ATTACKS[number].on(ground)
    assert worst(found) in {REFUSED, CONTAINED, *({UNTRIED} & _missing(number))}, found


def _missing(number: str) -> set[str]:
    return {UNTRIED} if number in MAY_BE_UNTRIED else set()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_an_attack_succeeds_where_its_defence_is_missing(tmp_path: Path, variant: Variant) -> None:
    # A race ends as soon as it is won.
    seconds = 30 if variant.number in RACES else 0.5
    with Ground(install(variant, tmp_path / "variant"), seconds=seconds) as ground:
        why = ground.fits()
        assert why == ""
        found = ATTACKS[variant.number].on(ground)
    if worst(found) == UNTRIED and variant.number in MAY_BE_UNTRIED:
        pytest.skip(found[0].seen)
    assert worst(found) == OPEN, found


def test_every_attack_has_a_variant_that_is_open_to_it() -> None:
    assert {each.number for each in VARIANTS} == set(ATTACKS)


def test_all_attacks_on_a_runtime_are_there() -> None:
    assert sorted(ATTACKS) == [f"A{number:02}" for number in range(1, 24)]
