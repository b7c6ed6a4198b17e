"""The plan's binary form: what it cannot hold, and what the executor does not accept."""

from __future__ import annotations

import struct

import pytest

from seatrial.oci import _core
from seatrial.oci.errors import ConfigError
from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import Plan, strings

NAMES = (b'"id"', b'"/bundle"', b"")


def executed(plan: Plan) -> None:
    """Do nothing with a plan but open it: there is no such stage."""
    assert _core.run_stage(plan.encode(), len(Stage), 0, *NAMES[:2], b"running", b"") is None


def test_a_nul_in_a_string_is_refused_as_it_would_end_what_the_kernel_is_told() -> None:
    plan = Plan(0, [Op(Kind.WRITE, Stage.BEFORE, "", "/linux/resources/unified", path="/a\0b")])
    with pytest.raises(ConfigError, match=r"config.json#/linux/resources/unified: has a NUL"):
        plan.encode()


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1])
def test_a_number_of_more_than_64_bits_is_refused_and_not_cut(number: int) -> None:
    plan = Plan(0, [Op(Kind.RLIMIT, Stage.START, "", "/process/rlimits/0", numbers=(0, number))])
    with pytest.raises(ConfigError, match=r"config.json#/process/rlimits/0: has a number of more"):
        plan.encode()


@pytest.mark.parametrize(
    ("op", "why"),
    [
        (Op(Kind.EXEC, Stage.BEFORE, "", blob=b"a\0", numbers=(2,)), "stage that is not its own"),
        (Op(Kind.EXEC, Stage.START, "", blob=b"a\0", numbers=(3,)), "bytes outside of itself"),
        (Op(Kind.EXEC, Stage.START, "", blob=b"ab\0", numbers=(1,)), "bytes outside of itself"),
        (Op(Kind.EXEC, Stage.START, "", numbers=(0,)), "bytes outside of itself"),
        (Op(Kind.MOUNT, Stage.MOUNT, "", blob=b"ro"), "bytes outside of itself"),
        (Op(Kind.SECCOMP, Stage.START, "", blob=bytes(8 * 4097)), "bytes outside of itself"),
        (Op(Kind.MEMORY_POLICY, Stage.START, "", blob=bytes(7)), "bytes outside of itself"),
        (Op(Kind.SYSTEMD, Stage.BEFORE, "", blob=bytes(8), numbers=(6,)), "bytes outside"),
        (Op(Kind.UID, Stage.START, "", numbers=(2**32 - 1,)), "number that the operation cannot"),
        (Op(Kind.OPEN_NAMESPACE, Stage.JOIN, "", flags=3), "number that the operation cannot"),
        (Op(Kind.RLIMIT, Stage.START, "", numbers=(16,)), "number that the operation cannot"),
    ],
)
def test_arguments_that_a_handler_does_not_expect_are_refused_before_anything_is_done(
    op: Op, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        executed(Plan(0, [op]))


def test_namespaces_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="namespaces of an unknown type"):
        executed(Plan(0x100, []))


@pytest.mark.parametrize("kind", [*Kind])
def test_every_kind_of_operation_is_known_to_the_decoder(kind: Kind) -> None:
    # Whatever else is wrong with it: the decoder has a row for it (plan.c).
    for stage in Stage:
        with pytest.raises(ValueError, match="plan") as caught:
            executed(Plan(0x100, [Op(kind, stage, "")]))
        assert "unknown kind" not in str(caught.value)
        try:
            executed(Plan(0, [Op(kind, stage, "", blob=strings(["a"]), numbers=(2,))]))
        except ValueError as error:
            assert "unknown kind" not in str(error)  # noqa: PT017 - it may be accepted, too


def test_a_kind_that_there_is_not_is_refused() -> None:
    binary = bytearray(Plan(0, [Op(Kind.PIVOT, Stage.ENTER, "")]).encode())
    struct.pack_into("<I", binary, 32, max(Kind) + 1)
    with pytest.raises(ValueError, match="unknown kind"):
        _core.run_stage(bytes(binary), Stage.CREATING, 0, *NAMES[:2], b"running", b"")
