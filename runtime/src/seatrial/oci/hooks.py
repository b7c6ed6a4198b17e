"""Hooks: all six kinds, at their places in the plan (config.md, "POSIX-platform Hooks")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci.operations import Kind, Op, Stage
from seatrial.oci.plan import strings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.config import Hook, Hooks

NO_ENVIRON, IN_CONTAINER, ONLY_WARN = 1, 2, 4

#: member, attribute, stage, flags; in the order in which they are called.
PLACES = (
    ("prestart", "prestart", Stage.CREATING, 0),
    ("createRuntime", "create_runtime", Stage.CREATING, 0),
    ("createContainer", "create_container", Stage.ENTER, IN_CONTAINER),
    ("startContainer", "start_container", Stage.START, IN_CONTAINER),
    ("poststart", "poststart", Stage.STARTED, 0),
    ("poststop", "poststop", Stage.DELETED, ONLY_WARN),
)


def compile(hooks: Hooks, stage: Stage) -> Iterator[Op]:  # noqa: A001 - the compiler's verb
    """Yield the hooks that belong to ``stage``."""
    for member, attribute, place, flags in PLACES:
        if place != stage:
            continue
        listed: list[Hook] = getattr(hooks, attribute)
        for number, hook in enumerate(listed):
            argv, environ = strings(hook.args or [hook.path]), strings(hook.env or [])
            yield Op(
                Kind.HOOK,
                stage,
                f"call {member} hook {hook.path}",
                f"/hooks/{member}/{number}",
                flags=flags | (NO_ENVIRON if hook.env is None else 0),
                path=hook.path,
                blob=argv + environ,
                numbers=(len(argv), hook.timeout or 0),
            )
