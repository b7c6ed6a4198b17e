"""The registry: its seed, what it refuses to load, and how tests are set against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance import data
from seatrial.conformance.registry import Registry, check, coverage, requirements_directory
from seatrial.conformance.registry.requirement import (
    BINDS,
    DOCUMENTS,
    LEVELS,
    NEEDS,
    REASONS,
    RegistryError,
    Requirement,
    UnknownRequirement,
    meaning_of_need,
    release_for,
)
from seatrial.conformance.spec import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# The seed's table: yes/partly/no per document and level.
SEED = {
    "spec.md": {"MUST": (0, 0, 1)},
    "principles.md": {"IMPLIED": (0, 1, 0)},
    "bundle.md": {"MUST": (2, 0, 1), "IMPLIED": (2, 0, 0)},
    "runtime.md": {
        "MUST": (50, 6, 1),
        "MUST-NOT": (7, 0, 0),
        "REQUIRED": (7, 0, 0),
        "MAY": (4, 0, 6),
        "IMPLIED": (10, 1, 0),
    },
    "runtime-linux.md": {"MUST": (4, 0, 0), "MAY": (0, 0, 2), "IMPLIED": (1, 1, 0)},
    "config.md": {
        "MUST": (84, 10, 3),
        "MUST-NOT": (3, 1, 2),
        "REQUIRED": (2, 17, 0),
        "SHOULD": (20, 7, 7),
        "SHOULD-NOT": (2, 1, 0),
        "MAY": (8, 3, 6),
        "IMPLIED": (55, 26, 1),
    },
    "config-linux.md": {
        "MUST": (60, 7, 5),
        "MUST-NOT": (6, 4, 0),
        "REQUIRED": (7, 20, 0),
        "SHOULD": (16, 0, 1),
        "SHOULD-NOT": (5, 0, 4),
        "MAY": (2, 3, 11),
        "IMPLIED": (92, 21, 0),
    },
    "config-vm.md": {"MUST": (0, 4, 0), "REQUIRED": (0, 7, 0), "IMPLIED": (2, 3, 0)},
    "features.md": {
        "MUST": (5, 0, 0),
        "MUST-NOT": (2, 0, 1),
        "REQUIRED": (2, 0, 0),
        "SHOULD": (0, 1, 0),
        "SHOULD-NOT": (0, 1, 0),
        "MAY": (1, 0, 3),
        "IMPLIED": (1, 2, 0),
    },
    "features-linux.md": {"MUST": (9, 1, 0), "IMPLIED": (4, 6, 0)},
    "glossary.md": {"MUST": (0, 1, 0), "MUST-NOT": (0, 1, 0), "IMPLIED": (1, 0, 0)},
}

ROW = """
[[requirement]]
id = "runtime.kill.errors"
level = "MUST"
anchor = "kill"
paraphrase = "it is an error"
binds = "runtime"
since = "1.0.0"
testable = "yes"
method = "try it"
"""
FILE = f'document = "runtime.md"\npending = []\n{ROW}'

KILL = Requirement(
    id="runtime.kill.errors",
    document="runtime.md",
    level="MUST",
    anchor="kill",
    paraphrase="it is an error",
    binds="runtime",
    since="1.0.0",
    testable="yes",
    method="try it",
)
MAY = replace(KILL, id="runtime.kill.may", level="MAY", testable="no", untested="permission: none")
LATER = replace(KILL, id="runtime.start.runs", anchor="start")

releases = st.sampled_from(RELEASES)
numbers = st.integers(0, 9)
versions = st.builds(
    lambda major, minor, patch, suffix: f"{major}.{minor}.{patch}{suffix}",
    st.integers(0, 3),
    numbers,
    numbers,
    st.sampled_from(["", "-rc.1", "-dev", "+build", "-dev+build"]),
)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load(requirements_directory())


def registry_of(*rows: Requirement, pending: Iterable[str] = ()) -> Registry:
    return Registry({row.id: row for row in rows}, {"runtime.md": tuple(pending)})


def load(directory: Path, **files: str | bytes) -> Registry:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (directory / f"{name}.toml").write_bytes(data)
    return Registry.load(directory)


# --- the seed ---


def test_all_687_rows_are_there(registry: Registry) -> None:
    assert len(registry) == 687
    assert sum(row.until is None for row in registry.values()) == 667


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_has_the_rows_of_the_seed(registry: Registry, document: str) -> None:
    counted = Counter(
        (row.level, row.testable) for row in registry.values() if row.document == document
    )
    assert {
        level: tuple(counted[level, testable] for testable in ("yes", "partly", "no"))
        for level in LEVELS
        if any(known == level for known, _ in counted)
    } == SEED[document]


def test_rows_stand_in_the_order_of_the_spec(registry: Registry) -> None:
    order = [DOCUMENTS.index(row.document) for row in registry.values()]
    assert order == sorted(order)
    names = list(registry)
    assert names[0] == "spec.conventions.compliance-rollup"
    assert names.index("runtime.kill.missing-id-errors") < names.index(
        "runtime.delete.missing-id-errors"
    )


def test_rows_are_bound_and_dated_as_in_the_seed(registry: Registry) -> None:
    assert Counter(row.binds for row in registry.values()) == {
        "runtime": 572,
        "config": 111,
        "report": 2,
        "caller": 2,
    }
    assert Counter(row.since for row in registry.values()) == {
        "1.0.0": 310,
        "1.0.1": 1,
        "1.0.2": 95,
        "1.1.0": 190,
        "1.2.0": 34,
        "1.2.1": 6,
        "1.3.0": 51,
    }


def test_rows_that_cannot_be_tested_say_why(registry: Registry) -> None:
    words = [row.untested.split(":")[0] for row in registry.values() if row.untested]
    assert Counter(words) >= Counter({"permission": 29, "author-side": 18, "umbrella": 4})
    assert all(row.untested for row in registry.values() if row.testable == "no")


def test_also_names_further_places_in_the_spec(registry: Registry) -> None:
    assert registry["config.hooks.prestart.invoked"].place == "runtime.md#lifecycle"
    assert {place.partition("#")[0] for row in registry.values() for place in row.also} <= {
        *DOCUMENTS
    }


def test_a_url_leads_to_the_section_in_the_release(registry: Registry) -> None:
    assert registry["runtime.kill.not-alive-errors"].url == (
        "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/runtime.md#kill"
    )


def test_the_readme_knows_every_word() -> None:
    text = (requirements_directory() / "README.md").read_text()
    for need, meaning in NEEDS.items():
        assert f"- `{need}`: {meaning}\n" in text
    for word in (*REASONS, *LEVELS, *BINDS):
        assert f"`{word}`" in text
    for release in RELEASES:
        assert release in text


def test_the_folder_is_that_of_the_wheel_or_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "conformance" / "src" / "seatrial" / "conformance"
    monkeypatch.setattr(data, "_PACKAGE", package)
    monkeypatch.setattr(data, "_ROOM", tmp_path / "conformance")
    assert requirements_directory() == tmp_path / "conformance" / "requirements"
    (package / "requirements").mkdir(parents=True)
    assert requirements_directory() == package / "requirements"


# --- versions ---


def test_a_changed_statement_has_one_wording_in_force(registry: Registry) -> None:
    old = registry["config.hooks.poststart.failure-warns"]
    new = registry["config.hooks.poststart.failure-errors"]
    assert (old.since, old.until, new.since) == ("1.0.0", "1.2.1", "1.3.0")
    for version in (*RELEASES, "1.2.2", "1.3.0-rc.1", "1.4.0", "1.10.0", "2.0.0"):
        assert old.in_force(version) != new.in_force(version)
    assert old.in_force("1.3.0-rc.1")
    assert new.in_force("1.3.0+build")
    assert new.in_force("1.10.0")


@pytest.mark.parametrize("version", ["0.9.9", "1.0.0-rc5"])
def test_nothing_is_in_force_before_the_first_release(version: str) -> None:
    assert not KILL.in_force(version)


@pytest.mark.parametrize(
    "version", ["", "1.0", "v1.0.0", "1.0.0.0", "1.0.x", "1.0.0 ", "\u0661.0.0"]
)
def test_what_is_no_version_is_an_error(version: str) -> None:
    with pytest.raises(RegistryError, match=r"is not of the form major\.minor\.patch") as caught:
        KILL.in_force(version)
    assert caught.value.hint == "releases: 1.0.0, 1.0.1, 1.0.2, 1.1.0, 1.2.0, 1.2.1, 1.3.0"


@given(since=releases, until=releases | st.none(), version=releases)
def test_a_row_is_in_force_from_since_to_until_inclusive(
    since: str, until: str | None, version: str
) -> None:
    row = replace(KILL, since=since, until=until)
    # releases so far have one digit per number, so that text order is version order
    assert row.in_force(version) == (since <= version and (until is None or version <= until))


@given(earlier=versions, later=versions)
def test_a_row_that_still_stands_stays_in_force(earlier: str, later: str) -> None:
    def key(version: str) -> tuple[list[int], bool]:
        core = version.partition("+")[0].partition("-")
        return [int(number) for number in core[0].split(".")], not core[1]

    first, second = sorted([earlier, later], key=key)
    for since in RELEASES:
        row = replace(KILL, since=since)
        assert row.in_force(second) or not row.in_force(first)


@given(version=versions)
def test_a_version_is_judged_as_the_release_before_it(version: str) -> None:
    release = release_for(version)
    for since in RELEASES:
        row = replace(KILL, since=since)
        assert row.in_force(version) == (release is not None and row.in_force(release))


# --- selection ---


def test_a_prefix_selects_what_is_below_it_and_ends_at_a_dot() -> None:
    names = ("a.b", "a.b.c", "a.bc", "a.b-c", "z.a.b")
    registry = registry_of(*(replace(KILL, id=name) for name in names))
    assert [row.id for row in registry.select("a.b")] == ["a.b", "a.b.c"]
    assert [row.id for row in registry.select("z", "a.b.c", "a.b.c")] == ["a.b.c", "z.a.b"]
    assert [row.id for row in registry.select()] == [*names]


@given(data=st.data())
def test_selecting_several_prefixes_is_their_union(registry: Registry, data: st.DataObject) -> None:
    prefixes = data.draw(st.lists(st.sampled_from([*registry, "config", "linux.cgroups"])))
    chosen = {row.id for row in registry.select(*prefixes)} if prefixes else set()
    assert chosen == {row.id for prefix in prefixes for row in registry.select(prefix)}


@pytest.mark.parametrize("prefix", ["runtime.kil", "runtime.kill.", "", "."])
def test_a_prefix_that_selects_nothing_is_an_error(registry: Registry, prefix: str) -> None:
    with pytest.raises(UnknownRequirement) as caught:
        registry.select("config", prefix)
    assert str(caught.value) == f"unknown requirement {prefix!r}"


def test_unknown_ids_come_with_close_matches(registry: Registry) -> None:
    with pytest.raises(UnknownRequirement) as caught:
        registry.select("runtime.kil")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean runtime.kill")
    with pytest.raises(UnknownRequirement, match=r"unknown requirement 'runtime\.kill'"):
        registry.find("runtime.kill")
    with pytest.raises(UnknownRequirement) as caught:
        registry.find("runtime.kill.delivers-signals")
    assert "runtime.kill.delivers-signal" in str(caught.value.hint)
    with pytest.raises(UnknownRequirement) as caught:
        registry.find("%%%%%%")
    assert caught.value.hint is None


# --- loading ---


def test_a_row_is_read_with_all_its_keys(tmp_path: Path) -> None:
    more = (
        'also = ["config.md#hooks"]\nuntil = "1.2.1"\nneeds = ["root", "cap:kill"]\nnote = "odd"\n'
        'untested = "superseded: the wording is gone"\n'
    )
    registry = load(tmp_path, runtime=FILE.replace("pending = []", 'pending = ["kill"]') + more)
    assert registry == {
        KILL.id: replace(
            KILL,
            also=("config.md#hooks",),
            until="1.2.1",
            needs=("root", "cap:kill"),
            note="odd",
            untested="superseded: the wording is gone",
        )
    }
    assert registry.is_pending(registry[KILL.id])


def test_files_are_ordered_as_the_spec_is(tmp_path: Path) -> None:
    config = FILE.replace("runtime.", "config.")
    spec = FILE.replace("runtime.", "spec.")
    assert list(load(tmp_path, config=config, runtime=FILE, spec=spec)) == [
        "spec.kill.errors",
        "runtime.kill.errors",
        "config.kill.errors",
    ]


def row_with(old: str, new: str) -> str:
    assert FILE.count(old) == 1
    return FILE.replace(old, new)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (FILE + 'colour = "red"\n', "unknown key 'colour'"),
        (row_with('method = "try it"\n', ""), "method is missing"),
        (row_with('"MUST"', '"OUGHT"'), "unknown level 'OUGHT'"),
        (row_with('"MUST"', "1"), "level is not a string: 1"),
        (row_with('binds = "runtime"', 'binds = "kernel"'), "unknown binds 'kernel'"),
        (row_with('"yes"', '"no:permission"'), "unknown testable 'no:permission'"),
        (row_with('"1.0.0"', '"1.0.3"'), "unknown since '1.0.3'"),
        (FILE + 'until = "1.9.0"\n', "unknown until '1.9.0'"),
        (FILE + "until = 1.2\n", "until is not a string: 1.2"),
        (
            row_with('"1.0.0"', '"1.1.0"') + 'until = "1.0.2"\n',
            "until 1.0.2 is before since 1.1.0",
        ),
        (FILE + 'until = "1.3.0"\n', "until 1.3.0 is the newest release: leave it out"),
        (FILE + 'needs = ["rooot"]\n', "unknown need 'rooot'"),
        (FILE + 'needs = ["controller:disk"]\n', "unknown need 'controller:disk'"),
        (FILE + 'needs = ["cap:CAP_KILL"]\n', "unknown need 'cap:CAP_KILL'"),
        (FILE + 'needs = ["kernel>=5"]\n', "unknown need 'kernel>=5'"),
        (FILE + 'needs = "root"\n', "needs is not an array of strings: 'root'"),
        (FILE + "needs = [1]\n", "needs is not an array of strings: [1]"),
        (FILE + 'needs = ["root", "root"]\n', "needs has 'root' more than once"),
        (
            FILE + 'also = ["kill"]\n',
            "also 'kill' is not of the form document.md#anchor",
        ),
        (row_with('"kill"', '"#Kill"'), "anchor '#Kill' is not a heading's slug"),
        (row_with('"it is an error"', '" "'), "paraphrase is empty"),
        (FILE + 'note = ""\n', "note is empty"),
        (row_with('"yes"', '"no"'), "untested is missing, though testable is 'no'"),
        (FILE + 'untested = "because"\n', "untested is not of the form 'word: sentence'"),
        (FILE + 'untested = "permission:"\n', "untested is not of the form 'word: sentence'"),
        (FILE + 'untested = "lazy: later"\n', "unknown untested 'lazy'"),
    ],
)
def test_a_bad_row_is_an_error_that_names_file_and_id(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, runtime=content)
    assert str(caught.value) == (
        f"{tmp_path}/runtime.toml: requirement runtime.kill.errors: {message}"
    )


@pytest.mark.parametrize(
    "name", ["kill", "Runtime.kill", "a..b", "a.b.", "a.-b", "a.b_c", "a.b\\n"]
)
def test_an_id_is_a_slug(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryError, match=r"id is not lower-case words joined by '-' and '\.'"):
        load(tmp_path, runtime=row_with('"runtime.kill.errors"', f'"{name}"'))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (row_with('document = "runtime.md"', ""), "document is missing"),
        (row_with('"runtime.md"', '"windows.md"'), "unknown document 'windows.md'"),
        (row_with('"runtime.md"', '"config.md"'), "document config.md belongs in another file"),
        (row_with("pending = []", ""), "pending is missing"),
        (row_with("pending = []", "pending = true"), "pending is not an array of strings: True"),
        (row_with("pending = []", 'pending = ["start"]'), "pending anchor 'start': no row has it"),
        (row_with("pending = []", "pending = []\nowner = 1"), "unknown key 'owner'"),
        (FILE.replace(ROW, ""), "requirement is missing"),
        (FILE.replace(ROW, "requirement = []"), "requirement is not an array of tables"),
        (FILE.replace(ROW, "requirement = 1"), "requirement is not an array of tables"),
        (FILE.replace(ROW, "requirement = [1]"), "requirement number 1: is not a table"),
        (FILE + ROW.replace("id =", "name ="), "requirement number 2: id is missing"),
        (row_with('"runtime.kill.errors"', "7"), "requirement number 1: id is not a string: 7"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, runtime=content)
    assert str(caught.value) == f"{tmp_path}/runtime.toml: {message}"


def test_an_id_stands_once_within_a_file_and_across_files(tmp_path: Path) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, runtime=FILE, spec=row_with("runtime.md", "spec.md"))
    assert str(caught.value) == (
        f"{tmp_path}/runtime.toml: requirement runtime.kill.errors: "
        f"id is also in {tmp_path}/spec.toml"
    )
    with pytest.raises(RegistryError, match="id is also in"):
        load(tmp_path, runtime=FILE + ROW)


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b'document = "runtime.md"\npending = [\nx', ":3: not valid toml: "),
        (b'document = "runtime.md"\nlevel = "MUST', ":2: not valid toml: "),
        (b'document = "runtime.md"\nlevel = [1,', ":2: not valid toml: "),
        (b'document = "runtime.md"\nlevel = "\xff"', ":2: not utf-8: "),
    ],
)
def test_broken_toml_is_an_error_with_file_and_line(
    tmp_path: Path, content: bytes, start: str
) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, runtime=content)
    assert str(caught.value).startswith(f"{tmp_path}/runtime.toml{start}")


def test_no_folder_no_file_and_no_right_to_read_are_errors(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"/none: No such file or directory"):
        Registry.load(tmp_path / "none")
    with pytest.raises(RegistryError, match="no toml file in it"):
        Registry.load(tmp_path)
    (tmp_path / "runtime.toml").mkdir()
    with pytest.raises(RegistryError, match=r"runtime\.toml: Is a directory"):
        Registry.load(tmp_path)


def test_a_misspelt_need_comes_with_close_matches(tmp_path: Path) -> None:
    with pytest.raises(RegistryError) as caught:
        load(tmp_path, runtime=FILE + 'needs = ["user-ns"]\n')
    assert caught.value.hint is not None
    assert "userns" in caught.value.hint


def test_every_kind_of_need_has_a_meaning() -> None:
    assert meaning_of_need("root") == "effective uid 0 in the initial user namespace"
    assert meaning_of_need("kernel>=5.12") == "Linux 5.12 or newer"
    assert meaning_of_need("controller:pids") == "the pids controller"
    assert meaning_of_need("cap:sys_nice") == "CAP_SYS_NICE for the runtime"
    assert meaning_of_need("kernel>=05.1") is None


# --- coverage ---


def test_each_row_has_one_status() -> None:
    registry = registry_of(KILL, MAY, LATER, pending=["start"])
    covered = coverage(registry, {})
    assert [covered.status(row) for row in registry.values()] == ["missing", "untested", "pending"]
    covered = coverage(registry, {KILL.id: ["test_a"], LATER.id: ["test_b"]})
    assert covered.count() == {"tested": 2, "untested": 1, "pending": 0, "missing": 0}
    assert covered.count([MAY]) == {"tested": 0, "untested": 1, "pending": 0, "missing": 0}


def test_an_empty_list_of_tests_is_no_test() -> None:
    assert coverage(registry_of(KILL), {KILL.id: []}).status(KILL) == "missing"


@given(data=st.data())
def test_statuses_add_up_to_all_rows(registry: Registry, data: st.DataObject) -> None:
    tested = data.draw(st.sets(st.sampled_from(list(registry))))
    counts = coverage(registry, {name: ["test_a"] for name in tested}).count()
    assert sum(counts.values()) == len(registry)
    assert counts["tested"] == len(tested)


def test_a_registry_whose_rows_are_all_accounted_for_has_no_problem() -> None:
    registry = registry_of(KILL, MAY, LATER, pending=["start"])
    assert check(registry, {KILL.id: ["test_a"]}) == []


def test_a_row_with_neither_test_nor_reason_is_a_problem() -> None:
    assert check(registry_of(KILL), {}) == [
        "runtime.kill.errors (MUST, runtime.md#kill): neither a test nor a reason"
    ]


def test_a_test_of_an_unknown_id_is_a_problem_with_close_matches() -> None:
    tests = {KILL.id: ["test_a"], "runtime.kill.error": ["test_b", "test_c"], "zzz": []}
    hint = "did you mean runtime.kill.errors?"
    assert check(registry_of(KILL), tests) == [
        f"test_b, test_c: unknown requirement 'runtime.kill.error'; {hint}",
        "a test: unknown requirement 'zzz'",
    ]


def test_a_row_with_a_test_and_a_reason_is_a_problem() -> None:
    assert check(registry_of(MAY), {MAY.id: ["test_a"]}) == [
        "runtime.kill.may: has a reason to be untested, and a test: test_a"
    ]


def test_a_pending_chapter_that_is_done_is_a_problem() -> None:
    registry = registry_of(KILL, MAY, pending=["kill"])
    assert check(registry, {}) == []
    assert check(registry, {KILL.id: ["test_a"]}) == [
        "runtime.md#kill: every row has a test or a reason; remove it from pending"
    ]


def test_the_registry_as_it_stands_lacks_nothing_but_tests(registry: Registry) -> None:
    tests = {
        row.id: ["test_a"]
        for row in registry.values()
        if row.untested is None and not registry.is_pending(row)
    }
    assert check(registry, tests) == []
