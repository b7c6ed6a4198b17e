"""What is remembered of a container."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct, field

from seatrial.engine.clock import NEVER
from seatrial.engine.network.endpoints import Endpoint, Published  # noqa: TC001 - msgspec reads them
from seatrial.engine.payloads import Config, HostConfig  # noqa: TC001 - the same


class MountPoint(Struct, rename="pascal", omit_defaults=True):
    """A bind mount or a volume of a container, as inspect tells it."""

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = field(name="RW", default=True)
    propagation: str = ""
    #: For ourselves: what the interface does not tell.
    copy_up: bool = field(name="copy_up", default=False)
    options: list[str] = field(name="options", default_factory=list)


class HealthResult(Struct, rename="pascal"):
    """One run of a health check."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(Struct, rename="pascal"):
    """What the health checks say."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthResult] = field(default_factory=list)


class State(Struct):
    """Where a container is in its life."""

    status: Literal["created", "running", "paused", "restarting", "exited", "dead", "removing"] = (
        "created"
    )
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: str = NEVER
    finished_at: str = NEVER
    health: Health | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process, paused or not."""
        return self.status in {"running", "paused"}


class Record(Struct):
    """A container, with all that has to outlive the daemon."""

    id: str
    name: str
    created: str
    image: str
    image_id: str
    #: The layers that its root filesystem is made of, by digest, the lowest first.
    layers: list[str]
    path: str
    args: list[str]
    config: Config
    host: HostConfig
    mounts: list[MountPoint]
    state: State = field(default_factory=State)
    restart_count: int = 0
    #: Its creation or its removal is under way: a daemon that finds it so after a crash removes it.
    unfinished: Literal["", "alone", "with volumes"] = ""
    #: By the network's name.
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    #: The host's ports that it has while it runs.
    published: list[Published] = field(default_factory=list)
    #: Somebody has stopped it: restart policies leave it alone.
    stopped_by_hand: bool = False

    def encode(self) -> bytes:
        """Return the record as the database keeps it."""
        return msgspec.json.encode(self)


def decode(data: bytes) -> Record:
    """Read a record as the database keeps it."""
    return msgspec.json.decode(data, type=Record)
