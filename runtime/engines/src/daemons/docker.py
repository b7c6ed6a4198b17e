"""docker: dockerd starts containerd, that a shim for each container, which calls the runtime."""

from __future__ import annotations

import json

from daemons.engine import Engine
from daemons.room import Daemon


class Docker(Engine):
    """dockerd with its state in the room, and its client."""

    def begin(self) -> None:
        """Start the daemon, with a bridge if the kernel lets it have one."""
        self._socket = f"unix://{self.room.folder}/docker.sock"
        self.no_bridge = self._why_no_bridge()
        bridge = {"bip": "172.31.255.1/24"}
        configuration = self.room.folder / "daemon.json"
        configuration.write_text(
            json.dumps(
                {
                    "runtimes": {"under-test": {"path": self.runtime}},
                    "cgroup-parent": self.cgroup,
                    "exec-opts": ["native.cgroupdriver=cgroupfs"],
                    "storage-driver": "overlay2",
                    "data-root": f"{self.room.store}/docker",
                    "exec-root": "/run/docker",
                    "pidfile": f"{self.room.folder}/docker.pid",
                    "hosts": [self._socket],
                    "userland-proxy": False,
                    **({"bridge": "none", "iptables": False} if self.no_bridge else bridge),
                }
            ),
            "utf-8",
        )
        self.daemon = Daemon(
            self.room, "dockerd", f"--config-file={configuration}", ready="API listen on"
        )

    def command(self, verb: str, *words: str) -> list[str]:
        """Return its command line for a verb."""
        return ["docker", f"--host={self._socket}", verb, *words]

    def options(self) -> list[str]:
        """Return what every new container is given."""
        return ["--runtime=under-test"]

    def _why_no_bridge(self) -> str:
        for attempt in (
            ("iptables", "--table=nat", "--list", "--numeric"),
            ("/bin/busybox", "ip", "link", "add", "try0", "type", "bridge"),
            ("/bin/busybox", "ip", "link", "del", "try0"),
        ):
            done = self.room.run(*attempt)
            if done.status:
                return f"{' '.join(attempt)}: {done.stderr.strip()}"
        return ""
