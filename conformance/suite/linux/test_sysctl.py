"""config-linux.md, "Sysctl"."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.conformance.config import with_namespaces
from seatrial.conformance.errors import Ignored
from seatrial.conformance.marks import requirement

if TYPE_CHECKING:
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness

_OWN = ["pid", "mount", "ipc", "uts", "network"]
#: Parameters that each namespace has for itself, with values that the kernel takes as they are.
_PARAMETERS = {
    "net.core.somaxconn": st.integers(1, 65535),
    "net.ipv4.ip_forward": st.integers(0, 1),
    "net.ipv4.conf.all.rp_filter": st.integers(0, 2),
    "net.ipv4.ip_unprivileged_port_start": st.integers(0, 1024),
    "net.ipv6.conf.default.hop_limit": st.integers(1, 255),
    "kernel.msgmax": st.integers(1, 1 << 20),
    "kernel.shmmni": st.integers(1, 32768),
    "kernel.shm_rmid_forced": st.integers(0, 1),
    "fs.mqueue.queues_max": st.integers(0, 1024),
}


def path_of(key: str) -> str:
    """Return the file of a parameter (sysctl(8))."""
    return "/proc/sys/" + key.replace(".", "/")


def there() -> list[str]:
    """Return those of the parameters that this kernel has."""
    return [key for key in _PARAMETERS if Path(path_of(key)).exists()]


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, str]:
    """Some of the parameters that this kernel has, and their values."""
    keys = draw(st.lists(st.sampled_from(there()), min_size=1, max_size=4, unique=True))
    return {key: str(draw(_PARAMETERS[key])) for key in keys}


def with_parameters(harness: Harness, sysctl: dict[str, str], *kinds: str) -> Config:
    """Return a config with ``sysctl``, whose program reads each of them."""
    acts = [word for key in sysctl for word in ("read", path_of(key), "+")]
    config = with_namespaces(harness.config(*acts, "say", "end"), kinds)
    config["linux"]["sysctl"] = sysctl
    return config


@requirement("linux.sysctl.applied")
@given(sysctl=parameters())
def test_parameters_have_their_values_in_the_container(
    harness: Harness, sysctl: dict[str, str]
) -> None:
    before = {key: Path(path_of(key)).read_text() for key in there()}
    with harness.created(with_parameters(harness, sysctl, *_OWN)) as container:
        assert container.start().ok
        seen = {key: container.read_line()["content"].strip() for key in sysctl}
        assert seen == sysctl
    assert {key: Path(path_of(key)).read_text() for key in there()} == before


@requirement("linux.sysctl.unknown-errors")
@given(
    key=st.sampled_from(
        ["net.banana", "net.ipv4.banana", "net.ipv4.conf.none0.forwarding", "kernel.shm_banana"]
    )
)
@settings(max_examples=4)
def test_a_parameter_that_the_kernel_does_not_have_generates_an_error(
    harness: Harness, key: str
) -> None:
    if harness.attempt(with_parameters(harness, {key: "1"}, *_OWN)).ok:
        raise Ignored(f"{key} is accepted, and there is no such parameter")


@requirement("linux.sysctl.unknown-errors")
@pytest.mark.parametrize("key", ["kernel.msgmax", "net.core.somaxconn"])
def test_a_value_that_the_kernel_refuses_generates_an_error(harness: Harness, key: str) -> None:
    assert harness.attempt(with_parameters(harness, {key: "banana"}, *_OWN)).failed


@requirement("linux.sysctl.not-namespaced")
def test_a_parameter_of_the_runtimes_network_namespace_is_recorded(harness: Harness) -> None:
    key = "net.core.somaxconn"
    file = Path(path_of(key))
    before = file.read_text()
    config = with_parameters(harness, {key: "77"}, "pid", "mount")
    try:
        with harness.container(config) as container:
            result = container.create()
            result = container.start() if result.ok else result
            if result.failed:
                assert file.read_text() == before
                harness.note("a parameter of a network namespace that is shared is refused")
            elif container.read_line()["content"].strip() != "77":
                raise Ignored("the parameter is accepted, and its value is not set")
            else:
                harness.note("a parameter of a network namespace that is shared is set")
    finally:
        file.write_text(before)


@requirement("linux.sysctl.not-namespaced")
def test_a_parameter_of_the_whole_host_is_recorded(harness: Harness) -> None:
    key = "vm.swappiness"
    # The value that it has: nothing of the host is touched.
    value = Path(path_of(key)).read_text().strip()
    result = harness.attempt(with_parameters(harness, {key: value}, *_OWN))
    harness.note(f"a parameter of the host is {'refused' if result.failed else 'accepted'}")
