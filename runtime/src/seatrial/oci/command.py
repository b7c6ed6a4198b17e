"""The command line, compatible with runc's where callers depend on it.

Each verb is a module of ``seatrial.oci.verbs``, imported when it is called: what a command does not
need costs it nothing.
"""

from __future__ import annotations

import gc
import os
import sys

from seatrial.oci.errors import OCIError, reason

VERSION = "0.1.0"
SPEC = "1.3.0"
DEFAULT_ROOT = "/run/seatrial-oci"
#: No process has more (fs.nr_open, proc_sys_fs(5)).
_MOST_DESCRIPTORS = 1 << 20
USAGE = """\
usage: seatrial-oci [OPTION]... COMMAND [OPTION]... [ARGUMENT]...

the operations of the runtime-spec
  create, start, state, kill, delete
what callers of runc also use
  run, exec, list, ps, pause, resume, update, events, spec, features
what only this runtime has
  plan      show what would be done to the kernel for a bundle, and why
  keep      keep that plan, so that containers of the bundle are made without Python

options
  --root DIR            where containers are remembered (default /run/seatrial-oci; for others
                        than root the folder seatrial-oci in $XDG_RUNTIME_DIR)
  --log FILE            write errors and warnings there too
  --log-format FORMAT   text or json
  --systemd-cgroup      make cgroups by way of systemd
  --rootless BOOL       true, false or auto (default)
  --debug, --version, --help

environment
  SEATRIAL_OCI_CACHE=on   keep plans, and use those that are kept
  SEATRIAL_OCI_CACHE=off  nor let a process that makes several containers remember plans

"seatrial-oci COMMAND --help" tells about one command
"""

OPTIONS = {
    "root": True,
    "log": True,
    "log-format": True,
    "debug": False,
    "systemd-cgroup": False,
    "rootless": True,
    "version": False,
    "help": False,
}
#: Every verb is a module; its dashes are underscores and ``exec`` has one behind it.
VERBS = (
    "create",
    "start",
    "state",
    "kill",
    "delete",
    "run",
    "exec",
    "list",
    "ps",
    "pause",
    "resume",
    "update",
    "events",
    "spec",
    "features",
    "plan",
    "keep",
)
#: What engines may ask for and get a plain answer to.
MISSING = ("checkpoint", "restore")


class Usage(Exception):  # noqa: N818 - the command line is wrong
    """The command line cannot be understood."""


def parse(
    words: list[str], known: dict[str, bool], short: dict[str, str] | None = None
) -> tuple[dict[str, list[str]], list[str]]:
    """Split leading options from the rest: every value given, by name.

    ``known`` says which options take a value.  ``--name value``, ``--name=value``, ``-name`` and
    the one-letter names of ``short`` are understood, and nothing after the first other word.
    """
    options: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        name = (short or {}).get(name, name)
        if name not in known:
            raise Usage(f"unknown option {word}")
        if known[name] and not equals:
            if not rest:
                raise Usage(f"option {word} needs a value")
            value = rest.pop(0)
        options.setdefault(name, []).append(value if known[name] or equals else "true")
    return options, rest


def default_root() -> str:
    """Return where containers are remembered if nobody says otherwise."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    return f"{own}/seatrial-oci" if own and os.geteuid() else DEFAULT_ROOT


class Call:
    """One call of the command: the global options and those of the verb, ready to ask."""

    def __init__(
        self,
        general: dict[str, list[str]],
        options: dict[str, list[str]],
        arguments: list[str],
    ) -> None:
        self.general = general
        self.options = options
        self.arguments = arguments
        self.root = general["root"][-1] if "root" in general else default_root()

    def value(self, name: str, default: str | None = None) -> str | None:
        """Return the last value given for an option."""
        return self.options[name][-1] if name in self.options else default

    def values(self, name: str) -> list[str]:
        """Return all values given for an option."""
        return self.options.get(name, [])

    def flag(self, name: str) -> bool:
        """Whether an option is given and not ``=false``."""
        return self.value(name, "false") not in {"false", "0", "f"}

    def number(self, name: str, default: int = 0) -> int:
        """Return an option's value as a whole number."""
        text = self.value(name)
        if text is None:
            return default
        try:
            return int(text)
        except ValueError:
            raise Usage(f"option --{name} takes a number, not {text!r}") from None

    def descriptors(self) -> int:
        """Return how many descriptors after stderr the program is to have (``--preserve-fds``)."""
        count = self.number("preserve-fds")
        if not 0 <= count <= _MOST_DESCRIPTORS:
            raise Usage(f"option --preserve-fds takes 0 to {_MOST_DESCRIPTORS}, not {count}")
        return count

    @property
    def systemd_cgroup(self) -> bool:
        """Whether cgroups are made by way of systemd."""
        return self.general.get("systemd-cgroup", ["false"])[-1] not in {"false", "0", "f"}

    def id(self) -> str:
        """Return the one argument, a container id."""
        if len(self.arguments) != 1:
            raise Usage(
                "a container id is needed" if not self.arguments else "only one id is taken"
            )
        return self.arguments[0]


def command() -> None:
    """Be the command ``seatrial-oci``, which the launcher starts; never returns.

    Of what a start of Python costs, this leaves out what a process that soon ends has no use for:
    collecting cycles, a second implementation of what this Python's typing has (msgspec asks for
    it, and it brings ``inspect`` and ``ast`` along), and taking the interpreter apart at the end.
    """
    gc.disable()
    sys.modules.setdefault("typing_extensions", None)  # type: ignore[arg-type] # "there is none"
    status = 1
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # nobody reads any more: the exit status still tells
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter would do with it
        sys.excepthook(*sys.exc_info())
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 1 for an error, 2 for wrong usage.

    ``run`` and ``exec`` return the exit status of the program they waited for.
    """
    general: dict[str, list[str]] = {}
    rest: list[str] = []
    try:
        general, rest = parse(
            sys.argv[1:] if argv is None else argv, OPTIONS, {"v": "version", "h": "help"}
        )
        _send_warnings(general)
        if "version" in general:
            print(f"seatrial-oci version {VERSION}\nspec: {SPEC}")
            return 0
        if "help" in general or not rest:
            print(USAGE, end="")
            return 0 if "help" in general else 2
        return _run(general, *rest)
    except Usage as error:
        return _complain(f"{error}", general, 2)
    except OCIError as error:
        return _complain(str(error), general, 1)
    except OSError as error:
        what = error.filename or f"cannot {' '.join(rest[:1])}"
        return _complain(f"{what}: {reason(error.errno)}", general, 1)


def _run(general: dict[str, list[str]], name: str, *words: str) -> int:
    if name in MISSING:
        raise OCIError(f"{name} is not supported: containers are not saved and restored (CRIU)")
    if name not in VERBS:
        raise Usage(f"unknown command {name!r}")
    module = f"seatrial.oci.verbs.{name}{'_' * (name == 'exec')}"
    __import__(module)
    verb = sys.modules[module]
    options, arguments = parse(
        list(words), {**verb.OPTIONS, "help": False}, {"h": "help", **getattr(verb, "SHORT", {})}
    )
    if "help" in options:
        print((verb.__doc__ or "").strip())
        return 0
    return verb.run(Call(general, options, arguments)) or 0


def _send_warnings(general: dict[str, list[str]]) -> None:
    from seatrial.oci import log

    log.open_file(*general.get("log", [])[-1:], form=general.get("log-format", ["text"])[-1])


def _complain(message: str, general: dict[str, list[str]], status: int) -> int:
    from seatrial.oci import log

    del general
    os.write(2, f"seatrial-oci: {message}\n".encode(errors="surrogateescape"))
    log.write("error", message)
    return status
