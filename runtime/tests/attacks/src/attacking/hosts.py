"""Attacks on what a container shares with the host: sockets, terminals, memory, processes."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attacking.attack import UNTRIED, Finding, attack, judged
from attacking.races import with_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attacking.ground import Ground

_MOST_PROCESSES = 24
_MOST_BYTES = 32 << 20


@attack("A14", "speak to the runtime by a socket without a path", "CVE-2020-15257")
def abstract_sockets(ground: Ground) -> Iterator[Finding]:
    """List them from a container that shares the network namespace, while others are made."""
    bundle = ground.bundle()
    kinds = bundle.linux["namespaces"]
    kinds[:] = [each for each in kinds if each["type"] != "network"]
    # A network namespace of ours stands in for the host's, so that only the runtime's are in it.
    waiting = bundle.create("pause")
    running = ground.bundle()
    running.linux["namespaces"] = kinds
    container = running.start("pause")
    seen = container.execute("/attacker", "abstract").step("abstract")
    names = seen.removeprefix("ok").split()
    waiting.delete()
    container.delete()
    yield judged(
        harmed=bool(names) or not seen.startswith("ok"),
        seen="abstract sockets beside a created and a running container: "
        + (" ".join(names) or "none"),
    )


@attack("A20", "type into the terminal of who called the runtime")
def terminals(ground: Ground) -> Iterator[Finding]:
    """Call it with a terminal as stdin, and push a byte into that (TIOCSTI); ask for one too."""
    controller, terminal = pty.openpty()
    try:
        bundle = ground.bundle()
        bundle.process["args"] = ["/attacker", "terminal"]
        done = ground.call("run", "--bundle", str(bundle.write()), ground.new_id(), stdin=terminal,
                           wrapper=(str(ground.attacker), "on-terminal"))  # fmt: skip
    finally:
        os.close(controller)
        os.close(terminal)
    answer = done.step("terminal")
    words = dict(word.split("=") for word in answer.split()[1:])
    own = words.get("sid") == words.get("pid")
    pushed = words.get("tiocsti") == "0" or words.get("tty") == "0"
    yield judged(harmed=not own or pushed, seen=f"stdin is the caller's terminal: {answer} "
                                                f"{done.error if done.failed else ''}")  # fmt: skip
    container = with_terminal(ground.bundle(), "pause")
    console = Path(f"/proc/{container.pid}/fd/0").stat()
    host = {os.stat(f"/dev/pts/{each.name}").st_dev for each in Path("/dev/pts").iterdir()}
    container.delete()
    yield judged(harmed=console.st_dev in host,
                 seen="a terminal that is asked for is of the container's own devpts")  # fmt: skip


@attack("A21", "take all processes, and all memory")
def exhaustion(ground: Ground) -> Iterator[Finding]:
    """Fork up to 300 processes with a limit of 24; touch 256 MiB with a limit of 32."""
    bundle = ground.bundle()
    bundle.linux["resources"]["pids"] = {"limit": _MOST_PROCESSES}
    done = bundle.run("bomb")
    answer = done.step("bomb")
    if not answer and done.failed:
        yield Finding(UNTRIED, f"a limit of processes: {done.error}")
    else:
        yield judged(harmed=not answer.startswith("errno 11 ")
                     or int(answer.rpartition(" ")[2]) > _MOST_PROCESSES,
                     seen=f"a limit of {_MOST_PROCESSES} processes: {answer}")  # fmt: skip
    bundle = ground.bundle()
    bundle.linux["resources"]["memory"] = {"limit": _MOST_BYTES}
    began = time.monotonic()
    done = bundle.run("identity", "hog:256")
    took_s = time.monotonic() - began
    if not done.step("identity"):
        yield Finding(UNTRIED, f"a limit of memory: {done.error}")
        return
    yield judged(
        harmed=bool(done.step("hog:256")) or not done.failed,
        seen=f"a limit of 32 MiB: ended with {done.status} after {took_s:.1f} s",
    )
    container = ground.bundle().start("pause")
    alive = container.execute("/attacker", "identity")
    container.delete()
    yield judged(harmed=alive.failed, seen="another container is made afterwards as before")
