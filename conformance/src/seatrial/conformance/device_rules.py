"""What a list of allowed devices means: two models of it, to judge where both say the same.

The spec has the entries applied in their order, and refers to the kernel for what that is.  Version
1 keeps a default and exceptions from it, of which an entry removes only those with its own type
and numbers; runtimes on version 2 ask which entry is the last that fits.  Mostly it is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: In a rule: every number.
ANY = None


@dataclass(frozen=True)
class Access:
    """An access to one device: ``r``, ``w`` or ``m``, or several at once; type ``c`` or ``b``."""

    type: str
    major: int
    minor: int
    letters: str


@dataclass(frozen=True)
class Rule:
    """One entry of the list; type ``a`` is for every device and every access."""

    allow: bool
    type: str = "a"
    major: int | None = ANY
    minor: int | None = ANY
    access: str = "rwm"

    def entry(self) -> dict[str, Any]:
        """Return it as ``linux.resources.devices`` has it, without what is everything."""
        members = {
            "type": None if self.type == "a" else self.type,
            "major": self.major,
            "minor": self.minor,
        }
        given = {name: value for name, value in members.items() if value is not None}
        return {"allow": self.allow, **given, "access": self.access}

    def names(self, access: Access) -> bool:
        """Whether it is about this device."""
        return (
            self.type in {"a", access.type}
            and self.major in {ANY, access.major}
            and self.minor in {ANY, access.minor}
        )

    def fits(self, access: Access, *, whole: bool = True) -> bool:
        """Whether it is about this access: all of it, or else any part."""
        about = (letter in self.access or self.type == "a" for letter in access.letters)
        return self.names(access) and (all(about) if whole else any(about))


def last_fitting(rules: Sequence[Rule], access: Access) -> bool:
    """Whether for each part of an access the last rule that fits allows it."""
    parts = [replace(access, letters=letter) for letter in access.letters]
    return all(
        next((rule.allow for rule in reversed(rules) if rule.fits(part)), False) for part in parts
    )


def by_exceptions(rules: Iterable[Rule], access: Access) -> bool:
    """Whether a cgroup of version 1 allows an access (devices.allow and devices.deny)."""
    default = False
    exceptions: dict[tuple[str, int | None, int | None], set[str]] = {}
    for rule in rules:
        key = (rule.type, rule.major, rule.minor)
        if rule.type == "a":
            default, exceptions = rule.allow, {}
        elif rule.allow != default:
            exceptions.setdefault(key, set()).update(rule.access)
        elif key in exceptions:
            exceptions[key].difference_update(rule.access)
    # An exception that allows has to allow the whole, one that denies denies by any part.
    excepted = any(
        Rule(not default, *key, "".join(letters)).fits(access, whole=not default)
        for key, letters in exceptions.items()
    )
    return default != excepted


def agreed(rules: Sequence[Rule], accesses: Iterable[Access]) -> dict[Access, bool]:
    """Return those accesses on which both models agree, and what they say."""
    verdicts = {each: last_fitting(rules, each) for each in accesses}
    return {each: said for each, said in verdicts.items() if by_exceptions(rules, each) == said}


def plain(rules: Sequence[Rule], accesses: Sequence[Access]) -> bool:
    """Whether both models agree on all accesses, after each of the rules."""
    steps = (rules[:number] for number in range(1, len(rules) + 1))
    return all(len(agreed(step, accesses)) == len(accesses) for step in steps)
