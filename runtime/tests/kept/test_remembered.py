"""A plan that a process remembers is executed only where compiling would make the same one now."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from changing import (
    another_state_root,
    changed,
    file_as_root,
    longer,
    moved,
    same_size,
    used_cgroup,
    without_root,
)
from keeping import Bundle, new_id

from seatrial.oci import Container, _core, compiler, host, kept, remembered, sources
from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make these containers")


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Remember plans from here on; return the ids that plans were compiled for."""
    monkeypatch.delenv(kept.SWITCH)
    monkeypatch.setattr(remembered, "_all", {})
    whole, found = compiler.compile_for, []

    def compile_for(config: Any, *, identifier: str, **options: Any) -> compiler.Compiled:
        found.append(identifier)
        return whole(config, identifier=identifier, **options)

    monkeypatch.setattr(compiler, "compile_for", compile_for)
    return found


def prepare(bundle: Bundle, **options: Any) -> sources.Source:
    return sources.prepare(new_id(), bundle=str(bundle.folder), root=str(bundle.root), **options)


def test_a_life_is_the_same_with_a_plan_that_is_remembered(
    bundle: Bundle, compiled: list[str]
) -> None:
    bundle.configure("7", annotations={"a": "b"})
    plans = []
    for _ in range(3):
        container = Container(new_id(), bundle=str(bundle.folder), root=str(bundle.root))
        folder = bundle.root / container.id
        with container:
            container.create()
            plans.append((folder / "plan").read_bytes().replace(container.id.encode(), b"ID"))
            assert (folder / "config.json").read_bytes() == (
                bundle.folder / "config.json"
            ).read_bytes()
            assert container.state()["annotations"] == {"a": "b"}
            assert container.start().wait() == 7
        assert not folder.exists()
    assert len(compiled) == 1
    assert plans[0] == plans[1] == plans[2]
    # No file was made of it: that is for commands.
    assert not bundle.plans.exists()


@pytest.mark.parametrize(
    "change",
    [same_size, longer, moved, without_root, file_as_root, used_cgroup, another_state_root],
    ids=lambda change: change.__name__,
)
def test_a_change_of_what_it_was_made_of_makes_it_useless(
    bundle: Bundle, compiled: list[str], change: Callable[[Bundle], None]
) -> None:
    prepare(bundle)
    bundle.plans.mkdir()  # which one of the changes moves
    change(bundle)
    try:
        prepare(bundle)
    except OCIError:
        pass
    else:
        prepare(bundle)
    assert len(compiled) == 2


def test_another_way_of_compiling_is_another_plan(bundle: Bundle, compiled: list[str]) -> None:
    first, other = prepare(bundle), prepare(bundle, new_keyring=False)
    assert first.compiled.template != other.compiled.template
    assert prepare(bundle) is first
    assert prepare(bundle, new_keyring=False) is other
    assert len(compiled) == 2


def test_every_question_is_asked_again(bundle: Bundle, compiled: list[str]) -> None:
    bundle.configure(root={"path": "rootfs", "readonly": True})
    source = prepare(bundle)
    answers = source.compiled.asked.answers
    assert len(answers) > 10
    for key, (number, said) in list(answers.items()):
        for other in ((number, changed(said)), (number + 1, said)):
            if number and other[0] == number:
                continue  # what is said along with an error is nothing
            remembered._all.clear()  # noqa: SLF001
            answers[key] = other
            remembered.add(remembered.Way(source.bundle, source.root, False, True), source)  # noqa: FBT003
            answers[key] = number, said
            assert prepare(bundle) is not source, key
    assert len(compiled) > len(answers)


def test_other_privileges_make_it_useless(
    bundle: Bundle, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(bundle)
    caller = _core.caller()
    monkeypatch.setattr(_core, "caller", lambda: changed(caller))
    prepare(bundle)
    assert len(compiled) == 2


def test_switched_off_nothing_is_remembered(
    bundle: Bundle, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(bundle)
    monkeypatch.setenv(kept.SWITCH, "off")
    prepare(bundle)
    monkeypatch.delenv(kept.SWITCH)
    prepare(bundle)
    assert len(compiled) == 2


def test_a_question_that_only_python_can_ask_is_not_remembered(
    bundle: Bundle, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compiler.compile_plan

    def compile_plan(*arguments: Any, **options: Any) -> Any:
        host.beyond("something else")
        return whole(*arguments, **options)

    monkeypatch.setattr(compiler, "compile_plan", compile_plan)
    prepare(bundle)
    prepare(bundle)
    assert len(compiled) == 2


def test_warnings_are_given_again(
    bundle: Bundle, compiled: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    bundle.configure(process={"capabilities": {"bounding": ["CAP_NONE"]}})
    prepare(bundle)
    first = capfd.readouterr().err
    assert "CAP_NONE" in first
    prepare(bundle)
    assert capfd.readouterr().err == first
    assert len(compiled) == 1


def test_a_terminal_without_a_console_is_refused_as_before(
    bundle: Bundle, compiled: list[str]
) -> None:
    bundle.configure(process={"terminal": True})
    for _ in range(2):
        with pytest.raises(OCIError, match="so a console socket is needed"):
            prepare(bundle, console=False)
        prepare(bundle, console=True)
    assert len(compiled) == 1


def test_the_oldest_goes_when_there_are_too_many(
    bundle: Bundle, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_SLOTS", 2)
    roots = [str(bundle.root.with_name(name)) for name in "abc"]
    for root in (*roots, roots[2], roots[1], roots[0]):
        sources.prepare(new_id(), bundle=str(bundle.folder), root=root)
    assert len(compiled) == 4


def test_threads_remember_side_by_side(bundle: Bundle, compiled: list[str]) -> None:
    def life(number: int) -> int:
        name = f"{new_id()}-{number}"
        with Container(name, bundle=str(bundle.folder), root=str(bundle.root)) as container:
            status: int = container.create().start().wait()
            return status

    bundle.configure("3", linux={"cgroupsPath": ""})  # so each has cgroups of its own
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(life, range(24))) == {3}
    assert 1 <= len(compiled) <= 24
    assert list(bundle.root.iterdir()) == []
