"""No plan that is out of date is ever executed: whatever it was made of is looked at again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from changing import (
    another_build,
    another_state_root,
    changed,
    file_as_root,
    longer,
    moved,
    same_size,
    used_cgroup,
    without_config,
    without_root,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeping import Bundle, Fact, as_facts, facts_of, new_id, put_together, taken_apart

from seatrial.oci import compiler, host, kept, runtime, sources
from seatrial.oci.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make these containers")
pytestmark = needs_root


def test_a_kept_plan_is_executed_without_python(bundle: Bundle) -> None:
    assert not bundle.is_warm()
    bundle.keep()
    assert bundle.is_warm()
    assert bundle.is_warm()


def test_cold_keeps_and_warm_uses(bundle: Bundle) -> None:
    assert bundle.python("run", new_id()).returncode == 0
    assert bundle.is_warm()
    # Another container of the bundle is made by the same plan, with its own id in it.
    identifier = new_id()
    source = sources.prepare(identifier, bundle=str(bundle.folder), root=str(bundle.root))
    assert bundle.launch("create", identifier).returncode == 0
    folder = bundle.root / identifier
    assert (folder / "config.json").read_bytes() == source.content
    assert (folder / "plan").read_bytes() == source.compiled.bound(identifier)
    runtime.delete(identifier, root=str(bundle.root), force=True)


def test_where_it_is_switched_off_nothing_is_kept_or_used(bundle: Bundle) -> None:
    off = {kept.SWITCH: "off"}
    assert bundle.python("run", new_id(), **off).returncode == 0
    assert not bundle.plans.exists()
    bundle.keep()
    assert not bundle.is_warm(**off)


@pytest.mark.parametrize(
    "change",
    [same_size, longer, without_config, moved, without_root, file_as_root, used_cgroup,
     another_state_root, another_build],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_a_change_of_what_it_was_made_of_makes_it_useless(
    bundle: Bundle, change: Callable[[Bundle], None]
) -> None:
    bundle.keep()
    change(bundle)
    assert not bundle.is_warm()


def test_a_link_in_the_place_of_the_bundle_leads_to_its_plan(bundle: Bundle) -> None:
    bundle.keep()
    link = bundle.folder.with_name("link")
    link.symlink_to(bundle.folder)
    assert bundle.launch("run", "--bundle", str(link), new_id()).returncode == 0
    # It leads elsewhere now.
    other = bundle.folder.with_name("other")
    (other / "rootfs").mkdir(parents=True)
    for name in ("config.json", "rootfs/program"):
        shutil.copy(bundle.folder / name, other / name)
    link.unlink()
    link.symlink_to(other)
    assert bundle.launch("run", "--bundle", str(link), new_id()).returncode != 0


def test_other_privileges_make_it_useless(bundle: Bundle) -> None:
    bundle.keep()
    for drop in (
        ["--bounding-set=-sys_time"],
        ["--inh-caps=+chown"],
        ["--regid=12", "--keep-groups"],
    ):
        done = bundle.launch("run", new_id(), before=["setpriv", *drop, "--"])
        assert "/python3: " in done.stderr, (drop, done)


def test_a_mount_in_a_read_only_root_makes_it_useless(bundle: Bundle) -> None:
    bundle.configure(root={"path": "rootfs", "readonly": True})
    (bundle.folder / "rootfs" / "inner").mkdir()
    bundle.keep()
    assert bundle.is_warm()
    subprocess.run(["mount", "-t", "tmpfs", "none", bundle.folder / "rootfs" / "inner"], check=True)
    try:
        assert not bundle.is_warm()
        # What is mounted elsewhere means nothing to it.
        bundle.keep()
        assert bundle.is_warm()
    finally:
        subprocess.run(["umount", bundle.folder / "rootfs" / "inner"], check=True)
    assert not bundle.is_warm()


def forged(slot: Path, **sections: bytes) -> None:
    slot.write_bytes(put_together({**taken_apart(slot.read_bytes()), **sections}))


def test_every_question_is_asked_again(bundle: Bundle) -> None:
    bundle.configure(
        root={"path": "rootfs", "readonly": True},
        linux={
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW",
                        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]},
            "resources": {"memory": {"limit": 1 << 28}, "pids": {"limit": 9}},
        },
    )  # fmt: skip
    slot = bundle.keep()
    whole = slot.read_bytes()
    facts = facts_of(taken_apart(whole)["facts"])
    assert as_facts(facts) == taken_apart(whole)["facts"]
    assert {fact.kind for fact in facts} >= {
        host.Ask.READ, host.Ask.ACCESS, host.Ask.STAT, host.Ask.MOUNTS, host.Ask.REAL,
        host.Ask.ENVIRON,
    }  # fmt: skip
    names = [fact.name.removesuffix(b"\0").decode() for fact in facts]
    for module in ("compiler.py", "config.py", "kept.py", "_core.abi3.so"):
        assert any(name.endswith(f"seatrial/oci/{module}") for name in names)
    assert kept.BOOT_ID in names
    assert any("libseccomp.so" in name for name in names)
    for number, fact in enumerate(facts):
        other = fact._replace(answer=changed(fact.answer)) if not fact.error else fact
        for spoiled in (other, fact._replace(error=fact.error + 1)):
            if spoiled != fact:
                forged(slot, facts=as_facts([*facts[:number], spoiled, *facts[number + 1 :]]))
                assert not bundle.is_warm(), fact
    slot.write_bytes(whole)
    assert bundle.is_warm()


@pytest.mark.parametrize("name", ["build", "root", "bundle", "caller", "config"])
def test_every_section_that_says_for_what_it_is_counts(bundle: Bundle, name: str) -> None:
    slot = bundle.keep()
    sections = taken_apart(slot.read_bytes())
    for other in (changed(sections[name]), sections[name][:-1], sections[name] + b"x", b""):
        forged(slot, **{name: other})
        assert not bundle.is_warm()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_slot_that_is_not_whole_is_never_used(bundle: Bundle, data: st.DataObject) -> None:
    slot = bundle.keep()
    content = bytearray(slot.read_bytes())
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(0, len(content) - 1), "at") :]
    else:
        at = data.draw(st.integers(0, len(content) - 1), "at")
        content[at] ^= data.draw(st.integers(1, 255), "bits")
    slot.write_bytes(content)
    assert not bundle.is_warm()


def test_what_others_may_have_written_is_never_used(bundle: Bundle) -> None:
    slot = bundle.keep()
    folder = slot.parent

    def is_refused(path: Path, change: Callable[[Path], None]) -> None:
        before = path.stat()
        change(path)
        assert not bundle.is_warm()
        os.chown(path, before.st_uid, before.st_gid)
        path.chmod(before.st_mode & 0o7777)
        assert bundle.is_warm()

    for path in (slot, folder):
        is_refused(path, lambda it: os.chown(it, 65534, 0))
        for mode in (0o720, 0o702, 0o740, 0o704):
            is_refused(path, lambda it, mode=mode: it.chmod(mode))  # type: ignore[misc]
    away = slot.rename(slot.with_name("away"))
    slot.symlink_to(away)
    assert not bundle.is_warm()
    slot.unlink()
    away.rename(slot)
    moved = folder.rename(folder.with_name("@elsewhere"))
    folder.symlink_to(moved)
    assert not bundle.is_warm()
    folder.unlink()
    moved.rename(folder)
    assert bundle.is_warm()


def test_nothing_is_kept_in_a_folder_that_is_not_ours_alone(bundle: Bundle) -> None:
    bundle.root.mkdir()
    bundle.plans.mkdir(mode=0o755)
    bundle.plans.chmod(0o755)
    source = sources.prepare(new_id(), bundle=str(bundle.folder), root=str(bundle.root))
    assert kept.keep(source) == f"{bundle.plans}: is not ours alone"
    done = bundle.python("run", new_id())
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_no_error(bundle: Bundle) -> None:
    bundle.root.mkdir()
    folder = bundle.plans
    folder.mkdir(mode=0o700)
    options = "size=4k,nr_inodes=8,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
    try:
        (folder / "filler").write_bytes(bytes(4096))
        done = bundle.python("run", new_id())
        assert (done.returncode, done.stderr) == (0, "")
        assert [path.name for path in folder.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", folder], check=True)


def test_what_cannot_be_asked_keeps_nothing_and_is_no_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sources.prepare(new_id(), bundle=str(bundle.folder), root=str(bundle.root))
    # A container was made by then: it must not fail because of its plan.
    monkeypatch.setattr(kept, "BOOT_ID", "/nonexistent")
    assert kept.keep(source) == "/nonexistent: No such file or directory"


def test_the_oldest_go_when_there_are_too_many(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_SLOTS", 3)
    folder = bundle.keep().parent
    for number in range(5):
        path = folder / f"old{number}"
        path.touch()
        os.utime(path, ns=(number, number))
    slot = bundle.keep()
    assert {path.name for path in folder.iterdir()} == {"old3", "old4", slot.name}


def test_writers_at_once_leave_one_that_is_whole(bundle: Bundle) -> None:
    bundle.keep()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: bundle.python("keep"), range(12)))
    assert [each.returncode for each in done] == [0] * len(done), done
    assert len(list(bundle.plans.iterdir())) == 1
    assert bundle.is_warm()


CONFIGS: dict[str, dict[str, Any]] = {
    "default cgroups": {"linux": {"cgroupsPath": ""}},
    "user namespace": {
        "linux": {
            "namespaces": ("user", "mount", "pid", "uts"),
            "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
        }
    },
    "runtime's mounts": {"linux": {"namespaces": ("pid", "uts")}},
    "control characters": {"process": {"env": ["A=\1\2\1"], "cwd": "/"}, "hostname": "\1\2"},
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("identifier", ["a", "_-+.", "x" * 255])
def test_a_template_makes_the_plan_that_would_be_compiled(
    bundle: Bundle, name: str, identifier: str
) -> None:
    bundle.configure(**json.loads(json.dumps(CONFIGS[name])))
    source = sources.prepare(identifier, bundle=str(bundle.folder), root=str(bundle.root))
    plan = compiler.compile_plan(
        source.config,
        bundle=source.bundle,
        identifier=identifier,
        place=f"{source.root}/{identifier}@root",
    )
    assert source.compiled.plan.bound(identifier) == plan
    decode = Plan.decode
    assert decode(source.compiled.bound(identifier)) == decode(plan.encode())


def test_a_question_that_only_python_can_ask_keeps_nothing(bundle: Bundle) -> None:
    bundle.configure(process={"terminal": True})
    source = sources.prepare(new_id(), bundle=str(bundle.folder), root=str(bundle.root))
    assert kept.keep(source) == "the program has a terminal"
    done = bundle.python("--systemd-cgroup", "keep")
    assert "by way of systemd" in done.stderr or "no systemd" in done.stderr or done.returncode


def test_facts_compare_as_they_were_packed() -> None:
    fact = Fact(host.Ask.READ, 0, 0, b"/a\0", b"12345")
    assert facts_of(as_facts([fact, fact])) == [fact, fact]
