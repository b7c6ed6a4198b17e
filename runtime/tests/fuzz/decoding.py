"""Fuzzes what reads JSON and state: configs, process.json, update's resources, records, plans.

``decoding.py --seconds N --seed N`` mutates a corpus, in turns, and prints how often each decoder
was called.  Each input is refused by an ``OCIError``, or taken whole: a config that is taken is
compiled, and what it is compiled to is a plan for the executor.  Anything else is a crash, and so
is what takes longer than a second; the input is left in build/fuzz.  ``guided.py`` has libFuzzer
find the inputs, by coverage.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fuzzing

from seatrial.oci import _core, compiler, config, host, log, process, states, update
from seatrial.oci.errors import OCIError
from seatrial.oci.listener import Listener
from seatrial.oci.operations import Stage
from seatrial.oci.plan import Plan
from seatrial.oci.store import Folder, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUILD = fuzzing.BUILD / "decoding"
FOUND = Path(__file__).with_name("found.json")
SLOW_S = 1.0
#: Values that decoders have been wrong about.
INTERESTING: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**16, 2**31, 2**32, 2**63, 2**64, -(2**63) - 1, 1e308, 0.5, "",
    "/",
    "..", "../..", "/proc/self/fd/3", "\0", "a\0b", "\ud800", "x" * 5000, "%s%n", "=", "a=b", ",",
    "rbind", "SCMP_ACT_ALLOW", "CAP_CHOWN", [], {}, [None], {"": ""}, [[[[]]]], "0-3,7", "9" * 30,
)  # fmt: skip


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places in a document, the whole of it first."""
    found = [at]
    if isinstance(value, dict):
        for key, below in value.items():
            found += paths(below, (*at, key))
    elif isinstance(value, list):
        for key, below in enumerate(value):
            found += paths(below, (*at, key))
    return found


class Mutator:
    """Changes documents and bytes; what it does is a function of the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - nothing secret

    def document(self, value: Any, others: Sequence[Any]) -> Any:
        """Return a document with a few places changed."""
        value = copy.deepcopy(value)
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            places = paths(value)
            place = self.random.choice(places)
            if not place:
                continue
            parent = value
            for key in place[:-1]:
                parent = parent[key]
            how = self.random.randrange(6)
            if how == 0:
                del parent[place[-1]]
            elif how == 1:
                parent[place[-1]] = copy.deepcopy(self._part(self.random.choice(others)))
            elif how == 2 and isinstance(parent, list):
                parent.insert(place[-1], copy.deepcopy(parent[place[-1]]))
            elif how == 3 and isinstance(parent, dict):
                parent[self.random.choice(("", "x", "\0", place[-1] + " "))] = parent[place[-1]]
            else:
                parent[place[-1]] = self._near(parent[place[-1]])
        return value

    def _part(self, document: Any) -> Any:
        value = document
        for key in self.random.choice(paths(document)):
            value = value[key]
        return value

    def _near(self, value: Any) -> Any:
        choice = self.random.random()
        if isinstance(value, int) and choice < 0.5:
            return value + self.random.randrange(-4, 5)
        if isinstance(value, str) and choice < 0.5:
            at = self.random.randrange(len(value) + 1)
            return (
                value[:at] + self.random.choice(("/", "..", "\0", ":", "=", "é", "")) + value[at:]
            )
        return copy.deepcopy(self.random.choice(INTERESTING))

    def bytes(self, content: bytes) -> bytes:
        """Return the same with a few bytes changed, cut, or doubled."""
        data = bytearray(content)
        for _ in range(self.random.choice((1, 1, 2, 4))):
            at = self.random.randrange(len(data) + 1)
            how = self.random.randrange(5)
            if how == 0:
                data[at : at + 1] = bytes([self.random.randrange(256)])
            elif how == 1:
                del data[at : at + self.random.randrange(1, 20)]
            elif how == 2:
                data[at:at] = data[at : at + self.random.randrange(1, 40)]
            elif how == 3:
                del data[at:]
            else:
                data[at : at + 1] = self.random.choice(
                    (b"\0", b'"', b"{", b"[", b"\xff", b"-", b"9")
                )
        return bytes(data)


# What is fuzzed: each takes bytes, returns whether it took them, and raises only when it is wrong.


def is_plan(plan: Plan) -> None:
    """Check that the executor takes a plan, and that it is the same when it is read again."""
    binary = plan.encode()
    _core.run_stage(binary, len(Stage), 0, b"", b"", b"", b"")
    again = Plan.decode(binary)
    assert again.encode() == binary


def read_config(content: bytes) -> bool:
    """Read and compile a config."""
    try:
        spec = config.decode(content)
        # What this host has not is no reason to stop.
        with host.objections():
            plan = compiler.compile_plan(
                spec, bundle=str(BUILD / "bundle"), identifier="fuzz", place="/run/fuzz"
            )
        plan.encode()
    except OCIError:
        return False
    is_plan(plan)
    return True


def read_process(content: bytes) -> bool:
    """Read and compile a process.json, for a container that has every namespace."""
    try:
        wanted = config.decode_process(content)
        with host.objections():
            process.check(wanted)
            ops = [*process.adopt(wanted, CONTAINER), *process.console(wanted)]
            ops += process.compile(wanted, CONTAINER, keyring="_ses.fuzz")
        plan = Plan(0, sorted(ops, key=lambda op: op.stage))
        plan.encode()
    except OCIError:
        return False
    is_plan(plan)
    return True


def read_resources(content: bytes) -> bool:
    """Read and compile what update is given."""
    try:
        wanted = update.meant(config.decode_resources(content))
        with host.objections():
            plan = Plan(0, [*update.compile_plan(STORED, wanted, [])])
        plan.encode()
    except OCIError:
        return False
    is_plan(plan)
    return True


def read_record(content: bytes) -> bool:
    """Read a record, as from a state folder; what is read is written as it was meant."""
    folder = _Memory(content)
    try:
        record = folder.record()
    except OCIError:
        return False
    states.state_of(record, "running")
    return True


def read_plan(content: bytes) -> bool:
    """Read a stored plan."""
    try:
        plan = _Memory(content).plan()
    except OCIError:
        return False
    is_plan(plan)
    return True


class _Memory(Folder):
    """A state folder whose files have all the same content."""

    def __init__(self, content: bytes) -> None:
        super().__init__("/run/fuzz", "fuzz")
        self._content = content

    def read(self, name: str) -> bytes:
        del name
        return self._content


DECODERS: dict[str, Callable[[bytes], bool]] = {
    "config": read_config,
    "process": read_process,
    "resources": read_resources,
    "record": read_record,
    "plan": read_plan,
}
DOCUMENTS = [*fuzzing.configs()]
CONTAINER = config.decode(json.dumps(DOCUMENTS[0]).encode())
RESOURCES: list[dict[str, Any]] = [
    {"memory": {"limit": 2**28, "swap": 2**29, "reservation": 2**20, "swappiness": 60},
     "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0-1", "mems": "0"},
     "pids": {"limit": 100}, "unified": {"memory.high": "1000000"}},
    {"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 300}],
                 "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}]},
     "hugepageLimits": [{"pageSize": "2MB", "limit": 2**21}],
     "network": {"classID": 1, "priorities": [{"name": "lo", "priority": 2}]},
     "rdma": {"mlx5_0": {"hcaHandles": 3, "hcaObjects": 4}}},
    {"devices": [{"allow": False, "access": "rwm"},
                 {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}]},
]  # fmt: skip


def _stored() -> Plan:
    """Return the plan of a container that update changes."""
    (BUILD / "bundle" / "rootfs").mkdir(parents=True, exist_ok=True)
    return compiler.compile_plan(
        CONTAINER, bundle=str(BUILD / "bundle"), identifier="fuzz", place="/run/fuzz"
    )


STORED = _stored()


def corpus() -> dict[str, list[Any]]:
    """Return what is mutated, by decoder: documents, or bytes."""
    records = [
        Record("a", "/b", 1, 2, "now", has_process=True),
        Record("b", '/b "\udcff', 4194304, 2**63, "now", has_process=False,
               annotations={"a": 'b"\\', "": "é"}, freezer="/sys/fs/cgroup/freezer/x/freezer.state",
               listener=Listener("/run/x", "y")),
    ]  # fmt: skip
    return {
        "config": DOCUMENTS,
        "process": [each["process"] for each in DOCUMENTS if "process" in each],
        "resources": RESOURCES,
        "record": [each.encode() for each in records],
        "plan": [STORED.encode(), Plan(0, []).encode(),
                 *(Plan(0, [op]).encode() for op in STORED.ops)],
    }  # fmt: skip


def found() -> dict[str, list[Any]]:
    """Return inputs that guided.py has found, each of which reaches what no other does."""
    inputs: dict[str, list[Any]] = json.loads(FOUND.read_text("utf-8"))
    return {
        name: [each.encode("latin-1") if isinstance(each, str) else each for each in those]
        for name, those in inputs.items()
    }


def encoded(value: Any) -> bytes:
    """Return a document as JSON, or bytes as they are."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value).encode("utf-8", "surrogatepass")


def call(name: str, content: bytes) -> bool:
    """Give an input to a decoder; what is wrong is told, and the input is kept."""
    began = time.thread_time()
    try:
        taken = DECODERS[name](content)
    except BaseException:
        crash = BUILD / f"crash-{name}"
        crash.write_bytes(content)
        again = f"again: {sys.executable} {__file__} --again {name} {crash}"
        print(again, file=sys.stderr)  # noqa: T201 - a command's output
        raise
    if time.thread_time() - began > SLOW_S:
        (BUILD / f"slow-{name}").write_bytes(content)
        raise SystemExit(f"{name}: an input took more than a second ({BUILD / f'slow-{name}'})")
    return taken


def fuzz(seconds: float, seed: int) -> dict[str, tuple[int, int]]:
    """Mutate for so long; return how many inputs each decoder was given, and how many it took."""
    mutator = Mutator(seed)
    inputs = corpus()
    counts = {name: [0, 0] for name in DECODERS}
    for name, those in inputs.items():
        for each in those:
            # What this host has not it refuses.
            assert call(name, encoded(each)) or name == "resources", f"{name} refuses {each}"
    for name, those in found().items():
        for each in those:
            call(name, encoded(each))
        inputs[name] += those
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, those in inputs.items():
            # What reads little is quick, and gets more.
            for _ in range(20 if isinstance(those[0], bytes) else 5):
                content = mutate(mutator, mutator.random.choice(those), those)
                taken = call(name, content)
                counts[name][0] += 1
                counts[name][1] += taken
    return {name: (given, taken) for name, (given, taken) in counts.items()}


def told(seconds: float, seed: int) -> tuple[int, str]:
    """Mutate for so long; return how many inputs there were, and a line about them."""
    # What the compiler warns of.
    log.open_file(os.devnull)
    counts = fuzz(seconds, seed)
    each = ", ".join(f"{given} {name} ({taken} taken)" for name, (given, taken) in counts.items())
    total = sum(given for given, _ in counts.values())
    return total, f"{total} inputs decoded: {each}"


def mutate(mutator: Mutator, value: Any, others: Sequence[Any]) -> bytes:
    """Return an input that is like ``value``."""
    if isinstance(value, bytes):
        return mutator.bytes(value)
    content = encoded(mutator.document(value, others))
    return mutator.bytes(content) if mutator.random.randrange(8) == 0 else content


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and say how much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", nargs=2, metavar=("NAME", "FILE"))
    wanted = parser.parse_args(arguments)
    if wanted.again:
        call(wanted.again[0], Path(wanted.again[1]).read_bytes())
        return 0
    _, said = told(wanted.seconds, wanted.seed)
    print(said)  # noqa: T201 - a command's output
    return 0


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main())
