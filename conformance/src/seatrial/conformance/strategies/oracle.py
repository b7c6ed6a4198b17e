"""The oracle: what the program of a config of ``strategies.configs`` has to see.

It knows what the spec determines and no more: what is not among the expected values may be as the
runtime likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.conformance import namespaces
from seatrial.conformance.config import PROBE
from seatrial.conformance.report import parse, parse_line
from seatrial.conformance.strategies import mounts
from seatrial.conformance.strategies.configs import BOUND, CONTENT, FILES

if TYPE_CHECKING:
    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.config import Config
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report
    from seatrial.conformance.spawn import Result

#: What is seen, by a name that says what it is of.
Facts = dict[str, Any]

_OF_PROC = {"network": "net"}
_TYPES = {"c": "char", "b": "block", "p": "fifo"}
_UNSEEN = "not to be seen"


@dataclass(frozen=True)
class Host:
    """What is the runtime's own, and so the program's where its config says nothing.

    ``namespaces`` by the names that configs have for them, as far as the kernel has such.
    """

    namespaces: dict[str, str]
    oom_score: int


def host() -> Host:
    """Return what a program has from the runtime, which has it from the harness."""
    files = {kind: kind for kind in ("ipc", "uts", "cgroup", "user", "time")} | {"network": "net"}
    own = {
        kind: namespaces.current(file)
        for kind, file in files.items()
        if Path(f"/proc/thread-self/ns/{file}").exists()
    }
    return Host(own, int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii")))


# The program


def program(config: Config) -> list[str]:
    """Return the arguments of the probe that looks at all that this config determines."""
    acts = [["read", path] for path in _looks(config)]
    acts += [["write", path, CONTENT] for path in FILES]
    return [PROBE, *(word for act in acts for word in (*act, "+")), "report"]


def _looks(config: Config) -> list[str]:
    parameters = [_file_of(name) for name in config["linux"].get("sysctl", {})]
    return [*parameters, *FILES, *(f"{each['destination']}/{BOUND}" for each in _binds(config))]


def _file_of(parameter: str) -> str:
    return "/proc/sys/" + parameter.replace(".", "/")


def _binds(config: Config) -> list[Config]:
    return [each for each in config["mounts"] if "bind" in each.get("options", ())]


def _tmpfs(config: Config) -> list[Config]:
    """Return the file systems that are mounted by the drawn part of the config."""
    return [each for each in config["mounts"][2:] if each.get("type") == "tmpfs"]


# What it has to see


def expected(config: Config, host: Host) -> Facts:
    """Return all that the spec determines of what the program of ``config`` sees."""
    facts = _process(config["process"], host)
    facts["root read-only"] = config["root"].get("readonly", False)
    facts["annotations"] = config.get("annotations", {})
    if "hostname" in config:
        facts["hostname"] = config["hostname"]
    facts |= {f"{path} holds": content for path, content in _contents(config).items()}
    facts |= {f"{path} can be written": _writable(config, path) for path in FILES}
    new = {each["type"] for each in config["linux"]["namespaces"]}
    for kind in host.namespaces:
        own = host.namespaces[kind] if kind not in new else "a new one"
        facts[f"{kind} namespace"] = own
    for each in _tmpfs(config):
        facts[f"mount {each['destination']}"] = mounts.expected(each["options"])
    for each in _binds(config):
        facts[f"mount {each['destination']} read-only"] = "ro" in each["options"]
    for each in config["linux"].get("devices", ()):
        number = ("major", "minor") if each["type"] != "p" else ()
        facts[f"device {each['path']}"] = {
            "type": _TYPES[each["type"]],
            "mode": each["fileMode"],
            **{name: each[name] for name in ("uid", "gid", *number)},
        }
    return facts


def _process(process: Config, host: Host) -> Facts:
    user = process["user"]
    facts: Facts = {
        "argv": process["args"],
        "cwd": process["cwd"],
        "uid": dict.fromkeys(("real", "effective", "saved"), user["uid"]),
        "gid": dict.fromkeys(("real", "effective", "saved"), user["gid"]),
        "umask": user["umask"],
        "missing groups": set(),
        "missing variables": set(),
        "oom score": process.get("oomScoreAdj", host.oom_score),
        "rlimits": {
            each["type"]: {"soft": each["soft"], "hard": each["hard"]}
            for each in process.get("rlimits", ())
        },
    }
    facts |= {
        f"{kind} capabilities": set(held) for kind, held in process.get("capabilities", {}).items()
    }
    if process.get("noNewPrivileges"):
        facts["no new privileges"] = True
    return facts


def _contents(config: Config) -> dict[str, Any]:
    sysctl = config["linux"].get("sysctl", {})
    contents: dict[str, Any] = {_file_of(name): value for name, value in sysctl.items()}
    masked = config["linux"].get("maskedPaths", ())
    contents |= {path: "" if path in masked else CONTENT for path in FILES}
    return contents | {f"{each['destination']}/{BOUND}": each["source"] for each in _binds(config)}


def _writable(config: Config, path: str) -> bool | str:
    if path in config["linux"].get("maskedPaths", ()):
        return "left open"
    kept = path in config["linux"].get("readonlyPaths", ()) or config["root"].get("readonly")
    return not kept


# What it saw


def observed(
    harness: Harness,
    config: Config,
    bundle: Bundle,
    *,
    content: bytes | None = None,
    where: dict[str, str] | None = None,
) -> Facts:
    """Run a container of ``config`` in a prepared bundle, and return all that its program saw.

    ``content`` is written to config.json in place of the plain form of ``config``; it has to name
    the cgroup.  ``where`` has options of create for the bundle and the caller's folder.
    """
    own = host()
    given = content if content is not None else config
    with harness.container(given, bundle=bundle) as container:
        created = container.create(**(where or {}))
        assert created.ok, created  # noqa: S101 - a verdict
        annotations = container.state().get("annotations", {})
        started = container.start()
        assert started.ok, started  # noqa: S101 - a verdict
        report = container.report()
        lines = container.lines()[:-1]
        deleted = container.delete()
        assert deleted.ok, deleted  # noqa: S101 - a verdict
    facts = seen(config, lines, report, own)
    wanted = config.get("annotations", {})
    return facts | {"annotations": {name: annotations.get(name) for name in wanted}}


def observed_by_run(harness: Harness, config: Config, bundle: Bundle) -> Facts | Result:
    """Do as ``observed`` by the command ``run``: what the program saw, or how it was refused.

    There is no state to ask meanwhile, so that the annotations are not among what was seen.
    """
    own = host()
    with harness.container(config, bundle=bundle) as container:
        result = container.run()
        container.streams.read()
        lines = container.streams.stdout.content.splitlines()
    if result.failed or not lines:
        return result
    return seen(config, [parse_line(line) for line in lines[:-1]], parse(lines[-1]), own)


def seen(config: Config, lines: list[dict[str, Any]], report: Report, host: Host) -> Facts:
    """Return what the program saw, by the names of the expected facts."""
    looks = _looks(config)
    facts: Facts = {
        f"{path} holds": _text(line) for path, line in zip(looks, lines[: len(looks)], strict=True)
    }
    for path, line in zip(FILES, lines[len(looks) :], strict=True):
        masked = path in config["linux"].get("maskedPaths", ())
        facts[f"{path} can be written"] = "left open" if masked else line["ok"]
    return facts | _of_the_report(config, report, host)


def _text(line: dict[str, Any]) -> str:
    """Return what a file holds; one that cannot be read shows nothing."""
    return str(line.get("content", "")).strip()


def _of_the_report(config: Config, report: Report, host: Host) -> Facts:
    process, uids, gids = config["process"], report["uid"], report["gid"]
    three = ("real", "effective", "saved")
    wanted = {entry.encode() for entry in process.get("env", ())}
    facts: Facts = {
        "argv": [each.decode() for each in report.argv],
        "cwd": report.cwd.decode(),
        "uid": {name: uids[name] for name in three},
        "gid": {name: gids[name] for name in three},
        "umask": report["umask"],
        "missing groups": set(process["user"].get("additionalGids", ())) - {*report["groups"]},
        "missing variables": wanted - {*report.environ},
        "oom score": report["oom_score_adj"],
        "rlimits": {
            each["type"]: report["rlimits"][each["type"]] for each in process.get("rlimits", ())
        },
        "no new privileges": report["no_new_privileges"],
        "root read-only": report["root"]["read_only"],
        "hostname": report["hostname"],
    }
    facts |= {f"{kind} capabilities": report.capabilities(kind) for kind in report["capabilities"]}
    new = {each["type"] for each in config["linux"]["namespaces"]}
    for kind in host.namespaces:
        name = report["namespaces"][_OF_PROC.get(kind, kind)]
        other = kind in new and name != host.namespaces[kind]
        facts[f"{kind} namespace"] = "a new one" if other else name
    for each in _tmpfs(config):
        point = each["destination"]
        facts[f"mount {point}"] = mounts.Flags.shown(report.mount(point))
    for each in _binds(config):
        point = each["destination"]
        facts[f"mount {point} read-only"] = report.mount(point).read_only
    return facts | _devices(report)


def _devices(report: Report) -> Facts:
    nodes = {each["path"].encode("latin-1").decode(): each for each in report["devices"]}
    members = ("type", "mode", "uid", "gid", "major", "minor")
    return {
        f"device {path}": {name: each[name] for name in members if each[name] is not None}
        for path, each in nodes.items()
    }


def differences(wanted: Facts, found: Facts) -> list[str]:
    """Return a line for each fact that is not as it has to be."""
    return [
        f"{name}: {found.get(name, _UNSEEN)!r}, not {value!r}"
        for name, value in wanted.items()
        if found.get(name, _UNSEEN) != value
    ]
