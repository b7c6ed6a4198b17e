"""What the daemon remembers: one SQLite file in WAL mode.

A change is one transaction. After a kill of the daemon the file says what was said last; after a
loss of power the last moments may be missing, and never a half of one (synchronous=NORMAL).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS container (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS image (id TEXT PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS name (
    reference TEXT PRIMARY KEY,
    image TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS volume (name TEXT PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS network (id TEXT PRIMARY KEY, document BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_VERSION = 1


class Database:
    """The tables; each method is one transaction."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA user_version={_VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def fact(self, name: str, otherwise: str) -> str:
        """Return what is known by a name; keep ``otherwise`` if nothing is."""
        self._connection.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (name, otherwise))
        found = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,))
        return str(found.fetchone()[0])

    def defects(self) -> list[str]:
        """Return what SQLite finds wrong with the file."""
        found = [str(row[0]) for row in self._connection.execute("PRAGMA integrity_check")]
        broken = self._connection.execute("PRAGMA foreign_key_check").fetchall()
        return [*(each for each in found if each != "ok"), *map(str, broken)]

    # --- containers -----------------------------------------------------------------------------

    def containers(self) -> list[bytes]:
        """Return all containers' documents."""
        return [row[0] for row in self._connection.execute("SELECT document FROM container")]

    def keep_container(self, identifier: str, name: str, document: bytes) -> None:
        """Keep a container, new or changed."""
        self._connection.execute(
            "INSERT INTO container VALUES (?, ?, ?) ON CONFLICT (id) "
            "DO UPDATE SET name = excluded.name, document = excluded.document",
            (identifier, name, document),
        )

    def forget_container(self, identifier: str) -> None:
        """Forget a container."""
        self._connection.execute("DELETE FROM container WHERE id = ?", (identifier,))

    # --- images ---------------------------------------------------------------------------------

    def images(self) -> list[bytes]:
        """Return all images' documents."""
        return [row[0] for row in self._connection.execute("SELECT document FROM image")]

    def names(self) -> list[tuple[str, str]]:
        """Return all references with the image that each means."""
        return list(self._connection.execute("SELECT reference, image FROM name ORDER BY rowid"))

    def keep_image(self, identifier: str, document: bytes) -> None:
        """Keep an image, new or changed."""
        self._connection.execute(
            "INSERT INTO image VALUES (?, ?) ON CONFLICT (id) "
            "DO UPDATE SET document = excluded.document",
            (identifier, document),
        )

    def forget_image(self, identifier: str) -> None:
        """Forget an image and its names."""
        self._connection.execute("DELETE FROM image WHERE id = ?", (identifier,))

    def keep_name(self, reference: str, image: str) -> None:
        """Let a reference mean an image."""
        self._connection.execute(
            "INSERT INTO name VALUES (?, ?) ON CONFLICT (reference) "
            "DO UPDATE SET image = excluded.image",
            (reference, image),
        )

    def forget_names(self, references: Iterable[str]) -> None:
        """Let references mean nothing."""
        self._connection.executemany(
            "DELETE FROM name WHERE reference = ?", [(each,) for each in references]
        )

    # --- volumes --------------------------------------------------------------------------------

    def volumes(self) -> list[bytes]:
        """Return all volumes' documents."""
        return [row[0] for row in self._connection.execute("SELECT document FROM volume")]

    def keep_volume(self, name: str, document: bytes) -> None:
        """Keep a volume."""
        self._connection.execute("INSERT OR REPLACE INTO volume VALUES (?, ?)", (name, document))

    def forget_volume(self, name: str) -> None:
        """Forget a volume."""
        self._connection.execute("DELETE FROM volume WHERE name = ?", (name,))

    # --- networks -------------------------------------------------------------------------------

    def networks(self) -> list[bytes]:
        """Return all networks' documents."""
        return [row[0] for row in self._connection.execute("SELECT document FROM network")]

    def keep_network(self, identifier: str, document: bytes) -> None:
        """Keep a network."""
        self._connection.execute(
            "INSERT OR REPLACE INTO network VALUES (?, ?)", (identifier, document)
        )

    def forget_network(self, identifier: str) -> None:
        """Forget a network."""
        self._connection.execute("DELETE FROM network WHERE id = ?", (identifier,))
