"""What the reference runtime's compiler takes: config.json to typed config to plan to bytes.

pyperf's options say how often: ``python perf/benchmarks/compiling.py --fast -o compiling.json``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyperf

from seatrial.oci import config
from seatrial.oci.compiler import compile_plan
from seatrial.oci.plan import Plan
from seatrial.perf import configs


def main() -> None:
    """Run the benchmarks."""
    runner = pyperf.Runner(metadata={"suite": "in-process"})
    documents = {
        "plain": configs.plain(),
        "netns": configs.with_network(),
        "mounts50": configs.with_mounts(50),
    }
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder)
        (bundle / "rootfs").mkdir()
        (bundle / "extra").mkdir()
        for case, document in documents.items():
            finished = configs.finished(document, arguments=["3"], cgroup="/seatrial-perf/none")
            content = json.dumps(finished).encode()
            spec = config.decode(content)
            plan = _compile(spec, bundle)
            binary = plan.encode()
            runner.bench_func(f"in-process/{case}/decode", config.decode, content)
            runner.bench_func(f"in-process/{case}/compile", _compile, spec, bundle)
            runner.bench_func(f"in-process/{case}/encode", plan.encode)
            runner.bench_func(f"in-process/{case}/read", Plan.decode, binary)


def _compile(spec: config.Config, bundle: Path) -> Plan:
    return compile_plan(spec, bundle=str(bundle), identifier="bench", place=str(bundle / "place"))


if __name__ == "__main__":
    main()
