"""Expectations: a second axis beside the verdicts, and a file whose every key is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import adapters, expectations
from seatrial.conformance.cgroups import MODES
from seatrial.conformance.data import data_directory
from seatrial.conformance.errors import UsageError
from seatrial.conformance.expectations import Expectation
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.verdicts import Status, Verdict

if TYPE_CHECKING:
    from pathlib import Path

#: The releases in Debian 12, which the verdicts in results/ are of.
PACKAGED = {"crun": "1.8.1", "runc": "1.1.5"}
BINDING = {"MUST", "MUST-NOT", "REQUIRED"}
KILL, START = "runtime.kill.delivers-signal", "runtime.start.runs-program"
ENTRY = {
    "requirement": f'"{KILL}"',
    "status": '"fail"',
    "reason": '"it never did"',
    "url": '"https://example.org/1"',
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The registry of the suite."""
    return Registry.load(requirements_directory())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where an expectations file may be."""
    return tmp_path / "crun.toml"


def write(path: Path, **members: str | None) -> Path:
    keys = {**ENTRY, **members}
    lines = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    path.write_text("\n".join(["[[expect]]", *lines]))
    return path


def complaint(path: Path, registry: Registry) -> str:
    with pytest.raises(UsageError) as caught:
        expectations.load(path, registry)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), "FILE")


def verdict(status: Status, name: str = "test_a", **members: object) -> Verdict:
    return Verdict(
        f"a.py::{name}[crun]",
        "crun",
        members.pop("requirements", (KILL,)),  # type: ignore[arg-type]
        status,
        **members,  # type: ignore[arg-type]
    )


# The file


def test_an_entry_is_read(path: Path, registry: Registry) -> None:
    write(
        path, test='"test_a"', when='{ version = "<1.9", kernel = ">=5" }', checked='"kill: exit 0"'
    )
    (found,) = expectations.load(path, registry)
    assert (found.requirement, found.test, found.reason) == (KILL, "test_a", "it never did")
    assert found.checked == "kill: exit 0"
    assert (str(found.version), str(found.kernel)) == ("<1.9", ">=5")


def test_an_empty_file_expects_nothing(path: Path, registry: Registry) -> None:
    path.write_text("# none\n")
    assert expectations.load(path, registry) == []


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reason": None}, "reason is missing or not a text"),
        ({"reason": '""'}, "reason is missing or not a text"),
        ({"url": None}, "url is missing or not a text"),
        ({"url": '"see issue"'}, "url has to be an address, not 'see issue'"),
        ({"status": None}, "status is missing or not a text"),
        ({"status": '"crash"'}, "status has to be \"fail\", not 'crash'"),
        ({"requirement": None}, "requirement is missing or not a text"),
        ({"requirement": "3"}, "requirement is missing or not a text"),
        (
            {"requirement": '"runtime.kill.delivers"'},
            "unknown requirement 'runtime.kill.delivers'",
        ),
        ({"reazon": '"x"'}, "unknown key reazon"),
        ({"test": "3"}, "test has to be the name of a test"),
        ({"checked": "true"}, "checked has to be a text"),
        ({"when": '"<1"'}, "when takes version, kernel and cgroups"),
        ({"when": '{ verzion = "<1" }'}, "when takes version, kernel and cgroups"),
        ({"when": '{ version = "<<1" }'}, "'<<1' is not a version range"),
        ({"when": "{ version = 1 }"}, "1 is not a version range"),
        ({"when": '{ kernel = ["<1"] }'}, "['<1'] is not a version range"),
    ],
)
def test_a_wrong_entry_is_told_with_its_number(
    path: Path, registry: Registry, members: dict[str, str | None], expected: str
) -> None:
    good = write(path).read_text()
    path.write_text(f"{good}\n{write(path, **members).read_text()}")
    assert complaint(path, registry) == f"expectations FILE, entry 2: {expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "expectations FILE: only [[expect]] tables belong there"),
        ("expect = 3", "expectations FILE: only [[expect]] tables belong there"),
        ("expect = [3]", "expectations FILE, entry 1: not a table"),
        ("[[expect]", "expectations FILE is not TOML: "),
    ],
)
def test_what_is_no_list_of_entries_is_told(
    path: Path, registry: Registry, text: str, expected: str
) -> None:
    path.write_text(text)
    assert complaint(path, registry).startswith(expected)


def test_a_file_that_cannot_be_read_is_told(path: Path, registry: Registry) -> None:
    assert complaint(path, registry) == ("cannot read expectations FILE: No such file or directory")
    path.write_bytes(b"\xff")
    assert complaint(path, registry).startswith("expectations FILE is not TOML: ")


def test_runtimes_of_one_name_share_their_expectations(
    path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path)
    monkeypatch.setattr(expectations, "data_directory", lambda _: path.parent)
    assert expectations.for_runtime("crun", registry)
    assert expectations.for_runtime("crun#2", registry)
    assert expectations.for_runtime("crun-1", registry) == []


def test_all_that_come_with_the_harness_are_right(registry: Registry) -> None:
    for file in data_directory("expectations").glob("*.toml"):
        assert file.stem in adapters.known()
        expectations.load(file, registry)


@pytest.mark.parametrize("name", PACKAGED)
def test_what_is_said_of_a_packaged_runtime_was_checked_by_hand(
    name: str, registry: Registry
) -> None:
    unchecked = [
        (each.requirement, each.test)
        for each in expectations.for_runtime(name, registry)
        if registry.find(each.requirement).level in BINDING
        and any(each.applies(PACKAGED[name], "6.1", mode) for mode in MODES)
        and not each.checked
    ]
    assert unchecked == []


# When it applies


@pytest.mark.parametrize(
    ("when", "version", "kernel", "applies"),
    [
        (None, "unknown", "odd", True),
        ('{ version = "<1.9" }', "1.8.1", "6.1", True),
        ('{ version = "<1.9" }', "1.8.1+ds1", "6.1", True),
        ('{ version = "<1.9" }', "1.9", "6.1", False),
        ('{ version = ">=1.9" }', "1.9.0-rc.1", "6.1", True),
        ('{ version = "<1.9" }', "unknown", "6.1", False),
        ('{ version = "<1.9" }', "", "6.1", False),
        ('{ kernel = "<5.12" }', "1", "5.10.0-9-amd64", True),
        ('{ kernel = "<5.12" }', "1", "6.1.0", False),
        ('{ version = "==1.8.*", kernel = ">=6" }', "1.8.1", "6.1.0", True),
        ('{ version = "==1.8.*", kernel = ">=7" }', "1.8.1", "6.1.0", False),
    ],
)
def test_it_applies_to_its_versions(
    path: Path, registry: Registry, when: str | None, version: str, kernel: str, *, applies: bool
) -> None:
    (found,) = expectations.load(write(path, when=when), registry)
    assert found.applies(version, kernel) == applies


def test_it_applies_to_its_cgroups(path: Path, registry: Registry) -> None:
    (found,) = expectations.load(write(path, when='{ cgroups = "v2" }'), registry)
    assert found.applies("1", "6.1", "v2")
    assert not found.applies("1", "6.1", "v1")
    assert not found.applies("1", "6.1")


def test_an_unknown_mode_of_cgroups_is_refused(path: Path, registry: Registry) -> None:
    with pytest.raises(UsageError, match="is no mode of cgroups"):
        expectations.load(write(path, when='{ cgroups = "v3" }'), registry)


# Against verdicts

ANY = Expectation(KILL, "why", "https://example.org")
ONE = Expectation(KILL, "why", "https://example.org", test="test_a")


@pytest.mark.parametrize(
    ("seen", "known"),
    [
        (verdict("fail", kind="wrong"), True),
        (verdict("fail", kind="ignored"), True),
        (verdict("fail", kind="malformed"), True),
        (verdict("fail", kind="leaked", audit=True), True),
        (verdict("fail", kind="crashed"), False),
        (verdict("fail", kind="hung"), False),
        (verdict("error"), False),
        (verdict("pass"), False),
        (verdict("fail", kind="wrong", requirements=(START,)), False),
        (verdict("fail", kind="wrong", requirements=(KILL, START)), False),
    ],
)
def test_only_a_listed_failure_is_known(seen: Verdict, *, known: bool) -> None:
    outcome = expectations.compare([seen], [ANY], "1")
    assert [each.known for each in outcome.verdicts] == [known]


def test_a_test_may_narrow_it() -> None:
    seen = [verdict("fail", "test_a", kind="wrong"), verdict("fail", "test_b", kind="wrong")]
    outcome = expectations.compare(seen, [ONE], "1")
    assert [each.known for each in outcome.verdicts] == [True, False]


@pytest.mark.parametrize(
    ("seen", "unexpected"),
    [
        ([verdict("pass")], True),
        ([verdict("note", notes=("x",))], True),
        ([verdict("skip", evidence="x")], False),
        ([verdict("error")], False),
        ([], False),
        ([verdict("fail", kind="wrong"), verdict("pass", "test_b")], False),
        ([verdict("pass", requirements=(START,))], False),
        ([verdict("fail", kind="leaked", audit=True), verdict("pass")], False),
    ],
)
def test_one_that_passes_is_to_be_removed(seen: list[Verdict], *, unexpected: bool) -> None:
    outcome = expectations.compare(seen, [ANY], "1")
    assert outcome.unexpected_passes == ([ANY] if unexpected else [])


def test_one_that_does_not_apply_says_nothing() -> None:
    fixed = Expectation(KILL, "why", "https://example.org", version=None, kernel=None)
    outcome = expectations.compare([verdict("pass")], [fixed], "1", kernel="1")
    assert outcome.unexpected_passes == [fixed]
    outcome = expectations.compare([verdict("fail", kind="wrong")], [], "1")
    assert not outcome.verdicts[0].known


@pytest.mark.parametrize(
    ("test", "covered"),
    [
        ("test_a", True),
        ("test_b", False),
        ("test_a[process/user/uid]", True),
        ("test_a[process/user/*]", True),
        ("test_a[linux/*|process/*]", True),
        ("test_a[process/user]", False),
        ("test_a[*/gid]", False),
        ("test_b[process/*]", False),
    ],
)
@pytest.mark.parametrize("parameters", ["crun-process/user/uid", "process/user/uid-crun"])
def test_an_expectation_may_name_parameters_of_a_test(
    parameters: str, test: str, *, covered: bool
) -> None:
    expectation = Expectation(KILL, "it never did", "https://example.org/1", test=test)
    failure = Verdict(f"a.py::test_a[{parameters}]", "crun", (KILL,), "fail")
    assert expectation.covers(failure, KILL) == covered
