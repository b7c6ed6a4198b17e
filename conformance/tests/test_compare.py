"""Differential runs: runtimes are told apart by small configs, and by the clause that decides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from conformance.tests.conftest import BROKEN, SEATRIAL
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.comparison import differences, features, observation, programs
from seatrial.conformance.comparison.clauses import Clauses
from seatrial.conformance.comparison.differences import ABSENT, Difference
from seatrial.conformance.comparison.search import Effort, Search
from seatrial.conformance.data import schema_file
from seatrial.conformance.errors import HarnessError
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.strategies import differential

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conformance.tests.conftest import Trial

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View
    from seatrial.conformance.comparison.observation import Tree
    from seatrial.conformance.config import Config

VERSION = "1.0.2"
TIMEOUT_S = 120
BASE = differential.base(VERSION)

#: Runtimes that spoil a good one, by what the shell does before the good one is called.
SPOILED = {
    "honest": "true",
    "ignores-hostname": """[ "$verb" = create ] &&
        sed -i 's/"hostname":/"ignored":/' "$bundle/config.json" """,
    "refuses-umask": """[ "$verb" = create ] && grep -q '"umask"' "$bundle/config.json" &&
        exit 1""",
    "adds-a-variable": """[ "$verb" = create ] &&
        sed -i 's/"SEA=1"/"SEA=other"/' "$bundle/config.json" """,
}


@pytest.fixture
def compare(
    trial: Trial, good: Adapter, view: View, tmp_path: Path
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Compare runtimes of ``SPOILED`` by the command; return its status and JSON."""

    def run(*names: str, words: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        paths = [_spoiled(tmp_path, name, good) for name in names]
        ran = trial("compare", *paths, "--view", view, "--format", "json", *words, program=SEATRIAL)
        told = json.loads(ran.out)
        schema = json.loads(schema_file("comparison.json").read_text())
        assert list(jsonschema.Draft202012Validator(schema).iter_errors(told)) == []
        return ran.status, told

    return run


def _spoiled(folder: Path, name: str, good: Adapter) -> Path:
    path = folder / name
    spoils = SPOILED[name.removesuffix("-too")]
    path.write_text(
        f"#!/bin/sh\nSEATRIAL_REAL=$(command -v {good.command})\n"
        f'. "{BROKEN}/wrapped.sh"\n{spoils}\nexec "$real" "$@"\n'
    )
    path.chmod(0o755)
    return path


# Runtimes


def test_two_that_are_alike_do_not_differ(
    compare: Callable[..., tuple[int, dict[str, Any]]],
) -> None:
    status, told = compare("honest", "honest-too", words=("--examples", "25"))
    assert (status, told["differences"]) == (0, [])
    assert told["complete"]
    assert told["runs"] >= told["drawn"] > 10


def test_one_that_ignores_the_hostname_is_told_apart_by_a_hostname(
    compare: Callable[..., tuple[int, dict[str, Any]]],
) -> None:
    status, told = compare("honest", "ignores-hostname", words=("--examples", "40"))
    assert status == 1
    (found,) = [each for each in told["differences"] if _members(each) == ["hostname"]]
    assert _without_version(found["config"]) == {**_without_version(BASE), "hostname": "sea"}
    assert [row["id"] for row in found["requirements"]] == ["config.hostname.applied"]
    assert found["smallest"]
    by = {tuple(v["runtimes"]): v["value"] for v in found["members"][0]["values"]}
    assert by[("honest",)] == "sea"
    assert by[("ignores-hostname",)] != "sea"
    # Nothing else of it is told than what has to do with the hostname.
    assert all("hostname" in json.dumps(each["config"]) for each in told["differences"])


def test_one_that_refuses_a_valid_umask_is_told_apart_by_an_umask(
    compare: Callable[..., tuple[int, dict[str, Any]]],
) -> None:
    status, told = compare("honest", "refuses-umask", "honest-too", words=("--examples", "40"))
    assert status == 1
    found = told["differences"][0]
    assert _members(found) == ["outcome"]
    assert found["config"]["process"]["user"] == {"uid": 0, "gid": 0, "umask": 0}
    del found["config"]["process"]["user"]["umask"]
    assert _without_version(found["config"]) == _without_version(BASE)
    assert [row["id"] for row in found["requirements"]] == ["config.process.user.umask-applied"]
    assert found["requirements"][0]["url"].endswith("config.md#posix-platform-user")
    assert found["members"][0]["values"] == [
        {"runtimes": ["honest", "honest-too"], "value": "runs"},
        {"runtimes": ["refuses-umask"], "value": "create fails"},
    ]


def test_the_same_is_found_in_every_run(
    compare: Callable[..., tuple[int, dict[str, Any]]],
) -> None:
    words = ("--examples", "30")
    first, second = (compare("honest", "adds-a-variable", words=words) for _ in "12")
    assert first == second


def _members(found: dict[str, Any]) -> list[str]:
    return [each["member"] for each in found["members"]]


def _without_version(config: Config) -> Config:
    return {name: value for name, value in config.items() if name != "ociVersion"}


# The command


def test_the_text_says_who_differs_in_what_by_which_clause(
    trial: Trial, good: Adapter, view: View, tmp_path: Path
) -> None:
    paths = [_spoiled(tmp_path, name, good) for name in ("honest", "refuses-umask")]
    words = ["--compare", *paths, "--view", view, "--examples", "25"]
    ran = trial("test", *words, program=SEATRIAL)
    assert ran.status == 1
    lines = ran.out.splitlines()
    at = lines.index("config.process.user.umask-applied   IMPLIED")
    assert lines[at + 3 : at + 7] == [
        "  1.  how far the container comes",
        '        honest         "runs"',
        '        refuses-umask  "create fails"',
        "      config  process.user.umask = 0",
    ]
    assert "found outcome" in ran.err
    assert lines[-1].startswith(("1 difference in", "2 differences in"))


def test_a_finding_is_written_with_a_script_that_shows_it(
    trial: Trial, good: Adapter, view: View, tmp_path: Path
) -> None:
    paths = [_spoiled(tmp_path, name, good) for name in ("honest", "refuses-umask")]
    words = ["--view", view, "--examples", "25", "--output", tmp_path / "out"]
    assert trial("compare", *paths, *words, program=SEATRIAL).status == 1
    folder = tmp_path / "out" / "01-outcome"
    assert json.loads((folder / "difference.json").read_text())["open"] is None
    said = []
    for path in paths:
        more = ["v1"] if view == "v1" else []
        script = [str(folder / "run.sh"), str(path), *more]
        said.append(
            subprocess.run(script, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        )
    assert said[0].stdout.startswith("create: exit status 0\n")
    assert '"umask":0' in said[0].stdout
    assert "start: exit status 0" in said[0].stdout
    assert said[1].stdout == "create: exit status 1\n"
    assert not [path for path in os.listdir("/sys/fs/cgroup") if path == "seatrial-compare"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["/bin/true"], "one runtime cannot be compared"),
        (["/bin/true", "/usr/bin/true"], "are one runtime, which cannot be compared with itself"),
        (["/bin/true", "nothing"], "there is no runtime named 'nothing'"),
        (["/bin/true", "/nothing"], "runtime /nothing does not exist"),
        (["/bin/true", "/bin/false", "--examples", "0"], "--examples has to be a number above 0"),
        (["/bin/true", "/bin/false", "--seed", "-1"], "--seed has to be a number, 0 or above"),
        (["/bin/true", "/bin/false", "--runtime-timeout", "0"], "--runtime-timeout has to be"),
        (["/bin/true", "/bin/false", "--output", "/"], "/ is not empty"),
        (["/bin/true", "/bin/false", "--output", "/bin/true"], "cannot write /bin/true"),
        (["/bin/true", "/bin/false", "--nothing"], "unrecognized arguments: --nothing"),
        (["/bin/true", "/bin/false", "--examples", "x"], "invalid int value: 'x'"),
        (["/bin/true", "/bin/false", "--profile", "x"], "invalid choice: 'x'"),
        ([], "RUNTIME"),
    ],
)
def test_wrong_usage_is_told(trial: Trial, words: list[str], complaint: str) -> None:
    for begin in (["compare"], ["test", "--compare"]):
        ran = trial(*begin, *words, program=SEATRIAL)
        assert ran.status == 2
        assert complaint in ran.err
        assert ran.out == ""


def test_with_one_that_cannot_run_a_container_nothing_is_compared(
    trial: Trial, good: Adapter
) -> None:
    ran = trial("compare", good.command, BROKEN / "always-fails", program=SEATRIAL)
    assert ran.status == 3
    assert "smoke test: always-fails cannot run the minimal container" in ran.complaint[0]


def test_an_interrupted_comparison_tells_what_it_found_and_leaves_nothing(
    trial: Trial, good: Adapter, view: View, tmp_path: Path
) -> None:
    paths = [_spoiled(tmp_path, name, good) for name in ("honest", "refuses-umask")]
    words = ["--view", view, "--examples", "5000"]
    process = trial.start("compare", *paths, *words, program=SEATRIAL)
    assert process.stderr is not None
    assert "found" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    ran = trial.finish(process)
    assert ran.status == 130
    assert "interrupted)" in ran.out


# The search


class _Ships:
    """Two runtimes that are no processes."""

    def __init__(self, seen: Callable[[Config], Mapping[str, Tree]]) -> None:
        self.seen = seen

    def observe(self, config: Config) -> Mapping[str, Tree]:
        return self.seen(config)


def _search(seen: Callable[[Config], Mapping[str, Tree]], **effort: int) -> Search:
    clauses = Clauses.load(Registry.load(requirements_directory()))
    strategy = differential.configs_to_compare(VERSION)
    search = Search(
        _Ships(seen), strategy, BASE, clauses, Effort(**{"examples": 300, "tries": 200, **effort})
    )
    search.run()
    return search


def _trees(one: Tree, two: Tree) -> Mapping[str, Tree]:
    return {"one": {"outcome": "runs", "report": one}, "two": {"outcome": "runs", "report": two}}


def test_what_does_not_come_again_is_not_looked_into() -> None:
    numbers = iter(range(10**9))
    search = _search(lambda _: _trees({"sea": next(numbers)}, {"sea": -1}), examples=20)
    assert len(search.findings) == 1  # differs always, though by other values
    flips = iter([1] + [0] * 10**5)
    search = _search(lambda _: _trees({"umask": next(flips)}, {"umask": 0}), examples=20)
    assert (search.findings, search.unsteady) == ([], ["umask"])


def test_containers_that_end_otherwise_for_several_causes_give_a_config_for_each() -> None:
    def seen(config: Config) -> Mapping[str, Tree]:
        wrong = "hostname" in config or "oomScoreAdj" in config["process"]
        return {"one": {"outcome": "create fails" if wrong else "runs"}, "two": {"outcome": "runs"}}

    found = [(each.clause, each.config) for each in _search(seen).findings]
    decided = {row.requirements: config for row, config in reversed(found) if row is not None}
    hostname, oom = {**BASE, "hostname": "sea"}, differential.base(VERSION)
    oom["process"]["oomScoreAdj"] = 0
    assert decided["config.hostname.applied",] == hostname
    assert decided["config.process.oom-score-adj.set",] == oom


def test_a_shrinking_that_is_cut_off_says_so() -> None:
    def seen(config: Config) -> Mapping[str, Tree]:
        return _trees({"sea": config["process"].get("oomScoreAdj") is not None}, {"sea": False})

    assert {each.whole for each in _search(seen, tries=1).findings} <= {False}
    assert {each.whole for each in _search(seen).findings} <= {True}


def test_the_same_member_by_another_clause_is_told_again() -> None:
    def seen(config: Config) -> Mapping[str, Tree]:
        given = bool(config["process"].get("capabilities"))
        return _trees({"capabilities": {"bounding": []}}, {"capabilities": {"bounding": ["CAP_X"]}}
                      if not given else {"capabilities": {"bounding": ["CAP_Y"]}})  # fmt: skip

    rows = [each.clause for each in _search(seen).findings]
    assert [row.open is None for row in rows if row][:2] == [False, True]


# Differences


def test_members_elements_and_what_is_not_there_are_told_apart() -> None:
    found = differences.between(
        {
            "a": {"outcome": "runs", "report": {"umask": 18, "mounts": {"/": {"options": ["ro"]}}}},
            "b": {"outcome": "runs", "report": {"umask": 18, "mounts": {"/": {"options": []}}}},
            "c": {"outcome": "runs", "report": {"umask": 0, "mounts": {}}},
            "d": {"outcome": "create fails"},
        }
    )
    assert [(each.place, each.partition) for each in found] == [
        ("outcome", (("a", "b", "c"), ("d",))),
        ("mounts[/]", (("a", "b"), ("c",))),
        ("mounts[/].options{ro}", (("a",), ("b",))),
        ("umask", (("a", "b"), ("c",))),
    ]
    assert found[1].values[-1] == (("c",), ABSENT)


@given(tree=st.dictionaries(st.text(), st.integers() | st.lists(st.text(), unique=True)))
def test_a_tree_does_not_differ_from_itself(tree: Tree) -> None:
    assert differences.between({"a": tree, "b": tree, "c": json.loads(json.dumps(tree))}) == []


def test_mounts_are_named_by_their_place_without_numbers() -> None:
    lines = [
        "195 108 0:54 / / rw,relatime shared:7 master:3 - tmpfs none rw,mode=755",
        "196 195 0:52 / /proc ro - proc proc rw",
        "197 195 0:52 / /proc rw - proc proc rw",
    ]
    found = observation.mounts(lines)
    assert list(found) == ["/", "/proc", "/proc #2"]
    assert found["/"] == {
        "root": "/",
        "type": "tmpfs",
        "source": "none",
        "options": ["relatime", "rw"],
        "data": ["mode=755", "rw"],
        "propagation": ["master", "shared"],
    }


def test_the_runs_own_paths_have_names() -> None:
    value = {"/w/b/x": ["/w/b", "/w/c"], "n": 1}
    places = {"/w": "<work>", "/w/b": "<bundle>"}
    assert observation.named(value, places) == {"<bundle>/x": ["<bundle>", "<work>/c"], "n": 1}


# Features and clauses


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("hostname",), "sea", {"hostname:text"}),
        (("hostname",), "s" * 65, {"hostname:long"}),
        (("hostname",), 1, {"hostname:wrong-type"}),
        (("hostname",), None, {"hostname:null"}),
        (("process", "user", "umask"), 2**32, {"process.user.umask:huge"}),
        (("process", "user", "umask"), True, {"process.user.umask:wrong-type"}),
        (("process", "env"), ["SEA", "PATH=x"], {"process.env[]:no-equals", "process.env[]=PATH"}),
        (("linux", "sea"), 1, {"linux:unknown-member", "linux.sea:number"}),
        (("mounts", 1, "options"), ["ro", "ro"], {"mounts[].options[]=ro",
                                                  "mounts[].options:repeated"}),
    ],
)  # fmt: skip
def test_features_are_what_the_minimal_config_has_not(
    path: differential.Path, value: object, expected: set[str]
) -> None:
    config = differential.base(VERSION)
    differential.assign(config, path, value)
    assert features.of(config, BASE) == expected


def test_what_was_taken_away_is_a_feature() -> None:
    config = differential.base(VERSION)
    differential.spoil(config, ("process", "cwd"), "missing")
    assert features.of(config, BASE) == {"process.cwd:missing"}


@given(config=differential.configs_to_compare(VERSION))
def test_every_drawn_config_can_be_run_and_stays_in_its_place(config: Config) -> None:
    assert config["root"]["path"] == "rootfs" if isinstance(config.get("root"), dict) else True
    assert {"type": "mount"} in config["linux"]["namespaces"]
    assert "cgroupsPath" not in config["linux"]
    words = programs.with_program(config)["process"]["args"]
    assert all(isinstance(word, str) for word in words)
    assert words[-1] == "report"
    features.of(config, BASE)


def test_the_table_is_right_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    registry = Registry.load(requirements_directory())
    clauses = Clauses.load(registry)
    assert all(("requirement" in str(row)) for row in clauses.rows)
    for text, complaint in (
        ('differs = "x"', "has to have one of requirement and open"),
        ('open = "x"', "differs is missing"),
        ('differs = "x"\nopen = "x"\nmore = 1', "unknown key 'more'"),
        ('differs = "x"\nrequirement = "sea"', "no requirement 'sea'"),
    ):
        table = tmp_path / "clauses.toml"
        table.write_text(f"[[clause]]\n{text}\n")
        with pytest.raises(HarnessError, match=complaint):
            Clauses.load(registry, table)


def test_a_row_can_name_the_option_that_the_config_has() -> None:
    clauses = Clauses.load(Registry.load(requirements_directory()))
    config = differential.base(VERSION)
    mount = {"destination": "/sea", "type": "tmpfs", "options": ["noexec"]}
    differential.assign(config, ("mounts", "+"), mount)
    one = Difference("mounts[/sea].options", (), (), "noexec")
    decided = clauses.decide(one, features.of(config, BASE), features.members(config))
    assert decided is not None
    assert decided.requirements == ("config.mounts.option.noexec",)


def test_a_difference_that_no_row_is_for_is_not_decided() -> None:
    clauses = Clauses.load(Registry.load(requirements_directory()))
    assert clauses.decide(Difference("sea", (), ()), frozenset(), frozenset()) is None
