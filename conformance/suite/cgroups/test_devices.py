"""config-linux.md, "Allowed Device list".

Devices that no driver has are opened: what the list denies is EPERM, what it allows is ENXIO.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import without
from seatrial.conformance.device_rules import ANY, Access, Rule, agreed, plain
from seatrial.conformance.facts import withheld_capabilities
from seatrial.conformance.marks import needs, requirement
from seatrial.conformance.placement import hierarchy_of
from seatrial.conformance.report import parse_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.spawn import Result

#: Numbers for local and experimental use (Documentation/admin-guide/devices.txt).
LOCAL = range(120, 128)
MINORS = (0, 1)
KINDS = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}
LETTERS = "rwm"


def majors() -> list[int]:
    """Return two majors that no driver of this host has."""
    lines = Path("/proc/devices").read_text().splitlines()
    taken = {int(line.split()[0]) for line in lines if line[:3].strip().isdigit()}
    return [number for number in LOCAL if number not in taken][:2]


ALLOW = True
#: Where a container makes a node.
NODE = "/node"
#: Whatever one can ask for at once: what O_RDWR asks for is ``rw``.
COMBINATIONS = ("r", "w", "m", "rw", "rm", "wm", "rwm")


def universe(letters: Sequence[str] = ("r", "w", "rw")) -> list[Access]:
    """Return accesses to a few devices of each type."""
    return [
        Access(kind, major, minor, each)
        for kind in KINDS
        for major in majors()
        for minor in MINORS
        for each in letters
    ]


def rules() -> st.SearchStrategy[list[Rule]]:
    """Lists that begin by saying what holds for every device.

    No entry denies character devices by a wildcard for the major number: the default devices would
    be among them, which a runtime needs itself and supplies in any case.
    """
    letters = st.lists(st.sampled_from(LETTERS), min_size=1, unique=True).map("".join)
    exception = st.builds(
        Rule,
        allow=st.booleans(),
        type=st.sampled_from("cb"),
        major=st.sampled_from([ANY, *majors()]),
        minor=st.sampled_from([ANY, *MINORS]),
        access=letters,
    ).filter(lambda rule: rule.allow or rule.type == "b" or rule.major is not ANY)
    whole = st.builds(Rule, allow=st.booleans())
    more = st.lists(exception | exception | exception | whole, min_size=1, max_size=6)
    return st.tuples(whole, more).map(lambda parts: [parts[0], *parts[1]])


def listing(harness: Harness, rules: list[Rule], *act: str) -> Config:
    """Return a config with these rules."""
    config = harness.config(*act)
    config["linux"]["resources"] = {"devices": [rule.entry() for rule in rules]}
    return config


def name_of(access: Access) -> str:
    """Return where a test has the device."""
    return f"/nodes/{access.type}-{access.major}-{access.minor}"


def make_nodes(folder: Path, accesses: list[Access]) -> None:
    """Make the nodes of all these devices, for everybody to open."""
    (folder / "nodes").mkdir()
    for access in {(each.type, each.major, each.minor): each for each in accesses}.values():
        path = folder / name_of(access).lstrip("/")
        os.mknod(path, KINDS[access.type] | 0o666, os.makedev(access.major, access.minor))
        path.chmod(0o666)


def acts(accesses: list[Access]) -> list[str]:
    """Return the acts that open these devices, one after the other."""
    words: list[str] = []
    for access in accesses:
        words += ["+"] if words else []
        words += ["open", name_of(access), access.letters]
    return words


def allowed(line: dict[str, Any]) -> bool:
    """Whether what the probe says of an act means that the list let it through."""
    return bool(line["ok"]) or line["errno"] != "EPERM"


def tried(
    harness: Harness, rules: list[Rule], accesses: list[Access]
) -> dict[Access, bool] | Result:
    """Return what a container with these rules could do, or how it was refused."""
    config = listing(harness, rules, *acts(accesses))
    with harness.bundle(config) as bundle:
        make_nodes(bundle.rootfs, accesses)
        with harness.container(config, bundle=bundle) as container:
            created = container.create()
            if created.failed:
                return created
            assert container.start().ok
            lines = [parse_line(line) for line in container.output().splitlines()]
    return {access: allowed(line) for access, line in zip(accesses, lines, strict=True)}


def for_want_of_rights(harness: Harness, result: object) -> bool:
    """Whether a list was refused where not every right is there, which is noted.

    Of the rights that a runtime needs for its work the spec says nothing: the filter of version 2
    is a program that some raise the limit of locked memory for (setrlimit(2)).
    """
    hampered = not isinstance(result, dict) and hierarchy_of("devices").version == 2
    if hampered := hampered and "CAP_SYS_RESOURCE" in withheld_capabilities():
        harness.note("without CAP_SYS_RESOURCE create with a list of devices is refused")
    return hampered


def check_rules(harness: Harness, rules: list[Rule], accesses: list[Access]) -> None:
    """Try what is allowed with these rules, and compare it with what both models say."""
    seen = tried(harness, rules, accesses)
    if for_want_of_rights(harness, seen):
        return
    if not isinstance(seen, dict):
        # A runtime may know that the kernel would not do as it is told: no wildcard of version 1
        # can be allowed with an exception.
        assert not plain(rules, universe(COMBINATIONS)), seen
        return
    expected = agreed(rules, accesses)
    assert {access: seen[access] for access in expected} == expected


@requirement("linux.cgroups.devices.listed-order")
@needs("cap:mknod")
@given(rules=rules())
@settings(max_examples=30)
def test_entries_are_applied_in_the_listed_order(harness: Harness, rules: list[Rule]) -> None:
    check_rules(harness, rules, universe(("r", "w")))


@requirement("linux.cgroups.devices.access-letters")
@needs("cap:mknod")
@example(rules=[Rule(allow=True), Rule(allow=False, type="c", major=120, access="r")])
@given(rules=rules())
@settings(max_examples=15)
def test_a_device_is_not_opened_for_more_than_is_allowed(
    harness: Harness, rules: list[Rule]
) -> None:
    check_rules(harness, rules, universe(("rw",)))


@requirement("linux.cgroups.devices.listed-order")
@needs("cap:mknod")
@pytest.mark.parametrize("last", [True, False], ids=["allow-last", "deny-last"])
def test_of_two_entries_for_a_device_the_last_counts(harness: Harness, *, last: bool) -> None:
    accesses = universe()
    about = accesses[0]
    entries = [
        Rule(allow, about.type, about.major, about.minor, LETTERS) for allow in (not last, last)
    ]
    seen = tried(harness, [Rule(allow=not last), *entries], accesses)
    if for_want_of_rights(harness, seen):
        return
    assert isinstance(seen, dict), seen
    for access, said in seen.items():
        same = (access.type, access.major, access.minor) == (about.type, about.major, about.minor)
        assert said is (last if same else not last), access


@requirement("linux.cgroups.devices.type-default-all")
@needs("cap:mknod")
@pytest.mark.parametrize("type_", [None, "a"], ids=["unset", "a"])
@pytest.mark.parametrize("allow", [True, False], ids=["allow", "deny"])
def test_an_entry_without_type_is_for_all_types(
    harness: Harness, *, allow: bool, type_: str | None
) -> None:
    accesses = universe()
    config = listing(harness, [Rule(not allow), Rule(allow)], *acts(accesses))
    if type_ is not None:
        config["linux"]["resources"]["devices"][1]["type"] = type_
    with harness.bundle(config) as bundle:
        make_nodes(bundle.rootfs, accesses)
        with harness.container(config, bundle=bundle) as container:
            created = container.create()
            if created.failed and for_want_of_rights(harness, created):
                return
            assert created.ok, created
            assert container.start().ok
            lines = [parse_line(line) for line in container.output().splitlines()]
    assert {allowed(line) for line in lines} == {allow}


@requirement("linux.cgroups.devices.numbers-default-all")
@needs("cap:mknod")
@given(allow=st.booleans(), type_=st.sampled_from("cb"), data=st.data())
@settings(max_examples=15)
def test_a_number_that_is_not_given_is_every_number(
    harness: Harness, *, allow: bool, type_: str, data: st.DataObject
) -> None:
    wildcards = [ANY] if allow or type_ == "b" else []  # see rules()
    major = data.draw(st.sampled_from([*wildcards, *majors()]), "major")
    minor = data.draw(st.sampled_from([ANY, *MINORS]), "minor")
    accesses = universe()
    rule = Rule(allow, type_, major, minor)
    seen = tried(harness, [Rule(not allow), rule], accesses)
    expected = {access: rule.fits(access) == allow for access in accesses}
    assert for_want_of_rights(harness, seen) or seen == expected


@requirement("linux.cgroups.devices.access-letters")
@needs("cap:mknod")
@given(access=st.permutations(LETTERS).flatmap(lambda p: st.integers(1, 3).map(lambda n: p[:n])))
@settings(max_examples=15)
def test_each_letter_governs_its_own_access(harness: Harness, access: list[str]) -> None:
    accesses = universe()
    major, minor = majors()[0], MINORS[0]
    rule = Rule(ALLOW, "c", major, minor, "".join(access))
    seen = tried(harness, [Rule(allow=False), rule], accesses)
    expected = {each: rule.fits(each) for each in accesses}
    assert for_want_of_rights(harness, seen) or seen == expected


@requirement("linux.cgroups.devices.access-letters")
@needs("cap:mknod")
@pytest.mark.parametrize("letters", ["m", "rwm", "rw"])
def test_m_governs_mknod(harness: Harness, letters: str) -> None:
    major = majors()[0]
    rules = [Rule(allow=False), Rule(ALLOW, "c", major, 0, letters)]
    config = listing(harness, rules, "mknod", NODE, "c", str(major), "0")
    # A test of the list, not of the right to make nodes at all.
    sets = ("bounding", "effective", "permitted")
    config["process"]["capabilities"] = {name: ["CAP_MKNOD"] for name in sets}
    with harness.container(config) as container:
        created = container.create()
        if created.failed and for_want_of_rights(harness, created):
            return
        assert created.ok, created
        assert container.start().ok
        made = parse_line(container.output())
    if "m" in letters:
        assert made["ok"], made
    elif made["ok"]:
        # Runtimes add an entry of their own that lets every node be made, as all default devices.
        harness.note("mknod of a device for which the list has no m succeeds")


@requirement("linux.cgroups.devices.invalid-value-errors")
@pytest.mark.parametrize(
    "wrong",
    [{"type": "x"}, {"type": "cb"}, {"type": "C"}, {"access": "x"}, {"access": "rwx"}],
    ids=lambda wrong: "-".join(next(iter(wrong.items()))),
)
def test_an_invalid_type_or_access_generates_an_error(
    harness: Harness, wrong: dict[str, str]
) -> None:
    config = listing(harness, [Rule(allow=False), Rule(ALLOW, "c", majors()[0], 0)])
    config["linux"]["resources"]["devices"][1] |= wrong
    result = harness.attempt(config)
    assert result.failed, result


@requirement("linux.cgroups.devices.allow-present")
def test_the_reaction_to_an_entry_without_allow_is_recorded(harness: Harness) -> None:
    config = listing(harness, [Rule(allow=False), Rule(ALLOW, "c", majors()[0], 0)])
    config = without(config, "linux", "resources", "devices", 1, "allow")
    result = harness.attempt(config)
    harness.note(f"an entry without allow is {'refused' if result.failed else 'accepted'}")
