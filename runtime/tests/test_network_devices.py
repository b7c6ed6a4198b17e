"""A network device that moves, and comes back as it was when create fails; all in a netns."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).parent / "seatrial-oci")
HOST = (
    "ip link add sea0 type veth peer name sea1; ip link set sea0 up;"
    "ip addr add 192.0.2.7/24 dev sea0;"
    "ip addr add 192.0.2.8/24 valid_lft 5000 preferred_lft 4000 dev sea0;"
    "ip -6 addr add 2001:db8::7/64 nodad valid_lft 7000 preferred_lft 6000 dev sea0;"
    "ip -6 addr add fe80::7/64 nodad dev sea0;"
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle of which the create fails, after its device has moved."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip to make a device with")
    (tmp_path / "rootfs").mkdir()
    nowhere = {"destination": "/x", "source": "/nonexistent", "options": ["bind"]}
    config = {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/none"]},
        "mounts": [nowhere],
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "network"}],
            "netDevices": {"sea0": {"name": "inner0"}},
            "cgroupsPath": "/seatrial-gaps/net",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_device_comes_back_with_its_addresses_and_their_lifetimes(bundle: Path) -> None:
    create = f"{COMMAND} --root {bundle}/state create --bundle {bundle} net"
    script = f"{HOST} ip addr show sea0; echo ==; {create}; echo ==; ip addr show sea0"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    assert "config.json#/mounts/0" in done.stderr
    before, _, after = done.stdout.split("==\n")
    assert {"192.0.2.7", "192.0.2.8", "2001:db8::7", "fe80::7"} <= addresses(before).keys()
    assert addresses(after).keys() == addresses(before).keys()
    for address, left in addresses(before).items():
        assert 0 <= left - addresses(after)[address] <= 60


def addresses(shown: str) -> dict[str, int]:
    """Return the seconds for which each address is valid; -1 is for ever."""
    found = re.findall(r"inet6? ([^/]+)/.*\n +valid_lft (\w+?)(?:sec)? ", shown)
    return {address: -1 if left == "forever" else int(left) for address, left in found}
