"""The floor does what the config says, and nothing of it stays."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.perf import filters
from seatrial.perf.programs import program

if TYPE_CHECKING:
    from pathlib import Path

#: Runs the probe of the conformance suite in the containers of crun and of the floor.
_SCRIPT = """
import json, shutil, subprocess, sys
from seatrial.perf import bundles, configs, contenders, filters, kinds
from seatrial.perf.cases import Case
from seatrial.perf.contenders import Contender, find
from seatrial.perf.place import Place
kind, filtered, probe = sys.argv[1:]
names, architectures = filters.choose(400) if filtered else ([], [])
config = configs.with_filter(names, architectures) if names else getattr(configs, kind)()
reports = {}
with Place() as place:
    for each in (find("crun"), Contender("floor", kinds.floor(), "-", "-")):
        case = Case("test", kind, "run", config, floor=True, filtered=tuple(names))
        bundle = bundles.make(place, each, case)
        shutil.copy(probe, bundle.path / "rootfs/payload")
        for file in ("config.json", "orders"):
            path = bundle.path / file
            if path.exists():
                text = path.read_text().replace("payload\\t3", "payload\\treport")
                path.write_text(text.replace('"3"', '"report"'))
        words = kinds.run(place, each, bundle, place.new_id()).words
        words = [word for word in words if word not in ("--preserve-fds", "1")]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done
        reports[each.name] = json.loads(done.stdout)
        left = [str(path) for path in place.cgroups.folders(bundle.cgroup) if path.exists()]
        assert not left, left
print(json.dumps(reports))
"""
#: What the config decides, and a container can see.
_DECIDED = (
    *("uid", "gid", "groups", "cwd", "hostname", "no_new_privileges", "capabilities"),
    *("rlimits", "seccomp_mode", "uid_map", "gid_map", "pid", "oom_score_adj"),
)


@pytest.fixture
def probe(bench: object, crun: str, pytestconfig: pytest.Config) -> Path:
    del bench, crun  # it needs root and crun
    path = pytestconfig.rootpath / "conformance/src/seatrial/conformance/bin/probe"
    if not path.is_file():
        pytest.skip("the probe is not built")
    return path


def _mounts(report: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return each mount's type, and whether it is read-only, by where it is."""
    found = {}
    for line in report["mountinfo"]:
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        kind = right.split(" ")[0]
        # crun makes what hides a path read-only too, which runc does not, and nothing asks for.
        found[fields[4]] = (kind, kind == "devtmpfs" or "ro" in fields[5].split(","))
    return found


@pytest.mark.parametrize(
    ("config", "filtered"),
    [("plain", ""), ("with_network", ""), ("with_user_namespace", ""), ("plain", "filtered")],
)
def test_the_floors_container_is_that_of_a_runtime(probe: Path, config: str, filtered: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, config, filtered, probe],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    floor, runtime = reports["floor"], reports["crun"]
    for member in _DECIDED:
        assert floor[member] == runtime[member], member
    assert floor["root"]["read_only"]
    assert _mounts(floor) == _mounts(runtime)
    devices = [{each["path"]: each["type"] for each in r["devices"]} for r in (floor, runtime)]
    devices[1].pop("/dev/core", None)  # which the spec does not ask for
    assert devices[0] == devices[1]
    assert {*floor["namespaces"]} == {*runtime["namespaces"]}


def test_an_order_that_fails_is_told(tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    orders.write_text("go\t/nowhere\n")
    done = subprocess.run(
        [program("floor"), "run", orders], capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert done.stderr == "floor: go /nowhere: No such file or directory\n"


@pytest.mark.parametrize("text", ["dance\n", "write\t" + "\t".join("x" * 20) + "\n"])
def test_orders_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    orders = tmp_path / "orders"
    orders.write_text(text)
    done = subprocess.run(
        [program("floor"), "run", orders], capture_output=True, text=True, check=False
    )
    assert done.returncode == 125
    assert done.stderr.startswith("floor: ")


def test_a_step_in_a_loop_gives_as_many_times(tmp_path: Path) -> None:
    orders, output = tmp_path / "orders", tmp_path / "output"
    orders.write_text("clone\t0\nend\n")
    subprocess.run([program("floor"), "micro", "5", orders, output], check=True)
    assert len(output.read_text().splitlines()) == 5


def test_filters_allow_the_named_calls_and_no_others() -> None:
    names, _ = filters.choose(400)
    assert len(names) == 400
    search = filters.compile_filter(names)
    assert len(search) < len(filters.compile_filter(names, linear=True)) / 10
    assert len(search) % 8 == 0
