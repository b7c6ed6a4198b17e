"""Cases: what is timed, as suite, name, kind of sample and config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from seatrial.perf.configs import Config

#: How one sample is taken: ``steps`` is create, start and delete; ``run`` is that one command.
Kind = Literal["steps", "run", "exec", "version", "micro", "burst", "density", "engine"]


@dataclass(frozen=True)
class Case:
    """One thing to time.

    ``floor``, ``runtimes`` and ``engines`` are who takes part; ``again`` whether the A/A pair
    does, ``modes`` whether the reference runtime does in its other modes.  ``orders`` names the
    rung of the floor's ladder or the micro variant that the case is.
    """

    suite: str
    name: str
    kind: Kind
    config: Config = field(default_factory=dict, compare=False, hash=False, repr=False)
    filtered: tuple[str, ...] = ()
    floor: bool = False
    runtimes: bool = True
    engines: bool = False
    again: bool = False
    modes: bool = False
    orders: str = ""
    #: Mounts that the surroundings have more than they had.
    table: int = 0
    #: Layers of the overlay that is the root filesystem; 0: it is a plain folder.
    layers: int = 0
    #: Whether the runtime is started by a user without privileges.
    rootless: bool = False
    #: How many at once (burst), or how many stay (density).
    number: int = 1

    @property
    def key(self) -> str:
        """What tells it from every other case of a run."""
        return f"{self.suite}/{self.name}/{self.kind}"
