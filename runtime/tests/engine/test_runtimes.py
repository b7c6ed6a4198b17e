"""Creates are prepared where the runtime can; where it cannot nothing is lost."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.engine.runtimes import Runtime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_REFERENCE = str(Path(sys.executable).parent / "seatrial-oci")
_CONFIG = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["/x"]},
    "linux": {"namespaces": [{"type": "mount"}]},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "rootfs").mkdir()
    (tmp_path / "rootfs" / "x").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "rootfs" / "x").chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(_CONFIG), "utf-8")
    return tmp_path


def _with(command: str, bundle: Path, act: Callable[[Runtime], Awaitable[object]]) -> object:
    async def main() -> object:
        runtime = Runtime("r", [command], str(bundle / "state"))
        await runtime.begin()
        try:
            return await act(runtime)
        finally:
            await runtime.end()

    return asyncio.run(main())


def test_the_reference_runtime_prepares_creates(bundle: Path) -> None:
    made = _with(_REFERENCE, bundle, lambda runtime: runtime.prepare(str(bundle)))
    assert made == {"SEATRIAL_OCI_CACHE": "on"}


def test_what_cannot_be_prepared_is_for_create_to_say(bundle: Path) -> None:
    async def act(runtime: Runtime) -> list[dict[str, str]]:
        return [await runtime.prepare("/nowhere"), await runtime.prepare(str(bundle))]

    assert _with(_REFERENCE, bundle, act) == [{}, {"SEATRIAL_OCI_CACHE": "on"}]


def test_a_runtime_without_that_is_called_as_ever(bundle: Path) -> None:
    async def act(runtime: Runtime) -> list[dict[str, str]]:
        return [await runtime.prepare(str(bundle)) for _ in range(2)]

    assert _with("/bin/false", bundle, act) == [{}, {}]


def test_an_answer_that_nobody_waits_for_is_no_other_bundles(bundle: Path) -> None:
    async def act(runtime: Runtime) -> dict[str, str]:
        gone = asyncio.create_task(runtime.prepare("/nowhere"))
        await asyncio.sleep(0)
        gone.cancel()
        return await runtime.prepare(str(bundle))

    assert _with(_REFERENCE, bundle, act) == {"SEATRIAL_OCI_CACHE": "on"}
