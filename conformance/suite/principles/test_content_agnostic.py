"""principles.md, "Content-agnostic"."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from seatrial.conformance.marks import requirement
from seatrial.conformance.strategies.process import file_names

if TYPE_CHECKING:
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report

#: Content that somebody might find a meaning in.
_CONTENT = {
    "etc/passwd": b"root:x:7:7:no such root:/nowhere:/no/such/shell\n",
    "etc/group": b"root:x:7:\n",
    "etc/hostname": b"of-the-image\n",
    "etc/os-release": b"ID=none\n",
    "etc/ld.so.preload": b"/no/such/library\n",
    "etc/mtab": b"nothing\n",
    "bin/sh": b"#!/no/such/shell\n",
    "sbin/init": b"not a program",
    ".dockerenv": b"",
    "manifest.json": b"{}",
    "probe.sig": b"\0\1\2",
}
_MEMBERS = (
    *("argv", "cwd", "exe", "hostname", "domainname", "uid", "gid", "groups", "umask"),
    *("capabilities", "rlimits", "no_new_privileges", "oom_score_adj", "signals"),
)


def _essence(report: Report) -> dict[str, object]:
    """Return what the config asks for, and with it what content could spoil."""
    essence = {key: report[key] for key in _MEMBERS}
    return essence | {"mounts": [mount.target for mount in report.mounts]}


@requirement("principles.content.same-effect")
def test_every_operation_works_on_one_static_program_and_nothing_else(harness: Harness) -> None:
    config = harness.config("pause")
    with harness.bundle(config) as bundle:
        for entry in bundle.rootfs.iterdir():
            if entry.is_dir():
                entry.rmdir()
        assert os.listdir(bundle.rootfs) == ["probe"]
        with harness.container(config, bundle=bundle) as container:
            _live(container)


def _live(container: Container) -> None:
    assert container.create().ok
    assert container.state()["status"] == "created"
    assert container.start().ok
    container.read_line()
    assert container.state()["status"] == "running"
    assert container.kill("KILL").ok
    container.wait()
    assert container.state()["status"] == "stopped"
    assert container.delete().ok


@requirement("principles.content.same-effect")
@given(
    known=st.sets(st.sampled_from(sorted(_CONTENT))),
    others=st.dictionaries(file_names(), st.binary(max_size=64), max_size=4),
)
def test_the_content_of_the_root_filesystem_changes_nothing(
    harness: Harness, known: set[str], others: dict[str, bytes]
) -> None:
    config = harness.config()
    config["process"]["env"] = ["HOME=/"]
    expected = _essence(harness.run(config))
    with harness.bundle(config) as bundle:
        for name, content in {**others, **{name: _CONTENT[name] for name in known}}.items():
            file = bundle.rootfs / name
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
        assert _essence(harness.run(config, bundle=bundle)) == expected
