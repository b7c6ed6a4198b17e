"""What one pytest run is to judge, and what it has seen so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import adapters, expectations, profiles
from seatrial.conformance.errors import SeatrialError, UsageError
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.session import Session

if TYPE_CHECKING:
    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View
    from seatrial.conformance.expectations import Expectation
    from seatrial.conformance.profiles import Profile


@dataclass
class Plan:
    """The options of a run, looked at once, and what became of it.

    ``guest`` is what reports call this machine, if it was given a name.
    ``runtimes`` is what a results header says about each, known after the smoke tests.
    ``refusal`` is why nothing, or nothing more, is judged.
    """

    registry: Registry
    adapters: list[Adapter]
    spec: str
    view: View | None
    timeout_s: float
    strict: bool
    selected: frozenset[str]
    results: Path | None
    profile: Profile
    guest: str | None
    asked: bool
    runtimes: list[dict[str, Any]] = field(default_factory=list)
    refusal: SeatrialError | None = None
    judging: bool = False
    _expectations: dict[str, list[Expectation]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: pytest.Config) -> Plan:
        """Look at the options of a run; raises ``SeatrialError`` where one names nothing."""
        option = config.option
        registry = Registry.load(requirements_directory())
        selected = registry.select(*option.requirement)
        if not (0 < option.runtime_timeout < math.inf):
            raise UsageError("--runtime-timeout has to be a number of seconds above 0")
        named = [adapters.find(name) for name in dict.fromkeys(option.runtime)]
        profile = profiles.of(option.profile, option.hypothesis_seed)
        if profile.seed is not None:
            # Hypothesis's own plugin reads it from there, in the workers of pytest-xdist as well.
            option.hypothesis_seed = str(profile.seed)
        return cls(
            registry=registry,
            adapters=adapters.distinct(named or adapters.installed()),
            spec=option.spec,
            view=None if option.view == "auto" else option.view,
            timeout_s=option.runtime_timeout,
            strict=_is_strict(config),
            selected=frozenset(row.id for row in selected if row.in_force(option.spec)),
            results=Path(option.results) if option.results else None,
            profile=profile,
            guest=option.guest,
            asked=bool(option.runtime or option.results or option.requirement),
        )

    def expectations(self, name: str) -> list[Expectation]:
        """Return the known failures of a runtime; raises ``UsageError`` for a wrong file."""
        if name not in self._expectations:
            self._expectations[name] = expectations.for_runtime(name, self.registry)
        return self._expectations[name]

    def session(self, adapter: Adapter) -> Session:
        """Return a session for one runtime, not entered yet."""
        return Session(adapter, spec=self.spec, view=self.view, timeout_s=self.timeout_s)


KEY = pytest.StashKey[Plan]()


def _is_strict(config: pytest.Config) -> bool:
    """Whether --strict was given: pytest's own option, which counts for the verdicts as well.

    Failures of SHOULD, SHOULD-NOT and MAY rows then decide the exit status like the others.
    """
    return "strict=true" in (config.option.override_ini or ())
