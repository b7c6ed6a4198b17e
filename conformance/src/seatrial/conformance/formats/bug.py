"""Bug reports: one failure as a folder that a runtime's maintainer can use without the harness.

``issue.md`` says it, ``reproduce.sh`` does it again with the runtime and the system's own tools,
``bundle/`` is what the runtime is given, ``result.json`` is the evidence as it was recorded.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import jinja2

from seatrial.conformance import config as configs
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.config import PROBE
from seatrial.conformance.errors import UsageError
from seatrial.conformance.formats import markdown
from seatrial.conformance.formats.visible import visible
from seatrial.conformance.runtime import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from seatrial.conformance.formats.matrix import Column
    from seatrial.conformance.registry import Registry
    from seatrial.conformance.registry.requirement import Requirement
    from seatrial.conformance.verdicts import Verdict

_TEMPLATES = Path(__file__).parent / "templates"
#: Where the script works, and in which cgroup: in the folder's files these stand for the run's.
WORK = "/tmp/seatrial-bug"  # noqa: S108 - made by mkdir, which fails where something is there
CGROUP = "/seatrial-bug"
#: The folders and the program of every bundle (``Bundle``).
_STANDARD = {"rootfs", "rootfs/proc", "rootfs/dev", "rootfs/tmp"}

#: What is another in every run of what a program prints of its mounts (proc_pid_mountinfo(5)):
#: numbers of mounts, devices and peer groups, where in its filesystem a mount begins, and the
#: filesystem that the bundles are on.  Of use to re.sub and to sed -E alike.
_CHANGING = (
    (r'"[0-9]+ [0-9]+ [0-9]+:[0-9]+ [^ "]+ /', '"/'),
    (r"(shared|master|propagate_from):[0-9]+", r"\1"),
    (r' - tmpfs seatrial-[^ "]+ [^ "]+"', ' - tmpfs"'),
)

#: What coreutils have for what the probe does.
_COREUTILS = {
    ("report",): ["/bin/true"],
    ("pause",): ["/bin/sleep", "1000"],
    ("exit", "0"): ["/bin/true"],
    ("exit", "1"): ["/bin/false"],
}

Step = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A failed test in one column of the results."""

    column: Column
    verdict: Verdict

    def __str__(self) -> str:
        """Name it as it can be chosen."""
        return self.verdict.test + (" (audit)" if self.verdict.audit else "")


def find(columns: Sequence[Column], name: str) -> Failure:
    """Return the failure of a requirement or a test; raises ``UsageError`` for none or several.

    ``name`` is a requirement's whole id, a test's whole id, or a part of a test's id.
    """
    failures = [
        Failure(column, verdict)
        for column in columns
        for verdict in column.outcome.verdicts
        if verdict.status == "fail"
    ]
    exact = [each for each in failures if name in {str(each), each.verdict.test}]
    named = [each for each in failures if name in each.verdict.requirements]
    parts = [each for each in failures if name in str(each)]
    found = exact or named or parts
    if not found:
        raise UsageError(
            f"no failure in the results is of requirement or test {name!r}",
            hint="`seatrial report text RESULTS` lists the failures",
        )
    if len(found) > 1 and str(found[0]) != name:
        listed = "".join(f"\n    {each.column.title}: {each}" for each in found)
        raise UsageError(
            f"{len(found)} failures are of {name!r}:{listed}",
            hint="give one of these tests instead, its brackets too",
        )
    return found[0]


def write(failure: Failure, registry: Registry, folder: Path) -> None:
    """Write the folder; raises ``UsageError`` if it is there already or cannot be written."""
    report = _Report(failure, registry)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        report.write(folder)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}") from None


def default_folder(failure: Failure) -> Path:
    """Name a folder below the working directory."""
    name = re.sub(r"[^A-Za-z0-9.+-]+", "-", failure.column.runtime["name"]).strip("-.")
    return Path(f"bug-{name}-{failure.verdict.requirements[0]}")


class _Report:
    def __init__(self, failure: Failure, registry: Registry) -> None:
        self.failure = failure
        self.verdict = failure.verdict
        self.requirements = [registry.find(name) for name in self.verdict.requirements]
        if self.verdict.trace is None:
            raise UsageError(
                f"the results do not say what {failure} did",
                hint="it made no container, or they are of an older seatrial: run it again",
            )
        self.recorded = self.verdict.trace
        self.bundles = self._named_bundles()
        self.steps: list[Step] = [self._placed(step) for step in self.recorded["steps"]]
        self.program = self._substitute()
        self.limits = list(dict.fromkeys(self._limits()))

    # Paths and names

    def _named_bundles(self) -> dict[str, str]:
        """Map the bundles' paths in the run to those that the script gives them."""
        steps = (step for step in self.recorded["steps"] if step["do"] == "bundle")
        paths = list(dict.fromkeys(str(step["path"]) for step in steps))
        several = len(paths) > 1
        return {
            path: f"{WORK}/bundle{f'-{number}' if several else ''}"
            for number, path in enumerate(paths, 1)
        }

    def _placed(self, value: Any) -> Any:  # noqa: ANN401 - what JSON holds
        """Replace the run's own places in every text of ``value``."""
        if isinstance(value, dict):
            return {key: self._placed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._placed(each) for each in value]
        return self.placed(value) if isinstance(value, str) else value

    def placed(self, text: str) -> str:
        """Replace the run's own places in a text: longest paths first."""
        places = {
            **self.bundles,
            self.recorded["probe"]: f"{WORK}/probe",
            self.recorded["work"]: WORK,
            self.recorded["cgroup"]: CGROUP,
        }
        for path in sorted(filter(None, places), key=len, reverse=True):
            text = re.sub(rf"{re.escape(path)}(?![\w-])", places[path].replace("\\", r"\\"), text)
        return text

    # The program

    def _substitute(self) -> str:
        """Have the host's coreutils be the program where that shows the same; say what it is.

        That is where nobody looks at what the program prints: a maintainer then runs no binary
        that came with the report.
        """
        first = [step for step in self.steps if step["do"] == "bundle"]
        plans = [_coreutils_for(step, self.steps) for step in first]
        if not first or not all(plans) or self._needs_probe_outside():
            return "probe"
        for step, words in zip(first, plans, strict=True):
            for entry in step["files"]:
                if entry["path"] == "config.json":
                    config = json.loads(entry["text"])
                    config["process"]["args"] = words
                    entry["text"] = configs.dumps(config).decode("utf-8", "surrogatepass")
            step["files"] = [each for each in step["files"] if each["type"] != "probe"]
        return "coreutils"

    def _needs_probe_outside(self) -> bool:
        probe = f"{WORK}/probe"
        return any(probe in json.dumps(step) for step in self.steps)

    def _limits(self) -> Iterator[str]:
        for step in self.steps:
            if step.get("descriptors"):
                yield "the test hands descriptors to the runtime"
            if "--console-socket" in step.get("argv", ()):
                yield "the test receives a terminal at a socket, which a shell cannot make"
            if any(each["type"] in {"fifo", "other"} for each in step.get("files", ())):
                yield "the test has FIFOs or other special files in the bundle, which it serves"
            if step["do"] == "line" and not step.get("text"):
                yield "the test waited for a line that did not come"
        if not any(step["do"] == "run" for step in self.steps):
            yield "the test ran no command with a container that was recorded"

    # What is written

    def write(self, folder: Path) -> None:
        """Fill the folder."""
        seen: set[str] = set()
        for step in self.steps:
            if step["do"] != "bundle":
                continue
            name = step["path"].removeprefix(f"{WORK}/")
            if name not in seen:  # the first create's; a later one finds what the first left
                seen.add(name)
                _lay(folder / name, step.get("files", []))
        for number, entry in enumerate(self._given(), 1):
            (folder / "files").mkdir(exist_ok=True)
            (folder / "files" / str(number)).write_bytes(_bytes(entry))
        if self._needs_probe_outside():
            shutil.copy(probe_binary(), folder / "probe")
        values = self._values()
        environment = _environment()
        script = environment.get_template("reproduce.sh.jinja").render(values)
        path = folder / "reproduce.sh"
        path.write_bytes(script.encode("utf-8", "surrogateescape"))
        path.chmod(0o755)
        text = environment.get_template("issue.md.jinja").render(values)
        (folder / "issue.md").write_text(visible(text), encoding="utf-8")
        line = {"header": self.failure.column.results.header, "verdict": self.verdict.as_dict()}
        (folder / "result.json").write_text(json.dumps(line, indent=1) + "\n", encoding="utf-8")

    def _given(self) -> list[dict[str, Any]]:
        """Return the files outside of what create found that commands were given."""
        found: dict[str, dict[str, Any]] = {}
        for step in self.steps:
            for entry in step.get("files", ()) if step["do"] == "run" else ():
                path = entry["path"]
                if entry["type"] == "file" and path.startswith(f"{WORK}/") and ".." not in path:
                    found.setdefault(path, entry)
        return list(found.values())

    def _values(self) -> dict[str, Any]:
        header = self.failure.column.results.header
        runtime = self.failure.column.runtime
        first = next((s for s in self.steps if s["do"] == "bundle" and s.get("files")), None)
        files = first["files"] if first else []
        config = next(
            (each["text"] for each in files if each["path"] == "config.json" and "text" in each), ""
        )
        return {
            "verdict": self.verdict,
            "sentence": self.verdict.sentence,
            "got": self.placed(self.verdict.got),
            "example": self.placed(self.verdict.example),
            "requirements": self.requirements,
            "url": _urls(self.requirements, str(header["spec"])),
            "runtime": runtime,
            "title": self.failure.column.title,
            "header": header,
            "mode": header["environment"].get("cgroups", {}).get("mode", "unknown"),
            "view": runtime["view"],
            "steps": list(self._script()),
            "bundles": [path.removeprefix(f"{WORK}/") for path in self.bundles.values()],
            "owners": list(self._owners()),
            "given": [entry["path"] for entry in self._given()],
            "probe_outside": self._needs_probe_outside(),
            "program": self.program,
            "limits": self.limits,
            "config": config,
            "leaked": self.verdict.kind == "leaked",
            "leaks": " ".join(sorted({each.split()[0] for each in _leaks(self.verdict.message)})),
            "logs": list(self._logs()),
            "path": PATH,
            "work": WORK,
            "cgroup": CGROUP,
            "lasting": [f"s#{found}#{instead}#g" for found, instead in _CHANGING],
            "attempts": 3 if any("seatrial.log" in json.dumps(each) for each in self.steps) else 1,
        }

    def _owners(self) -> Iterator[tuple[str, str, str]]:
        """Return what a copy by git or zip would lose: command, mode or owner, path."""
        seen: set[str] = set()
        for step in self.steps:
            if step["do"] != "bundle" or step["path"] in seen:
                continue
            seen.add(step["path"])
            for entry in step.get("files", ()):
                path = f"{step['path']}/{entry['path']}"
                usual = {"directory": 0o755, "probe": 0o755, "file": 0o644}.get(entry["type"])
                if entry["type"] == "other":
                    continue
                if "owner" in entry:
                    yield "chown", "{}:{}".format(*entry["owner"]), path
                if entry["type"] == "fifo":
                    yield "mkfifo -m", f"{entry['mode']:o}", path
                elif entry["type"] != "symlink" and entry.get("mode", usual) != usual:
                    yield "chmod", f"{entry['mode']:o}", path

    def _script(self) -> Iterator[Step]:
        """Return the steps as the script does them."""
        lines: dict[str, int] = {}
        streams: dict[str, int] = {}  # of each container, by the number of its create
        relative = {os.path.basename(a): os.path.basename(b) for a, b in self.bundles.items()}
        for step in self.steps:
            name = str(step.get("container", ""))
            if step["do"] == "run":
                argv = [relative.get(word, word) for word in step["argv"]]
                creates = "create" in argv and any("bundle" in word for word in argv)
                if creates:
                    streams[argv[-1]] = len(streams) + 1
                path = self.failure.column.runtime["path"]
                yield {
                    **step,
                    "words": ['"$RUNTIME"' if w == path else shlex.quote(w) for w in argv],
                    "creates": creates,
                    "wanted": _wanted(step),
                    "holds": _told(step),
                    "streams": streams.get(argv[-1], 0),
                    "root": next(
                        (
                            w
                            for w, option in zip(argv[1:], argv, strict=False)
                            if option == "--root"
                        ),
                        "",
                    ),
                    "umask": f"{step.get('umask', 0o022):o}",
                }
            elif step["do"] == "line":
                lines[name] = lines.get(name, 0) + 1
                yield {**step, "number": lines[name], "streams": streams.get(name, 0)}
            elif step["do"] == "wait":
                yield {
                    **step,
                    "seen": [_lasting(text) for text in step.get("seen", [])],
                    "streams": streams.get(name, 0),
                }

    def _logs(self) -> Iterator[tuple[str, str | None]]:
        """Return the bundles that have a log, with the tags that the test found if it looked."""
        last = {step["path"]: step for step in self.steps if step["do"] == "bundle"}
        mentions = "seatrial.log" in json.dumps(self.steps)
        for path, step in last.items():
            if "log" in step or mentions:
                tags = [_tag(line) for line in step["log"]] if "log" in step else None
                yield path, None if tags is None else " ".join(tags)


def _tag(line: str) -> str:
    return line.split('"')[3] if line.startswith('{"tag":"') else "?"


def _wanted(step: Step) -> int:
    """Return the exit status that a shell sees."""
    if step.get("hung"):
        return 124  # of timeout(1)
    status = int(step.get("exit_status", 0))
    return status if status >= 0 else 128 - status


def _leaks(message: str) -> list[str]:
    """Split what the auditor found: a kind, a blank, and a name each."""
    return [
        each for each in re.split(r"; (?=(?:cgroup|mount|process|state) )", message) if each.strip()
    ]


def _lasting(text: str) -> str:
    """Return what is the same in every run of what a program has printed."""
    for found, instead in _CHANGING:
        text = re.sub(found, instead, text)
    return text


def _told(step: Step) -> list[str]:
    """Return the members of a state that the command printed, as JSON without white space.

    Of what is the same in every run: neither pids, times nor paths.
    """
    try:
        state = json.loads(step.get("stdout", ""))
    except ValueError:
        return []
    if not isinstance(state, dict) or not {"id", "status"} <= state.keys():
        return []
    members = ((name, state[name]) for name in ("status", "annotations") if name in state)
    texts = (json.dumps({name: value}, separators=(",", ":"))[1:-1] for name, value in members)
    return [text for text in texts if not re.search(r"[\s\\]", text)]


def _urls(requirements: Iterable[Requirement], spec: str) -> dict[str, str]:
    return {requirement.id: requirement.url_at(spec) for requirement in requirements}


def _coreutils_for(step: Step, steps: Iterable[Step]) -> list[str] | None:
    """Return what does as the probe would in this bundle, if it is as plain as that."""
    found = {entry["path"]: entry for entry in step.get("files", ())}
    try:
        config = json.loads(found["config.json"]["text"])
        words = config["process"]["args"]
        plain = not config.get("hooks") and config["root"] == {"path": "rootfs"}
        user = config["process"]["user"] == {"uid": 0, "gid": 0}
    except (KeyError, TypeError, ValueError):
        return None
    plain = plain and user and not config["process"].keys() - {"user", "args", "cwd"}
    if not plain or found.keys() - {"config.json", "rootfs/probe", *_STANDARD}:
        return None
    read = any(each["do"] in {"line", "wait"} and _looked(each) for each in steps)
    if read or not isinstance(words, list) or words[:1] != [PROBE]:
        return None
    return _COREUTILS.get(tuple(words[1:]))


def _looked(step: Step) -> bool:
    """Whether the test cared for what the program printed, other than that it is there."""
    if step["do"] == "line":
        return '"act":"pause"' not in step.get("text", "").replace(" ", "")
    return bool(step.get("seen"))


def _lay(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Make the files of a bundle; whatever the results say, nothing is written outside of it."""
    folder.mkdir()
    links = []
    for entry in entries:
        path = PurePosixPath(entry["path"])
        if path.is_absolute() or ".." in path.parts:
            raise UsageError(f"the results have a file of the bundle at {entry['path']!r}")
        target = folder / path
        if entry["type"] == "symlink":
            links.append((target, entry["target"]))
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry["type"] == "directory":
            target.mkdir(exist_ok=True)
            if not any(each["path"].startswith(f"{path}/") for each in entries):
                (target / ".keep").touch()  # git and zip lose empty folders
        elif entry["type"] == "probe":
            shutil.copy(probe_binary(), target)
        elif entry["type"] == "file":
            target.write_bytes(_bytes(entry))
    for target, where in links:  # last, so that nothing is written through them
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(where, target)


def _bytes(entry: dict[str, Any]) -> bytes:
    if "base64" in entry:
        return base64.b64decode(entry["base64"])
    return str(entry.get("text", "")).encode("utf-8", "surrogatepass")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=False,  # noqa: S701 - a script and Markdown; each text goes through a filter
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "quote": lambda text: shlex.quote(str(text)),
        "comment": lambda text: visible(" ".join(str(text).split())),
        "plain": lambda text: markdown.plain(str(text)),
        "code": lambda text: markdown.code(str(text)),
        "block": _block,
    }
    return environment


def _block(text: object, language: str = "") -> str:
    return markdown.block(str(text).rstrip("\n"), language)
