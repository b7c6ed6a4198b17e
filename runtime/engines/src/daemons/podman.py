"""podman, without a daemon: conmon above each container calls the runtime."""

from __future__ import annotations

from daemons.engine import Engine


class Podman(Engine):
    """podman with its storage in the room."""

    def begin(self) -> None:
        """Make its configuration.

        It knows which runtimes write their log as JSON by their names, so ours is told.
        """
        self._configuration = self.room.folder / "containers.conf"
        name = self.runtime.rpartition("/")[2]
        self._configuration.write_text(
            f'[engine]\nruntime_supports_json = ["{name}"]\n'
            f'[engine.runtimes]\n{name} = ["{self.runtime}"]\n',
            "utf-8",
        )

    def command(self, verb: str, *words: str) -> list[str]:
        """Return its command line for a verb."""
        store = self.room.store
        return [
            *("env", f"CONTAINERS_CONF={self._configuration}", "podman"),
            *("--runtime", self.runtime, "--cgroup-manager=cgroupfs", "--events-backend=file"),
            *("--storage-driver=overlay", f"--root={store}/podman", f"--runroot={store}/run"),
            f"--tmpdir={store}/tmp",
            *(verb, *words),
        ]

    def options(self) -> list[str]:
        """Return what every new container is given.

        Limits of its own choice are above what a process without CAP_SYS_RESOURCE may set.
        """
        return [
            f"--cgroup-parent={self.cgroup}",
            "--ulimit=nofile=1024:4096",
            "--ulimit=nproc=4096:4096",
        ]
