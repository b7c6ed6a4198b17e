"""Values of ``process``: arguments, environment, absolute paths, users, resource limits."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from seatrial.conformance.facts import held_capabilities

INFINITY = 2**64 - 1

#: Ids that every runtime knows as numbers; larger ones are valid too, up to ``LAST_ID``.
LAST_COMMON_ID = 2**31 - 1
#: The largest id: one more is (uid_t)-1, with which setresuid(2) leaves an id as it is.
LAST_ID = 2**32 - 2

_MEBIBYTE = 1 << 20
_TEBIBYTE = 1 << 40


def texts(*, without: str = "", min_size: int = 0, max_size: int = 40) -> st.SearchStrategy[str]:
    """Text that fits into a C string: any Unicode without NUL and the characters ``without``."""
    characters = st.characters(codec="utf-8", exclude_characters="\0" + without)
    return st.text(characters, min_size=min_size, max_size=max_size)


def arguments() -> st.SearchStrategy[list[str]]:
    """What may follow the name of the program in ``args``, empty strings among it."""
    return st.lists(texts(), max_size=12)


def environments() -> st.SearchStrategy[list[str]]:
    """Entries of ``env``, each name once: how duplicates are treated is left open.

    Without HOME and PATH, which runtimes look at themselves.
    """
    names = texts(without="=", min_size=1).filter(lambda name: name not in {"HOME", "PATH"})
    entries = st.dictionaries(names, texts(), max_size=12)
    return entries.map(lambda found: [f"{name}={value}" for name, value in found.items()])


def file_names() -> st.SearchStrategy[str]:
    """Names of files, not longer than a file system takes (255 bytes)."""
    names = texts(without="/", min_size=1, max_size=60)
    return names.filter(lambda name: name not in {".", ".."})


def absolute_paths(below: str) -> st.SearchStrategy[str]:
    """Absolute paths of one to four steps below the folder ``below``, in their plainest form."""
    return st.lists(file_names(), min_size=1, max_size=4).map(
        lambda names: "/".join([below, *names])
    )


def ids() -> st.SearchStrategy[int]:
    """User and group ids in the range that every runtime takes."""
    return st.integers(0, LAST_COMMON_ID)


def large_ids() -> st.SearchStrategy[int]:
    """User and group ids of the range that not every runtime takes."""
    return st.integers(LAST_COMMON_ID + 1, LAST_ID)


def masks() -> st.SearchStrategy[int]:
    """All that umask(2) can set."""
    return st.integers(0, 0o777)


@dataclass(frozen=True)
class Limit:
    """A resource of getrlimit(2), by its kernel number, and the values a container lives with.

    Without CAP_SYS_RESOURCE nobody gets above ``most`` nor above the hard limit that is there;
    with it up to ``privileged_most``, for those whose hard limit is usually 0.
    """

    number: int
    least: int = 0
    most: int = INFINITY
    privileged_most: int = 0

    @property
    def ceiling(self) -> int:
        """The highest value that the harness, and so a runtime it calls, may set."""
        hard = resource.getrlimit(self.number)[1] % (INFINITY + 1)
        if "CAP_SYS_RESOURCE" in held_capabilities():
            hard = max(hard, self.privileged_most)
        return min(self.most, hard)

    def values(self) -> st.SearchStrategy[tuple[int, int]]:
        """Soft and hard limits, the soft one not above the hard one; none is too tight to run."""
        least = min(self.least, self.ceiling)
        value = st.just(self.ceiling) | st.integers(least, self.ceiling)
        if resource.getrlimit(self.number)[1] == resource.RLIM_INFINITY:
            value |= st.just(INFINITY)
        return st.tuples(value, value).map(lambda pair: (min(pair), max(pair)))


#: Every ``type`` on Linux (getrlimit(2)).
LIMITS = {
    # A runtime may be a program that reserves gigabytes of addresses and shares the limit.
    "RLIMIT_AS": Limit(resource.RLIMIT_AS, least=_TEBIBYTE),
    "RLIMIT_CORE": Limit(resource.RLIMIT_CORE),
    # Seconds; the kernel multiplies them by 10**9 in 64 bits (RLIM_INFINITY apart).
    "RLIMIT_CPU": Limit(resource.RLIMIT_CPU, least=600, most=2**33),
    "RLIMIT_DATA": Limit(resource.RLIMIT_DATA, least=_TEBIBYTE),
    "RLIMIT_FSIZE": Limit(resource.RLIMIT_FSIZE, least=16 * _MEBIBYTE),
    "RLIMIT_LOCKS": Limit(10),  # asm-generic/resource.h: Python has no name for it
    "RLIMIT_MEMLOCK": Limit(resource.RLIMIT_MEMLOCK, least=_MEBIBYTE),
    "RLIMIT_MSGQUEUE": Limit(resource.RLIMIT_MSGQUEUE),
    "RLIMIT_NICE": Limit(resource.RLIMIT_NICE, privileged_most=40),
    "RLIMIT_NOFILE": Limit(resource.RLIMIT_NOFILE, least=512),
    "RLIMIT_NPROC": Limit(resource.RLIMIT_NPROC, least=16384),
    "RLIMIT_RSS": Limit(resource.RLIMIT_RSS),
    "RLIMIT_RTPRIO": Limit(resource.RLIMIT_RTPRIO, privileged_most=99),
    "RLIMIT_RTTIME": Limit(resource.RLIMIT_RTTIME, least=10**7),
    "RLIMIT_SIGPENDING": Limit(resource.RLIMIT_SIGPENDING, least=1024),
    "RLIMIT_STACK": Limit(resource.RLIMIT_STACK, least=8 * _MEBIBYTE),
}


@st.composite
def rlimits(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Entries of ``rlimits``, at least one, each of another type, in any order."""
    kinds = draw(st.lists(st.sampled_from(sorted(LIMITS)), min_size=1, unique=True))
    entries = []
    for kind in kinds:
        soft, hard = draw(LIMITS[kind].values())
        entries.append({"type": kind, "soft": soft, "hard": hard})
    return entries
