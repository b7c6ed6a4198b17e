"""The statistics, on figures whose truth is known."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.perf.statistics import cliffs_delta, normalized, paired_ratio, percentile
from seatrial.perf.statistics import unpaired_ratio as unpaired

values = st.floats(1e-6, 1e6)
samples = st.lists(values, min_size=1, max_size=5)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Two contenders with the same blocks."""
    numbers = draw(st.lists(st.integers(0, 99), unique=True, min_size=1, max_size=12))
    one, other = ({number: draw(samples) for number in numbers} for _ in range(2))
    return one, other


# Percentiles and Cliff's delta


@given(st.lists(values, min_size=1), st.floats(0, 1))
def test_a_percentile_is_between_neighbours(figures: list[float], fraction: float) -> None:
    found = percentile(figures, fraction)
    assert min(figures) <= found <= max(figures)
    assert percentile(figures, 0) == min(figures)
    assert percentile(figures, 1) == max(figures)


def test_percentiles_are_interpolated() -> None:
    assert percentile([4, 1, 3, 2], 0.5) == 2.5
    assert percentile([10, 20], 0.9) == pytest.approx(19)
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 0.5)


def test_an_outlier_is_not_dropped() -> None:
    figures = [1.0] * 99 + [1000.0]
    assert percentile(figures, 1) == 1000
    assert percentile(figures, 0.995) > 1


@given(st.lists(values, min_size=1, max_size=30), st.lists(values, min_size=1, max_size=30))
def test_cliffs_delta_is_what_counting_all_pairs_gives(new: list[float], old: list[float]) -> None:
    counted = sum((a > b) - (a < b) for a in new for b in old) / (len(new) * len(old))
    assert cliffs_delta(new, old) == pytest.approx(counted)
    assert cliffs_delta(old, new) == -cliffs_delta(new, old)


# Ratios


@given(pairs())
def test_swapping_sides_inverts_the_ratio(
    sides: tuple[dict[int, list[float]], dict[int, list[float]]],
) -> None:
    new, old = sides
    for compare in (paired_ratio, unpaired):
        there, back = compare(new, old), compare(old, new)
        assert there.value == pytest.approx(1 / back.value)
        assert there.delta == -back.delta
        assert (there.interval is None) == (back.interval is None) == (len(new) < 6)
        if there.interval and back.interval:
            assert there.interval.low == pytest.approx(1 / back.interval.high)
            assert there.interval.high == pytest.approx(1 / back.interval.low)


@given(pairs(), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_do_not_matter_and_a_factor_comes_out(
    sides: tuple[dict[int, list[float]], dict[int, list[float]]], unit: float, factor: float
) -> None:
    new, old = sides
    scaled = {block: [value * unit * factor for value in each] for block, each in new.items()}
    other = {block: [value * unit for value in each] for block, each in old.items()}
    for compare in (paired_ratio, unpaired):
        plain, found = compare(new, old), compare(scaled, other)
        assert found.value == pytest.approx(plain.value * factor)
        if plain.interval and found.interval:
            assert found.interval.low == pytest.approx(plain.interval.low * factor)
            assert found.interval.high == pytest.approx(plain.interval.high * factor)


@given(pairs())
def test_the_ratio_is_inside_its_interval_and_the_same_every_time(
    sides: tuple[dict[int, list[float]], dict[int, list[float]]],
) -> None:
    new, old = sides
    for compare in (paired_ratio, unpaired):
        found = compare(new, old)
        assert found == compare(new, dict(reversed(old.items())))
        if found.interval:
            assert found.interval.low <= found.value * (1 + 1e-12)
            assert found.interval.high >= found.value * (1 - 1e-12)


@given(pairs())
def test_a_side_against_itself_is_1(
    sides: tuple[dict[int, list[float]], dict[int, list[float]]],
) -> None:
    found = paired_ratio(sides[0], sides[0])
    assert (found.value, found.delta) == (1, 0)
    assert not found.differs


def _drawn(
    generator: random.Random, ratio: float, blocks: int
) -> tuple[dict[int, list[float]], ...]:
    """Two contenders whose blocks share a mood larger than the difference, with a long tail."""
    sides: tuple[dict[int, list[float]], dict[int, list[float]]] = ({}, {})
    for block in range(blocks):
        mood = generator.gauss(0, 0.3)
        for side, centre in zip(sides, (ratio, 1.0), strict=True):
            side[block] = [centre * math.exp(mood + generator.expovariate(10)) for _ in range(10)]
    return sides


@pytest.mark.parametrize("ratio", [0.9, 1.0, 1.25])
@pytest.mark.parametrize("blocks", [10, 30])
def test_the_true_ratio_is_inside_at_about_the_nominal_rate(ratio: float, blocks: int) -> None:
    generator = random.Random(f"{ratio} {blocks}")
    rounds, inside = 300, 0
    for _ in range(rounds):
        interval = paired_ratio(*_drawn(generator, ratio, blocks)).interval
        assert interval is not None
        inside += interval.low <= ratio <= interval.high
    # 95 of 100, by more than three standard errors of 300 rounds (1.3 %) on either side.
    assert 0.91 <= inside / rounds <= 0.99


def test_unpaired_intervals_cover_too_and_are_wider() -> None:
    generator = random.Random(5)
    rounds, inside = 200, 0
    for _ in range(rounds):
        new, old = _drawn(generator, 1.1, 30)
        shuffled = dict(zip(old, generator.sample(list(old.values()), len(old)), strict=True))
        wide, narrow = unpaired(new, shuffled).interval, paired_ratio(new, old).interval
        assert wide is not None
        assert narrow is not None
        assert wide.high / wide.low > narrow.high / narrow.low
        # Blocks of two runs have no mood in common.
        apart = unpaired(new, _drawn(generator, 1.1, 30)[1]).interval
        assert apart is not None
        inside += apart.low <= 1.1 <= apart.high
    assert inside / rounds >= 0.9


def test_too_few_blocks_give_no_interval() -> None:
    blocks = {number: [1.0 + number] for number in range(5)}
    assert paired_ratio(blocks, blocks).interval is None
    assert not paired_ratio(blocks, blocks).differs


def test_only_blocks_of_both_count() -> None:
    found = paired_ratio({1: [2.0], 2: [9.0]}, {1: [1.0], 3: [7.0]})
    assert (found.value, found.blocks) == (2, 1)
    with pytest.raises(ValueError, match="no block"):
        paired_ratio({1: [1.0]}, {2: [1.0]})


def test_normalized_takes_the_mood_out() -> None:
    assert normalized({1: [2.0, 4.0], 9: [1.0]}, {1: [1.0, 2.0, 9.0]}) == {1: [1.0, 2.0]}
