"""config.md, "Platform-specific configuration"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.config import PROBE, dumps
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.harness import Harness


@requirement("config.platform.linux-may-be-set")
def test_the_linux_section_is_read(harness: Harness) -> None:
    config = harness.config()
    config["linux"]["maskedPaths"] = ["/proc/version"]
    config["process"]["args"] = [PROBE, "read", "/proc/version"]
    line = harness.lines(config)[0]
    assert not line["ok"] or line["content"] == ""


@requirement("config.platform.linux-may-be-set")
def test_the_reaction_to_a_config_without_a_linux_section_is_recorded(harness: Harness) -> None:
    # Without it all namespaces are the runtime's, that of the mounts too: the runtime gets one
    # to spend, in which what it mounts is gone with its command and the container.
    config = harness.config("exit", "0")
    del config["linux"]
    runtime = harness.runtime.called_through("/usr/bin/unshare", "--mount", "--propagation=slave")
    failed = harness.attempt(dumps(config), runtime=runtime).failed
    harness.note(f"a config without linux is {'refused' if failed else 'accepted'}")


@requirement("config.platform.vm-may-be-set")
def test_the_reaction_to_a_vm_section_is_recorded(harness: Harness) -> None:
    vm = {"kernel": {"path": "/nowhere/vmlinuz"}}
    failed = harness.attempt(harness.config("exit", "0") | {"vm": vm}).failed
    harness.note(f"a vm section is {'refused' if failed else 'ignored'}")


@requirement("config.platform.linux-may-be-set")
@pytest.mark.parametrize(
    ("platform", "section"),
    [
        ("freebsd", {}),
        ("solaris", {"milestone": "svc:/milestone/container:default"}),
        ("windows", {"layerFolders": ["C:\\Layers\\layer1"]}),
        ("zos", {}),
    ],
)
def test_the_reaction_to_a_section_for_another_platform_is_recorded(
    harness: Harness, platform: str, section: dict[str, object]
) -> None:
    failed = harness.attempt(harness.config("exit", "0") | {platform: section}).failed
    harness.note(f"a {platform} section is {'refused' if failed else 'ignored'}")
