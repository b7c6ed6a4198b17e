"""Plans that are kept, so that the launcher makes a container of a bundle without starting Python.

One file, a slot, for each bundle and way of compiling it, in a folder beside the state root.  It
has the plan for any id, and all that it was made of: the config's bytes, who we are, and the
questions to the host with their answers.  The launcher (runtime/csrc/launcher/kept.c) executes it
where all of that is the same again, and otherwise leaves it alone and starts Python.

A plan is not kept where the launcher could not do what Python does; ``obstacle`` says why.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import sys
from typing import TYPE_CHECKING

from seatrial.oci import _core, host, listener
from seatrial.oci.store import quoted, quoted_object

if TYPE_CHECKING:
    from seatrial.oci.sources import Source

MAGIC, VERSION = 0x544F4C53, 1
MOST_BYTES, MOST_SLOTS = 4 << 20, 64
BOOT_ID = "/proc/sys/kernel/random/boot_id"
HAS_PROCESS = 1
#: In the environment: with ``off`` no plan is kept, no kept one is used, and no process remembers
#: one for itself.
SWITCH = "SEATRIAL_OCI_CACHE"
_HEADER, _FLAGS = struct.Struct("<4IQ"), struct.Struct("<Q")
_PLACE = struct.Struct("<2I")
_FACT = struct.Struct("<2Ii2I")
_SECTIONS, _BUNDLE = 10, 2


def folder_of(root: str) -> str:
    """Return where plans for the state root ``root`` are: beside it, as they are no container's."""
    return f"{root}@plans"


def is_off() -> bool:
    """Whether the caller wants no plan to be kept, nor a kept one to be used."""
    return os.environ.get(SWITCH) == "off"


def obstacle(source: Source) -> str | None:
    """Return why the launcher could not use this plan, as a part of a sentence."""
    if source.compiled.asked.beyond:
        return source.compiled.asked.beyond[0]
    if source.config.process is not None and source.config.process.terminal:
        return "the program has a terminal"
    if listener.of(source.config) is not None:
        return "the seccomp filter has a listener"
    if source.root != os.path.abspath(source.root):
        return "the state root is not given by its whole path"
    return None


def keep(source: Source) -> str | None:
    """Keep a plan; return why it is not kept, which is never an error."""
    why = obstacle(source)
    if why is None:
        try:
            content = slot(source)
            if len(content) > MOST_BYTES:
                return "it is too large"
            os.makedirs(source.root, 0o700, exist_ok=True)
            _write(source.root, name_of(source.bundle, new_keyring=source.compiled.new_keyring),
                   content)  # fmt: skip
        except OSError as error:
            return f"{error.filename or 'write'}: {error.strerror}"
    return why


def name_of(bundle: str, *, new_keyring: bool) -> str:
    """Return the name of a slot."""
    key = os.fsencode(bundle) + (b"\0" if new_keyring else b"\1")
    return f"{_core.checksum(key + bytes(-len(key) % 8)):016x}"


def slot(source: Source) -> bytes:
    """Return the content of a slot (struct slot of kept.c)."""
    compiled, config = source.compiled, source.config
    asked = compiled.asked
    with host.asking(asked.identifier) as own:
        _ask_for_ourselves()
    annotations = quoted_object(config.annotations) if config.annotations else ""
    texts = (
        _core.build(),
        source.root,
        source.bundle,
        quoted(source.bundle),
        annotations,
    )
    sections = [
        *(text.encode("utf-8", "surrogateescape") for text in texts),
        _core.caller(),
        source.content,
        compiled.template,
        packed(own.answers | asked.answers),
        "".join(f"{warning}\0" for warning in compiled.warnings).encode("utf-8", "surrogateescape"),
    ]
    start = _HEADER.size + _FLAGS.size + _SECTIONS * _PLACE.size
    places, body = bytearray(), bytearray()
    for section in sections:
        places += _PLACE.pack(start + len(body), len(section))
        # A NUL after each, and what comes next is aligned as numbers are.
        body += section + bytes(8 - len(section) % 8)
    flags = HAS_PROCESS if config.process is not None else 0
    rest = _FLAGS.pack(flags) + places + body
    size = _HEADER.size + len(rest)
    return _HEADER.pack(MAGIC, VERSION, size, 0, _core.checksum(rest)) + rest


def _ask_for_ourselves() -> None:
    """Ask what every plan depends on: this boot, and each file that we are made of."""
    host.read(BOOT_ID)
    host.depend_on(sys.executable)
    for name, module in tuple(sys.modules.items()):
        if name.startswith(("seatrial.oci", "msgspec")) and getattr(module, "__file__", None):
            host.depend_on(str(module.__file__))


def packed(answers: host.Answers) -> bytes:
    """Return questions with their answers as facts_hold takes them (csrc/facts/hold.c)."""
    return b"".join(_fact(*key, *answer) for key, answer in answers.items())


def _fact(kind: host.Ask, flags: int, name: str, number: int, answer: bytes) -> bytes:
    from seatrial.oci.plan import template_of

    said = template_of(name) + b"\0"
    fact = _FACT.pack(kind, flags, number, len(said), len(answer)) + said
    fact += bytes(-len(fact) % 4) + answer
    return fact + bytes(-len(fact) % 4)


def stored(root: str) -> list[tuple[str, str]]:
    """Return the bundle of each plan that is kept, and its file; those that are none are left out.

    Raises ``OSError`` where the folder is not ours alone.
    """
    folder = folder_of(root)
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = []
    for name in sorted(names):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError, ValueError, struct.error):
            with open(path, "rb") as file:
                content = file.read(MOST_BYTES)
            found.append((os.fsdecode(sections_of(content)[_BUNDLE]), path))
    return found


def sections_of(content: bytes) -> list[bytes]:
    """Return the sections of a slot; raises ``ValueError`` or ``struct.error`` for what is none."""
    magic, version, size, _, total = _HEADER.unpack_from(content)
    if (magic, version, size) != (MAGIC, VERSION, len(content)):
        raise ValueError("this is not a slot")
    if _core.checksum(content[_HEADER.size :]) != total:
        raise ValueError("this slot is not whole")
    first = _HEADER.size + _FLAGS.size
    places = (_PLACE.unpack_from(content, first + n * _PLACE.size) for n in range(_SECTIONS))
    return [content[start : start + length] for start, length in places]


def _write(root: str, name: str, content: bytes) -> None:
    folder = folder_of(root)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not is_ours(os.fstat(place)):
            raise PermissionError(1, "is not ours alone", folder)
        _make_room(place, name)
        # Without a name until it is whole: of a writer that is killed nothing is left.
        fd = os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=place)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=place)
            # What somebody else has kept meanwhile is as good.
            with contextlib.suppress(FileExistsError):
                os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=place)
    finally:
        os.close(place)


def is_ours(found: os.stat_result) -> bool:
    """Whether nobody else could have written there."""
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def _make_room(place: int, name: str) -> None:
    """Remove the oldest slots, that there is room for one more."""
    names = [each for each in os.listdir(place) if each != name]
    if len(names) < MOST_SLOTS:
        return
    ages = {}
    for each in names:
        with contextlib.suppress(FileNotFoundError):
            ages[each] = os.stat(each, dir_fd=place, follow_symlinks=False).st_mtime_ns
    for each in sorted(ages, key=ages.__getitem__)[: len(ages) - MOST_SLOTS + 1]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(each, dir_fd=place)
