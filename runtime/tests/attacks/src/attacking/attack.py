"""What an attack is, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from attacking.ground import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attacking.ground import Ground

#: From the best to the worst.  ``refused``: the runtime makes no such container.  ``contained``: it
#: does, and the attack comes to nothing.  ``untried``: this host lacks what it takes.  ``open``: it
#: comes to something.
REFUSED, CONTAINED, UNTRIED, OPEN = "refused", "contained", "untried", "open"
OUTCOMES = (REFUSED, CONTAINED, UNTRIED, OPEN)


class Finding(NamedTuple):
    """What one try of an attack came to, and how that was seen."""

    outcome: str
    seen: str


@dataclass(frozen=True)
class Attack:
    """An attack by its number in the list, with the CVEs that it is known by."""

    number: str
    cves: tuple[str, ...]
    says: str
    act: Callable[[Ground], Iterator[Finding]]

    def on(self, ground: Ground) -> list[Finding]:
        """Try it, up to the first try that succeeds; a bundle that is refused is a finding too."""
        found = []
        try:
            for outcome, seen in self.act(ground):
                # Scratch folders say nothing, and are called otherwise the next time.
                found.append(Finding(outcome, _plain(seen, ground)))
                if outcome == OPEN:
                    break
        except Refused as refused:
            found.append(Finding(REFUSED, _plain(str(refused), ground)))
        finally:
            ground.heal()
        return found


def _plain(seen: str, ground: Ground) -> str:
    folder = str(ground.folder)
    return " ".join(seen.replace(f"{folder}/", "").replace(folder, "/").split())


ATTACKS: dict[str, Attack] = {}


def attack(
    number: str, says: str, *cves: str
) -> Callable[[Callable[[Ground], Iterator[Finding]]], Callable[[Ground], Iterator[Finding]]]:
    """Put a function into the catalogue: it yields what each of its tries came to."""

    def decorate(
        act: Callable[[Ground], Iterator[Finding]],
    ) -> Callable[[Ground], Iterator[Finding]]:
        assert number not in ATTACKS, number
        ATTACKS[number] = Attack(number, cves, says, act)
        return act

    return decorate


def worst(found: list[Finding]) -> str:
    """Return the outcome of an attack by its findings."""
    outcomes = {each.outcome for each in found}
    if outcomes <= {UNTRIED}:
        return UNTRIED
    # What could not be tried does not make worse what was.
    return max(outcomes - {UNTRIED}, key=OUTCOMES.index)


def judged(*, harmed: bool | str, seen: str) -> Finding:
    """Return open or contained."""
    return Finding(OPEN if harmed else CONTAINED, seen)


def rounds(ground: Ground, least: int = 3) -> Iterator[int]:
    """Yield numbers as long as a race is to go on, ``least`` of them in any case."""
    until = time.monotonic() + ground.seconds
    number = 0
    while number < least or time.monotonic() < until:
        yield number
        number += 1
