"""The engine: what it has, put together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seatrial.engine import capabilities, cgroups, names
from seatrial.engine.blobs import Blobs
from seatrial.engine.containers import Containers
from seatrial.engine.database import Database
from seatrial.engine.errors import BadRequest
from seatrial.engine.events import Events
from seatrial.engine.images import Images
from seatrial.engine.layers import Layers
from seatrial.engine.network.networking import Networking
from seatrial.engine.runtimes import Runtime
from seatrial.engine.supervision import Nursery
from seatrial.engine.tasks import Tasks
from seatrial.engine.volumes import Volumes

if TYPE_CHECKING:
    from seatrial.engine.execution import Exec
    from seatrial.engine.records import Record
    from seatrial.engine.settings import Settings


class Engine:
    """Images, volumes, containers, and what is needed to run them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        os.makedirs(settings.root, mode=0o700, exist_ok=True)
        os.chmod(settings.root, 0o700)
        os.makedirs(settings.exec_root, mode=0o700, exist_ok=True)
        for name in ("containers", "tmp"):
            os.makedirs(f"{settings.root}/{name}", mode=0o700, exist_ok=True)
        self.database = Database(f"{settings.root}/engine.db")
        self.id = self.database.fact("id", names.new_id())
        self.events = Events()
        layers = Layers(f"{settings.root}/layers")
        self.images = Images(self.database, Blobs(f"{settings.root}/image"), layers, self.events)
        self.volumes = Volumes(f"{settings.root}/volumes", self.database, self.events)
        self.containers = Containers(self.database)
        self.networking = Networking(
            self.database,
            self.containers,
            self.events,
            self.folder,
            engine_id=self.id,
            bridge=settings.bridge,
        )
        self.execs: dict[str, Exec] = {}
        self.nursery = Nursery()
        self.tasks = Tasks()
        self.host_capabilities = capabilities.of_host()
        self.v2 = cgroups.is_v2()
        self._runtimes = {
            name: Runtime(name, command, f"{settings.exec_root}/runtime-{name}")
            for name, command in settings.runtimes.items()
        }

    def runtime(self, record: Record) -> Runtime:
        """Return the runtime that a container is made with."""
        return self.runtime_named(record.host.runtime or self.settings.default_runtime)

    def runtime_named(self, name: str) -> Runtime:
        """Return the runtime of a name."""
        if name not in self._runtimes:
            raise BadRequest(f"unknown or invalid runtime name: {name}")
        return self._runtimes[name]

    @property
    def runtimes(self) -> dict[str, Runtime]:
        """Every runtime, by its name."""
        return self._runtimes

    def cgroup(self, record: Record) -> str:
        """Return a container's cgroup, from the root of each hierarchy."""
        parent = record.host.cgroup_parent or self.settings.cgroup_parent
        return f"/{parent.strip('/')}/{record.id}"

    def folder(self, record: Record) -> str:
        """Return a container's folder."""
        return self.settings.folder(record.id)

    def log_path(self, record: Record) -> str:
        """Return a container's log, if it keeps one."""
        kept = record.host.log_config.type == "json-file"
        return f"{self.folder(record)}/{record.id}-json.log" if kept else ""

    def tell(self, record: Record, action: str, **more: str) -> None:
        """Tell of something that happened to a container."""
        attributes = {**(record.config.labels or {}), "image": record.image, "name": record.name}
        self.events.tell("container", action, record.id, {**attributes, **more})

    def layers_in_use(self) -> set[str]:
        """Return the layers that containers are made of, whatever becomes of their images."""
        return {each for container in self.containers.all() for each in container.record.layers}

    def close(self) -> None:
        """Let everything go; containers go on."""
        for container in self.containers.all():
            container.waiting.dismiss()
            if container.link is not None:
                container.link.close()
        self.networking.close()
        self.nursery.close()
        self.database.close()
