"""What the runtime knows, as a features document (features.md, features-linux.md).

Made of the tables that the compiler works by, so that it cannot say otherwise than is done.
"""

from __future__ import annotations

from typing import Any

from seatrial.oci import capabilities, hooks, libseccomp, memory_policy, mount_options, namespaces
from seatrial.oci import seccomp as filters
from seatrial.oci.store import OCI_VERSION

OLDEST = "1.0.0"


def document() -> dict[str, Any]:
    """Return the features document."""
    return {
        "ociVersionMin": OLDEST,
        "ociVersionMax": OCI_VERSION,
        "hooks": list(dict.fromkeys(place[0] for place in hooks.PLACES)),
        "mountOptions": sorted(mount_options.names()),
        "linux": {
            "namespaces": sorted(namespaces.FLAGS),
            "capabilities": list(capabilities.NUMBERS),
            "cgroup": {
                "v1": True,
                "v2": True,
                "systemd": True,
                "systemdUser": False,
                "rdma": True,
            },
            "seccomp": {
                "enabled": True,
                "actions": sorted(libseccomp.ACTIONS),
                "operators": sorted(libseccomp.OPERATORS),
                "archs": sorted(libseccomp.ARCHITECTURES),
                "knownFlags": sorted(filters.FLAGS),
                "supportedFlags": sorted(filters.supported_flags()),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "memoryPolicy": {
                "modes": sorted(memory_policy.MODES),
                "flags": sorted(memory_policy.FLAGS),
            },
            "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
    }
