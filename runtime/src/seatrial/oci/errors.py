"""Every error of the runtime: one sentence for the user."""

import os


def reason(number: int | None) -> str:
    """Return what an errno means, in lower case: Docker's client looks for these very words.

    Its exit status is 127 for "no such file or directory", 126 for "permission denied".
    """
    text = os.strerror(number or 0)
    return text[0].lower() + text[1:]


class OCIError(Exception):
    """Something that the runtime cannot do, in lower case and with what, which and why."""


class ConfigError(OCIError):
    """The config is wrong; ``pointer`` is the JSON pointer to the member (RFC 6901)."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"config.json#{pointer}: {message}")
        self.pointer = pointer
        self.why = message


class HostError(ConfigError):
    """The config is right, but this host has not what it asks for; found by looking, not trying."""


class OperationError(OCIError):
    """The kernel refused one operation of the plan; ``errno`` and ``pointer`` say which and why."""

    def __init__(self, message: str, errno: int, pointer: str = "") -> None:
        super().__init__(message)
        self.errno = errno
        self.pointer = pointer


class HookError(OperationError):
    """A hook could not be executed, failed, or was not done in time."""


class NoSuchContainer(OCIError):  # noqa: N818 - reads as what it is
    """There is no container of this id in the state root."""


class Damaged(OCIError):  # noqa: N818 - reads as what it is
    """What was written down of a container cannot be read."""


class WrongStatus(OCIError):  # noqa: N818 - reads as what it is
    """The container is not in a status that allows the operation."""
