"""Attacks on the plans that are kept: each is refused, and succeeds where its defence is missing.

Whoever can write a plan is obeyed as whoever calls the runtime is: so a slot has to be the caller's
alone, whole, and made for this bundle, this boot and this build.
"""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING, NamedTuple

import pytest
from attacking.ground import CSRC
from attacking.variants import BUILD, link_launcher
from keeping import Bundle, as_facts, facts_of, new_id, put_together, taken_apart

from seatrial.oci import kept, runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make these containers")
SOMEBODY = 65534


class Attack(NamedTuple):
    """What is done to a slot, and the text in kept.c that keeps it from being used then."""

    name: str
    act: Callable[[Path], None]
    defence: str
    instead: str = ""


def made_for_variants(slot: Path) -> None:
    """Let a slot be one of the build that the variants have."""
    spoil(slot, build=BUILD.encode())


def spoil(slot: Path, **sections: bytes) -> None:
    slot.write_bytes(put_together({**taken_apart(slot.read_bytes()), **sections}))


def flipped(slot: Path) -> None:
    content = bytearray(slot.read_bytes())
    template = taken_apart(bytes(content))["template"]
    content[content.index(template) + template.index(b"hostname")] ^= 1
    slot.write_bytes(content)


def with_another_name(slot: Path) -> None:
    other = slot.parent.parent / "other"
    other.unlink(missing_ok=True)
    other.hardlink_to(slot)


def replaced_by_a_link(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("@elsewhere")))


def of_another_boot(slot: Path) -> None:
    facts = facts_of(taken_apart(slot.read_bytes())["facts"])
    name = kept.BOOT_ID.encode() + b"\0"
    at = next(number for number, fact in enumerate(facts) if fact.name == name)
    facts[at] = facts[at]._replace(answer=facts[at].answer[::-1])
    spoil(slot, facts=as_facts(facts))


def of_another_config(slot: Path) -> None:
    spoil(slot, config=taken_apart(slot.read_bytes())["config"].replace(b"kept", b"Kept"))


ATTACKS = (
    Attack("a slot that others can write to", lambda slot: slot.chmod(0o622),
           "(found->st_mode & 077) == 0", "1"),
    Attack("a folder that others can write to", lambda slot: slot.parent.chmod(0o722),
           "(found->st_mode & 077) == 0", "1"),
    Attack("a slot of somebody else", lambda slot: os.chown(slot, SOMEBODY, SOMEBODY),
           "found->st_uid == geteuid()", "1"),
    Attack("a folder of somebody else", lambda slot: os.chown(slot.parent, SOMEBODY, SOMEBODY),
           "found->st_uid == geteuid()", "1"),
    Attack("a slot with another name", with_another_name,
           "found->st_nlink == 1", "1"),
    Attack("a link in the place of a slot", replaced_by_a_link,
           "O_RDONLY | O_NOFOLLOW | O_NONBLOCK", "O_RDONLY | O_NONBLOCK"),
    Attack("a link in the place of the folder", lambda slot: replaced_by_a_link(slot.parent),
           "O_PATH | O_DIRECTORY | O_NOFOLLOW", "O_PATH | O_DIRECTORY"),
    Attack("a slot of which something was changed", flipped,
           "checksum((const char *)content + head, bytes - head) != slot->checksum", "0"),
    Attack("a slot of another boot", of_another_boot,
           "facts_hold(slot_facts(slot), slot_facts_bytes(slot), call->id)", "1"),
    Attack("a slot of another build", lambda slot: spoil(slot, build=b"another"),
           "says(slot, BUILD, build_id(), strlen(build_id()))", "1"),
    Attack("a slot of another state root", lambda slot: spoil(slot, root=b"/another"),
           "says(slot, ROOT, call->root, strlen(call->root))", "1"),
    Attack("a slot of another bundle", lambda slot: spoil(slot, bundle=b"/another"),
           "says(slot, BUNDLE, bundle, strlen(bundle))", "1"),
    Attack("a slot of somebody with other privileges", lambda slot: spoil(slot, caller=bytes(
               len(taken_apart(slot.read_bytes())["caller"]))),
           "says(slot, CALLER, &caller, sizeof caller)", "1"),
    Attack("a slot of another config", of_another_config, "is_config(slot, bundle) &&", "1 &&"),
)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_plan_that_may_be_somebody_elses_is_not_executed(
    bundle: Bundle, tmp_path: Path, attack: Attack
) -> None:
    bundle.configure(mounts=[{"destination": "/hostname", "type": "tmpfs", "source": "tmpfs"}])
    slot = bundle.keep()
    assert bundle.is_warm()
    attack.act(slot)
    assert not bundle.is_warm()
    # Where it is not looked at, it is executed: this is what refuses it.
    shutil.rmtree(bundle.plans.resolve())
    bundle.plans.unlink(missing_ok=True)
    slot = bundle.keep()
    made_for_variants(slot)
    attack.act(slot)
    bundle.alone = undefended(tmp_path / "variant", attack)
    assert bundle.is_warm()


def undefended(folder: Path, attack: Attack) -> str:
    """Return a launcher without a defence, beside which there is no Python."""
    shutil.copytree(CSRC, folder)
    path = folder / "launcher" / "kept.c"
    text = path.read_text("utf-8")
    assert text.count(attack.defence) == 1, attack.defence
    path.write_text(text.replace(attack.defence, attack.instead), "utf-8")
    link_launcher(folder, folder / "seatrial-oci")
    return str(folder / "seatrial-oci")


def test_a_config_that_is_exchanged_meanwhile_is_the_one_that_is_executed_or_none(
    bundle: Bundle,
) -> None:
    """What is compared and what is executed is one copy: what create wrote down is of a piece."""
    config = bundle.folder / "config.json"
    contents = []
    for number in ("3", "4"):
        bundle.configure(number)
        contents.append(config.read_bytes())
        bundle.keep()
    done = threading.Event()

    def exchange() -> None:
        fresh = bundle.folder / "fresh"
        while not done.is_set():
            for content in contents:
                fresh.write_bytes(content)
                fresh.rename(config)

    exchanging = threading.Thread(target=exchange)
    exchanging.start()
    warm = 0
    try:
        for _ in range(100):
            identifier = new_id()
            if bundle.launch("create", identifier).returncode:
                continue  # it was the other, for which there is no plan
            warm += 1
            folder = bundle.root / identifier
            argument = 3 + contents.index((folder / "config.json").read_bytes())
            assert f"/program\0{argument}\0".encode() in (folder / "plan").read_bytes()
            runtime.delete(identifier, root=str(bundle.root), force=True)
    finally:
        done.set()
        exchanging.join()
    assert warm
