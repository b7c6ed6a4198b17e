"""The cases of the suite axes are what their names say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from perf.tests.measuring.conftest import Wrapper

from seatrial.perf import configs, suites
from seatrial.perf.stopwatch import UNPRIVILEGED

if TYPE_CHECKING:
    from perf.tests.measuring.conftest import Bench

#: Prints what is mounted around a turn of a case, and after it.
_SCRIPT = """
import json, sys
from pathlib import Path
from seatrial.perf import bundles, kinds, suites, turns
from seatrial.perf.contenders import Contender
from seatrial.perf.place import Place
from seatrial.perf.schedule import Turn
case = next(case for case in suites.SUITES["axes"].cases() if case.name == sys.argv[1])
lines = lambda: Path("/proc/self/mountinfo").read_text().splitlines()
with Place() as place:
    floor = Contender("floor", kinds.floor(), "-", "-")
    bundle = bundles.make(place, floor, case)
    before = lines()
    with turns._surroundings(place, Turn(0, 0, case, floor)):
        around = lines()
    print(json.dumps([before, around, lines(), str(bundle.path / "rootfs")]))
"""


def _surroundings(name: str) -> tuple[list[str], str]:
    """Return the mounts that a case has more than usual, and its root filesystem."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, around, after, rootfs = json.loads(done.stdout)
    assert after == before
    assert around[: len(before)] == before
    return around[len(before) :], rootfs


def test_a_large_mount_table_has_a_thousand_mounts_more(bench: Bench) -> None:
    del bench  # it needs root
    more, _ = _surroundings("mount-table1000")
    assert len(more) == 1000


@pytest.mark.parametrize("count", [1, 10, 50])
def test_layers_are_those_of_an_overlay_over_the_root_filesystem(bench: Bench, count: int) -> None:
    del bench
    (more,), rootfs = _surroundings(f"layers{count}")
    assert more.split(" ")[4] == rootfs
    assert " - overlay " in more
    lower = next(word.partition("=")[2] for word in more.split(",") if word.startswith("lowerdir="))
    assert len(lower.split(":")) == count


def test_without_more_nothing_is_mounted(bench: Bench) -> None:
    del bench
    assert _surroundings("plain")[0] == []


def _configs() -> dict[str, Any]:
    cases = [*suites.SUITES["axes"].cases(), *suites.SUITES["lifecycle"].cases()]
    filtered = suites.SUITES["lifecycle"].filtered()
    return {case.name: case.config for case in [*cases, *filtered]}


def test_configs_differ_from_the_plain_one_by_what_their_names_say() -> None:
    found = _configs()
    plain = configs.plain()
    types = {
        name: {each["type"] for each in config["linux"]["namespaces"]}
        for name, config in found.items()
    }
    assert types["netns"] - types["plain"] == {"network"}
    assert types["userns"] - types["netns"] == {"user"}
    assert types["rootless"] == types["userns"]
    for count in (1, 10, 50):
        assert len(found[f"mounts{count}"]["mounts"]) == len(plain["mounts"]) + count
        assert found[f"layers{count}"] == plain
    (rule,) = found["seccomp400"]["linux"]["seccomp"]["syscalls"]
    assert len(set(rule["names"])) == 400


def test_rootless_starts_are_those_of_a_user_without_privileges(bench: Bench, crun: str) -> None:
    with tempfile.TemporaryDirectory(prefix="spt-") as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - the user has to get to the runtime
        uids = Path(folder) / "uids"
        uids.touch()
        uids.chmod(0o666)
        runtime = Wrapper(Path(folder), crun)("mine", f"id -u >>{uids}")
        words = ("--suite", "axes", "--case", "rootless", "--runtime", runtime, "--blocks", "1")
        ran = bench(*words)
        assert ran.status == 0, ran.err
        found = uids.read_text().split()
    # The guard before it runs the plain bundle as root.
    assert found[-1] == str(UNPRIVILEGED)
