"""One bundle: where it is and what its config says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf.orders import Orders

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.cgroups import OwnCgroups
    from seatrial.perf.configs import Config


@dataclass(frozen=True)
class Bundle:
    """One bundle: its folder, its config and the name of its cgroup below the run's own."""

    path: Path
    config: Config
    cgroups: OwnCgroups
    cgroup: str

    def orders(self) -> Orders:
        """Return the floor's orders for it."""
        return Orders(self.config, self.path, self.cgroups, self.cgroup)

    def freshen(self, word: str) -> None:
        """Write the config anew with a word that nothing looks at, so that its bytes are new."""
        config = self.config | {"annotations": {"io.seatrial.perf": word}}
        (self.path / "config.json").write_text(json.dumps(config, indent=1))
