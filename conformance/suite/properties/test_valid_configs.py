"""config.md and config-linux.md as a whole: any valid config against an oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies import oracle
from seatrial.conformance.strategies.configs import configs, prepare

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("runtime.create.all-properties-applied")
@settings(max_examples=60)
@given(data=st.data())
def test_the_program_of_any_config_sees_what_the_config_says(
    harness: Harness, data: st.DataObject
) -> None:
    own = oracle.host()
    config = data.draw(configs(harness.config(), least_oom_score=own.oom_score))
    config["process"]["args"] = oracle.program(config)
    with harness.bundle(config) as bundle:
        prepare(bundle)
        seen = oracle.observed(harness, config, bundle)
    wrong = oracle.differences(oracle.expected(config, own), seen)
    assert not wrong, "; ".join(wrong)
