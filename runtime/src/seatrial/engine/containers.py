"""The containers: all of them, how they are found, and what each is waiting for."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, NamedTuple

from seatrial.engine import names, records
from seatrial.engine.errors import BadRequest, NotFound

if TYPE_CHECKING:
    import socket

    from seatrial.engine.database import Database
    from seatrial.engine.records import Record
    from seatrial.engine.supervision import Link


class Client(NamedTuple):
    """A client's connection, and what it wants to see of a process."""

    connection: socket.socket
    wanted: tuple[str, ...]
    typed: bytes
    detach_keys: str

    def order(self) -> dict[str, object]:
        """Return what a supervisor is told of it."""
        return {
            "wanted": list(self.wanted),
            "typed": self.typed.hex(),
            "detach_keys": self.detach_keys,
        }


class Waiting:
    """Clients that are attached to a container which does not run yet."""

    def __init__(self) -> None:
        self._clients: list[Client] = []
        #: Only hang-ups: what is typed early, and its end, wait in the connection.
        self._hangups: select.epoll | None = None

    def add(self, client: Client) -> None:
        """Let a client wait; one that goes away is forgotten."""
        if self._hangups is None:
            self._hangups = select.epoll()
            asyncio.get_running_loop().add_reader(self._hangups.fileno(), self._hung_up)
        self._hangups.register(client.connection.fileno(), 0)
        self._clients.append(client)

    def take(self) -> list[Client]:
        """Return those that wait; they wait no longer."""
        clients, self._clients = self._clients, []
        if self._hangups is not None:
            asyncio.get_running_loop().remove_reader(self._hangups.fileno())
            self._hangups.close()
            self._hangups = None
        return clients

    def dismiss(self) -> None:
        """Send them all away."""
        for client in self.take():
            client.connection.close()

    def _hung_up(self) -> None:
        assert self._hangups is not None  # noqa: S101 - it is what called
        gone = {descriptor for descriptor, _ in self._hangups.poll(0)}
        for client in list(self._clients):
            if client.connection.fileno() in gone:
                self._hangups.unregister(client.connection.fileno())
                self._clients.remove(client)
                client.connection.close()


class Container:
    """A container while the daemon runs: its record, and who has to do with it now."""

    def __init__(self, record: Record) -> None:
        self.record = record
        #: Held by whoever changes its state.
        self.lock = asyncio.Lock()
        self.link: Link | None = None
        self.waiting = Waiting()
        self.restarting: asyncio.Task[None] | None = None
        #: How long the last restart was waited for.
        self.restart_delay_s = 0.0
        #: What runs its health checks.
        self.health: asyncio.Task[None] | None = None
        self.removing = False
        self._exits: set[asyncio.Future[int]] = set()
        self._removals: set[asyncio.Future[int]] = set()

    def next_exit(self) -> asyncio.Future[int]:
        """Return what will be the exit status of the run that is on, or comes next."""
        return self._future(self._exits)

    def removal(self) -> asyncio.Future[int]:
        """Return what will be the exit status once the container is removed."""
        return self._future(self._removals)

    def _future(self, among: set[asyncio.Future[int]]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        among.add(future)
        future.add_done_callback(among.discard)
        return future

    def tell_exit(self) -> None:
        """Tell those who wait for the end of the run."""
        self._tell(self._exits)

    def tell_removal(self) -> None:
        """Tell those who wait for the container to be no more."""
        self._tell(self._exits)
        self._tell(self._removals)

    def _tell(self, futures: set[asyncio.Future[int]]) -> None:
        for future in list(futures):
            if not future.done():
                future.set_result(self.record.state.exit_code)


class Containers:
    """All containers, by id; what is said of them is kept in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        found = [records.decode(each) for each in database.containers()]
        self._containers = {record.id: Container(record) for record in found}

    def all(self) -> list[Container]:
        """Return every container, the newest first."""
        return sorted(self._containers.values(), key=lambda each: each.record.created, reverse=True)

    def find(self, text: str) -> Container:
        """Return the container of a name, of an id, or of an id that begins so."""
        found = self._containers.get(text) or self.named(text.removeprefix("/"))
        if found is not None:
            return found
        if text:
            beginning = [each for key, each in self._containers.items() if key.startswith(text)]
            if len(beginning) > 1:
                raise BadRequest(f"Multiple IDs found with provided prefix: {text}")
            if beginning:
                return beginning[0]
        raise NotFound(f"No such container: {text}")

    def named(self, name: str) -> Container | None:
        """Return the container of a name, if there is one."""
        return next((each for each in self._containers.values() if each.record.name == name), None)

    def with_volume(self, name: str) -> list[str]:
        """Return the ids of the containers that have a volume."""
        return [
            each.record.id
            for each in self.all()
            if any(point.name == name for point in each.record.mounts)
        ]

    def new_name(self) -> str:
        """Return a name that no container has."""
        return names.new_name({each.record.name for each in self._containers.values()})

    def add(self, record: Record) -> Container:
        """Keep a new container."""
        container = self._containers[record.id] = Container(record)
        self.keep(record)
        return container

    def keep(self, record: Record) -> None:
        """Keep what was changed in a record."""
        self._database.keep_container(record.id, record.name, record.encode())

    def forget(self, record: Record) -> None:
        """Forget a container."""
        del self._containers[record.id]
        self._database.forget_container(record.id)
