"""The registry: every normative statement of the runtime-spec, and whether tests cover it.

The rows stand in ``conformance/requirements/*.toml``; README.md beside them describes every key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from seatrial.conformance.data import data_directory
from seatrial.conformance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

Level = Literal["MUST", "MUST-NOT", "REQUIRED", "SHOULD", "SHOULD-NOT", "MAY", "IMPLIED"]
Binds = Literal["runtime", "config", "caller", "hook", "report"]
Testable = Literal["yes", "partly", "no"]
Status = Literal["tested", "untested", "pending", "missing"]

LEVELS: tuple[Level, ...] = get_args(Level)
BINDS: tuple[Binds, ...] = get_args(Binds)
TESTABLE: tuple[Testable, ...] = get_args(Testable)
STATUSES: tuple[Status, ...] = get_args(Status)

SPEC_VERSION = "1.3.0"
RELEASES = ("1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.2.0", "1.2.1", SPEC_VERSION)

SPEC_REPOSITORY = "https://github.com/opencontainers/runtime-spec"

DOCUMENTS = (  # in the order of the spec's table of contents, which is the order of the registry
    "spec.md",
    "principles.md",
    "bundle.md",
    "runtime.md",
    "runtime-linux.md",
    "config.md",
    "config-linux.md",
    "config-vm.md",
    "features.md",
    "features-linux.md",
    "glossary.md",
)

REASONS: Mapping[str, str] = {
    "author-side": "a rule for writers of configs or of specifications",
    "consumer-side": "a rule for readers of what a runtime prints",
    "old-host": "shows only on a kernel that is no longer in use",
    "out-of-reach": "can be seen in principle, but not by what the harness has",
    "permission": "nothing can fail",
    "superseded": "a wording that a later release replaced",
    "umbrella": "a roll-up of other rows",
    "vacuous": "cannot be violated",
}

NEEDS: Mapping[str, str] = {
    "apparmor": "AppArmor enabled",
    "bfq": "the BFQ scheduler",
    "blockdev": "a spare block device (loop)",
    "cgroup-v1": "a host on cgroup v1",
    "cgroup-v2": "a host on the unified hierarchy",
    "cgroupns": "a private cgroup namespace",
    "compat32": "an architecture with a 32-bit personality",
    "deadline-policy": "SCHED_DEADLINE for a process of the harness",
    "entry32": "a kernel that takes calls by the entry point of 32-bit programs",
    "exec": "a runtime with an exec operation",
    "features": "a runtime that prints a features document",
    "fs-iversion": "a filesystem that shows i_version",
    "host-kernel": "containers that run on the host's kernel, which shows them",
    "hook": "a runtime that runs hooks; a helper program",
    "hugetlb": "huge pages",
    "idmap": "idmapped mounts on the test filesystem",
    "ipcns": "a private IPC namespace",
    "kernel-audit": "the kernel's audit log, readable",
    "log": "a runtime that writes a log the test can read",
    "mntns": "a private mount namespace",
    "mount-propagation": "a shared mount on the host",
    "netdev-dummy": "dummy or veth interfaces",
    "netns": "a private network namespace",
    "no-resctrl": "a host without mounted resctrl",
    "numa": "NUMA policy support, two nodes for some values",
    "pidns": "a private pid namespace",
    "pty": "a pseudoterminal and a console socket",
    "rdma": "an RDMA device (soft RoCE will do)",
    "real-time-policies": "SCHED_FIFO and SCHED_RR for a process in a cgroup of the harness",
    "resctrl": "mounted resctrl",
    "resctrl-mon": "resctrl with monitoring groups",
    "root": "effective uid 0 in the initial user namespace",
    "rt-group-sched": "realtime group scheduling",
    "run": "a runtime with a run operation, which creates, starts and deletes",
    "seccomp": "kernel and runtime with seccomp",
    "seccomp-notify": "seccomp user notification",
    "selinux": "SELinux enabled",
    "swap": "swap accounting",
    "timens": "time namespaces",
    "uclamp": "a kernel with utilization clamping",
    "update": "a runtime with an update operation",
    "userns": "user namespaces",
    "utsns": "a private UTS namespace",
    "vm": "a runtime that boots virtual machines",
}

CONTROLLERS = (  # cgroup v2 names; the v1 counterpart counts
    *("cpu", "cpuset", "devices", "freezer", "hugetlb", "io", "memory", "net_cls", "net_prio"),
    *("pids", "rdma"),
)
CAPABILITIES = (  # capabilities(7)
    *("audit_control", "audit_read", "audit_write", "block_suspend", "bpf", "checkpoint_restore"),
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "ipc_lock", "ipc_owner"),
    *("kill", "lease", "linux_immutable", "mac_admin", "mac_override", "mknod", "net_admin"),
    *("net_bind_service", "net_broadcast", "net_raw", "perfmon", "setfcap", "setgid", "setpcap"),
    *("setuid", "sys_admin", "sys_boot", "sys_chroot", "sys_module", "sys_nice", "sys_pacct"),
    *("sys_ptrace", "sys_rawio", "sys_resource", "sys_time", "sys_tty_config", "syslog"),
    "wake_alarm",
)

_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_ID = re.compile(rf"{_WORD}(?:\.{_WORD})+")
_ANCHOR = re.compile(_WORD)
_KERNEL = re.compile(r"kernel>=(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)")
_REASON = re.compile(rf"({_WORD}): \S.*")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII)

_NEEDED_KEYS = ("id", "level", "anchor", "paraphrase", "binds", "since", "testable", "method")
_KEYS = (*_NEEDED_KEYS, "also", "until", "needs", "note", "untested")
_FILE_KEYS = ("document", "pending", "requirement")

_T = TypeVar("_T", bound=str)


class RegistryError(UsageError):
    """The registry cannot be used as it stands; the message names the file and the row."""


class UnknownRequirement(RegistryError):  # noqa: N818 - reads as what it is
    """No row has this id, and none is below it; the hint names ids that look like it."""


def release_for(version: str) -> str | None:
    """Return the newest release that is not newer than ``version``; None before 1.0.0.

    Each statement holds from one release to the next, so ``1.2.2`` is judged as 1.2.1, and so is
    ``1.3.0-rc.1``, which precedes 1.3.0 (semver.org, precedence). Raises RegistryError.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        raise RegistryError(
            f"spec version {version!r} is not of the form major.minor.patch",
            hint=f"releases: {', '.join(RELEASES)}",
        )
    number = (int(match[1]), int(match[2]), int(match[3]))
    is_final = match[4] is None
    not_newer = None
    for release in RELEASES:
        major, minor, patch = map(int, release.split("."))
        if (major, minor, patch) < number or ((major, minor, patch) == number and is_final):
            not_newer = release
    return not_newer


def meaning_of_need(need: str) -> str | None:
    """Say in one line what a word of ``needs`` asks of the host or the runtime; None if unknown."""
    kind, _, name = need.partition(":")
    if kind == "controller" and name in CONTROLLERS:
        return f"the {name} controller"
    if kind == "cap" and name in CAPABILITIES:
        return f"CAP_{name.upper()} for the runtime"
    if _KERNEL.fullmatch(need) is not None:
        return f"Linux {need.removeprefix('kernel>=')} or newer"
    return NEEDS.get(need)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One normative statement, as one row of the registry has it."""

    id: str
    document: str
    level: Level
    anchor: str
    also: tuple[str, ...] = ()
    paraphrase: str
    binds: Binds
    since: str
    until: str | None = None
    testable: Testable
    needs: tuple[str, ...] = ()
    method: str
    note: str | None = None
    untested: str | None = None

    @property
    def place(self) -> str:
        """The section it stands in: ``runtime.md#kill``."""
        return f"{self.document}#{self.anchor}"

    @property
    def url(self) -> str:
        """The section on the web, in the release that this registry is made from."""
        return self.url_at(SPEC_VERSION)

    def url_at(self, *versions: str) -> str:
        """The section in the newest of ``versions`` (by ``release_for``) that states it."""
        releases = [release_for(each) for each in versions if self.in_force(each)]
        release = max((each for each in releases if each), key=RELEASES.index, default=SPEC_VERSION)
        return f"{SPEC_REPOSITORY}/blob/v{release}/{self.place}"

    def in_force(self, version: str) -> bool:
        """Tell whether the statement stands in ``version`` of the spec; see ``release_for``."""
        release = release_for(version)
        if release is None:
            return False
        since = RELEASES.index(self.since)
        until = len(RELEASES) if self.until is None else RELEASES.index(self.until)
        return since <= RELEASES.index(release) <= until

    def as_dict(self) -> dict[str, object]:
        """Return every field, and the url, in the shape that JSON has."""
        return {**asdict(self), "url": self.url}


@dataclass(frozen=True, eq=False)
class Registry(Mapping[str, Requirement]):
    """Every requirement by its id, in the order of the spec."""

    rows: Mapping[str, Requirement]
    pending: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The anchors of each document whose chapters are still to come."""

    @classmethod
    def load(cls, directory: Path) -> Registry:
        """Read and check every TOML file of ``directory``. Raises RegistryError."""
        try:
            files = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
        except OSError as error:
            raise RegistryError(f"requirements {directory}: {error.strerror}") from error
        if not files:
            raise RegistryError(f"requirements {directory}: no toml file in it")
        loaded = [_File(path) for path in files]
        rows: dict[str, Requirement] = {}
        home: dict[str, Path] = {}
        for file in sorted(loaded, key=lambda file: DOCUMENTS.index(file.document)):
            for row in file.rows:
                if row.id in home:
                    raise RegistryError(
                        f"{file.path}: requirement {row.id}: id is also in {home[row.id]}"
                    )
                rows[row.id] = row
                home[row.id] = file.path
        return cls(
            rows=MappingProxyType(rows),
            pending=MappingProxyType({file.document: file.pending for file in loaded}),
        )

    def __getitem__(self, identifier: str) -> Requirement:
        """Return the row of exactly this id. Raises KeyError."""
        return self.rows[identifier]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids, in the order of the spec."""
        return iter(self.rows)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def find(self, identifier: str) -> Requirement:
        """Return the row of exactly this id. Raises UnknownRequirement."""
        try:
            return self.rows[identifier]
        except KeyError:
            raise self._unknown(identifier, self.rows) from None

    def select(self, *prefixes: str) -> tuple[Requirement, ...]:
        """Return the rows that are, or are below, one of ``prefixes``; all of them without any.

        A prefix ends at a dot: ``config.hooks`` selects ``config.hooks.argv``, and not
        ``config.hooks-x``. Raises UnknownRequirement for a prefix that selects nothing.
        """
        chosen: set[str] = set(() if prefixes else self.rows)
        for prefix in prefixes:
            below = {name for name in self.rows if name == prefix or name.startswith(f"{prefix}.")}
            if not below:
                raise self._unknown(prefix, self._prefixes())
            chosen |= below
        return tuple(row for name, row in self.rows.items() if name in chosen)

    def suggestion(self, identifier: str) -> str | None:
        """Return a hint that names the ids most like ``identifier``, if any are."""
        return _suggestion(identifier, self.rows)

    def is_pending(self, row: Requirement) -> bool:
        """Tell whether the chapter of ``row`` is still to come."""
        return row.anchor in self.pending.get(row.document, ())

    def _prefixes(self) -> dict[str, None]:
        """Return everything that ``select`` takes, in order and without repetition."""
        split = [name.split(".") for name in self.rows]
        return {".".join(words[:n]): None for words in split for n in range(1, len(words) + 1)}

    def _unknown(self, word: str, known: Iterable[str]) -> UnknownRequirement:
        hint = _suggestion(word, known)
        return UnknownRequirement(f"unknown requirement {word!r}", hint=hint)


@dataclass(frozen=True)
class Coverage:
    """What covers each requirement: its tests, a reason for none, a chapter to come, or nothing."""

    registry: Registry
    tests: Mapping[str, Sequence[str]]

    def status(self, row: Requirement) -> Status:
        """Return the word for ``row``: a test counts before a reason, a reason before a plan."""
        if self.tests.get(row.id):
            return "tested"
        if row.untested is not None:
            return "untested"
        return "pending" if self.registry.is_pending(row) else "missing"

    def count(self, rows: Iterable[Requirement] | None = None) -> dict[str, int]:
        """Count ``rows`` (all, if not given) by status; every status is a key."""
        chosen = self.registry.values() if rows is None else rows
        counted = Counter(self.status(row) for row in chosen)
        return {status: counted[status] for status in STATUSES}


def coverage(registry: Registry, tests: Mapping[str, Sequence[str]]) -> Coverage:
    """Set ``tests`` (requirement id to the node ids of its tests) against ``registry``."""
    return Coverage(registry, tests)


def check(registry: Registry, tests: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what is wrong between ``registry`` and ``tests``, one sentence each; empty is good."""
    covered = coverage(registry, tests)
    problems: list[str] = []
    for name, nodes in tests.items():
        if name not in registry:
            problem = f"{', '.join(nodes) or 'a test'}: unknown requirement {name!r}"
            hint = registry.suggestion(name)
            problems.append(f"{problem}; {hint}" if hint else problem)
    for row in registry.values():
        if covered.status(row) == "missing":
            problems.append(f"{row.id} ({row.level}, {row.place}): neither a test nor a reason")
        if row.untested is not None and tests.get(row.id):
            nodes_of_row = ", ".join(tests[row.id])
            problems.append(f"{row.id}: has a reason to be untested, and a test: {nodes_of_row}")
    for document, anchors in registry.pending.items():
        for anchor in anchors:
            rows = [r for r in registry.values() if r.document == document and r.anchor == anchor]
            if all(covered.status(row) in ("tested", "untested") for row in rows):
                problems.append(
                    f"{document}#{anchor}: every row has a test or a reason; remove it from pending"
                )
    return problems


def requirements_directory() -> Path:
    """Return the folder of the registry: the copy in the wheel, or that of the checkout."""
    return data_directory("requirements")


class _File:
    """One file of the registry, read and checked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = _parse(path)
        where = str(path)
        _check_keys(data, needed=_FILE_KEYS, allowed=_FILE_KEYS, where=where)
        self.document = _word(_string(data, "document", where), DOCUMENTS, "document", where)
        if path.stem != self.document.removesuffix(".md"):
            raise RegistryError(f"{path}: document {self.document} belongs in another file")
        tables = data["requirement"]
        if not isinstance(tables, list) or not tables:
            raise RegistryError(f"{path}: requirement is not an array of tables")
        self.rows: list[Requirement] = []
        for number, table in enumerate(tables, start=1):
            self.rows.append(self._row(table, number))
        self.pending = _strings(data, "pending", where)
        anchors = {row.anchor for row in self.rows}
        for anchor in self.pending:
            if anchor not in anchors:
                raise RegistryError(f"{path}: pending anchor {anchor!r}: no row has it")

    def _row(self, table: object, number: int) -> Requirement:
        where = f"{self.path}: requirement number {number}"
        if not isinstance(table, dict):
            raise RegistryError(f"{where}: is not a table")
        if "id" not in table:
            raise RegistryError(f"{where}: id is missing")
        identifier = _string(table, "id", where)
        where = f"{self.path}: requirement {identifier}"
        if _ID.fullmatch(identifier) is None:
            raise RegistryError(f"{where}: id is not lower-case words joined by '-' and '.'")
        _check_keys(table, needed=_NEEDED_KEYS, allowed=_KEYS, where=where)
        anchor = _string(table, "anchor", where)
        if _ANCHOR.fullmatch(anchor) is None:
            raise RegistryError(f"{where}: anchor {anchor!r} is not a heading's slug")
        row = Requirement(
            id=identifier,
            document=self.document,
            level=_word(_string(table, "level", where), LEVELS, "level", where),
            anchor=anchor,
            also=_strings(table, "also", where),
            paraphrase=_string(table, "paraphrase", where),
            binds=_word(_string(table, "binds", where), BINDS, "binds", where),
            since=_word(_string(table, "since", where), RELEASES, "since", where),
            until=_optional(table, "until", where),
            testable=_word(_string(table, "testable", where), TESTABLE, "testable", where),
            needs=_strings(table, "needs", where),
            method=_string(table, "method", where),
            note=_optional(table, "note", where),
            untested=_optional(table, "untested", where),
        )
        _check_places(row, where)
        _check_releases(row, where)
        _check_needs(row, where)
        _check_untested(row, where)
        return row


def _check_places(row: Requirement, where: str) -> None:
    for place in row.also:
        document, _, anchor = place.partition("#")
        if document not in DOCUMENTS or _ANCHOR.fullmatch(anchor) is None:
            raise RegistryError(f"{where}: also {place!r} is not of the form document.md#anchor")


def _check_releases(row: Requirement, where: str) -> None:
    if row.until is not None:
        _word(row.until, RELEASES, "until", where)
        if RELEASES.index(row.until) < RELEASES.index(row.since):
            raise RegistryError(f"{where}: until {row.until} is before since {row.since}")
        if row.until == SPEC_VERSION:
            raise RegistryError(f"{where}: until {row.until} is the newest release: leave it out")


def _check_needs(row: Requirement, where: str) -> None:
    for need in row.needs:
        if meaning_of_need(need) is None:
            raise RegistryError(
                f"{where}: unknown need {need!r}",
                hint=_suggestion(need, NEEDS) or f"known: {', '.join(NEEDS)}, ...",
            )


def _check_untested(row: Requirement, where: str) -> None:
    if row.testable == "no" and row.untested is None:
        raise RegistryError(f"{where}: untested is missing, though testable is 'no'")
    if row.untested is not None:
        match = _REASON.fullmatch(row.untested)
        if match is None:
            raise RegistryError(f"{where}: untested is not of the form 'word: sentence'")
        _word(match[1], tuple(REASONS), "untested", where)


def _parse(path: Path) -> dict[str, object]:
    """Read one TOML file; an error names the line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RegistryError(f"{path}:{line}: not utf-8: {error.reason}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # "(at line 3, column 7)", or "(at end of document)"
        match = re.search(r"at line (\d+)", str(error))
        where = match[1] if match else text.count("\n") + 1
        raise RegistryError(f"{path}:{where}: not valid toml: {error}") from error


def _check_keys(
    table: Mapping[str, object], *, needed: Sequence[str], allowed: Sequence[str], where: str
) -> None:
    for key in table:
        if key not in allowed:
            raise RegistryError(f"{where}: unknown key {key!r}", hint=f"keys: {', '.join(allowed)}")
    for key in needed:
        if key not in table:
            raise RegistryError(f"{where}: {key} is missing")


def _string(table: Mapping[str, object], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise RegistryError(f"{where}: {key} is not a string: {value!r}")
    if not value.strip():
        raise RegistryError(f"{where}: {key} is empty")
    return value


def _optional(table: Mapping[str, object], key: str, where: str) -> str | None:
    return _string(table, key, where) if key in table else None


def _strings(table: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RegistryError(f"{where}: {key} is not an array of strings: {value!r}")
    items: list[str] = value
    for item, times in Counter(items).items():
        if times > 1:
            raise RegistryError(f"{where}: {key} has {item!r} more than once")
    return tuple(items)


def _suggestion(word: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(close)}?" if close else None


def _word(value: str, words: tuple[_T, ...], key: str, where: str) -> _T:
    """Return the one of ``words`` that ``value`` is."""
    for word in words:
        if word == value:
            return word
    raise RegistryError(f"{where}: unknown {key} {value!r}", hint=f"known: {', '.join(words)}")
