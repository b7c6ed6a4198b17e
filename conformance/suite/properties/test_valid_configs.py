"""config.md and config-linux.md as a whole: any valid config against an oracle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance import namespaces
from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies import oracle
from seatrial.conformance.strategies.configs import configs, prepare
from seatrial.conformance.strategies.oracle import Host

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


def host() -> Host:
    """Return what a program has from the runtime, which has it from the harness."""
    files = {kind: kind for kind in ("ipc", "uts", "cgroup", "user", "time")} | {"network": "net"}
    own = {
        kind: namespaces.current(file)
        for kind, file in files.items()
        if Path(f"/proc/thread-self/ns/{file}").exists()
    }
    return Host(own, int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii")))


@requirement("runtime.create.all-properties-applied")
@settings(max_examples=60)
@given(data=st.data())
def test_the_program_of_any_config_sees_what_the_config_says(
    harness: Harness, data: st.DataObject
) -> None:
    own = host()
    config = data.draw(configs(harness.config(), least_oom_score=own.oom_score))
    config["process"]["args"] = oracle.program(config)
    with harness.bundle(config) as bundle:
        prepare(bundle)
        with harness.created(config, bundle=bundle) as container:
            annotations = container.state().get("annotations", {})
            assert config.get("annotations", {}).items() <= annotations.items()
            started = container.start()
            assert started.ok, started
            report = container.report()
            lines = container.lines()[:-1]
            assert container.delete().ok
    seen = oracle.seen(config, lines, report, own)
    assert oracle.differences(oracle.expected(config, own), seen) == []
