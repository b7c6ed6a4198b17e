"""Our own engine and docker's daemon say the same to docker's client, command by command.

Known to differ, and not compared: what a runtime's error says around its reason (each daemon names
its own parts), newer masked paths (ours has those of Docker 28), the default runtime's name, the
order of mounts, the name by which a paused container is called, the exit status of an exec whose
program is not there (127, as with newer Docker), options of ps(1) beyond the usual (ours reads
/proc), the sizes of manifests (ours are OCI's), a pull for another platform than the image's (ours
refuses it, as newer Docker).
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from daemons import image
from daemons.registry import Registry

if TYPE_CHECKING:
    from daemons.docker import Docker
    from daemons.engine import Engine
    from daemons.seatriald import Seatriald

#: What people type, a line each; every sitting has a name, and leaves nothing. IMAGE is the image
#: for a container that is to have no network, NAME what it is called.
_SITTINGS = {
    "lives": """
        create --name=same IMAGE sh -c "echo hi; exit 3"
        create --name=same IMAGE true
        ps --all --filter=name=same --format="{{.Image}} {{.Command}} {{.Status}}"
        start same
        wait same
        logs same
        ps --all --filter=name=same --format="{{.State}} {{.Ports}} {{.Mounts}}"
        kill same
        stop same
        rename same same
        rename same ""
        rm same
        run --detach --name=sleeper IMAGE sleep 1000
        rm sleeper
        exec sleeper sh -c "echo in; exit 4"
        exec --user=nosuch sleeper id
        exec --user=sailor --workdir=/data --env=A=1 sleeper sh -c "id; pwd; echo $A"
        top sleeper -o comm
        pause sleeper
        unpause sleeper
        unpause sleeper
        kill --signal=NONSENSE sleeper
        rm --force sleeper
    """,
    "nobody": """
        start nobody
        logs nobody
        rm nobody
        rm --force nobody
        stop nobody
        kill nobody
        pause nobody
        rmi nobody
        top nobody
        wait nobody
        exec nobody true
        rename nobody somebody
        update --memory=10m nobody
        stats --no-stream nobody
        inspect nobody
    """,
    "health": """
        create --name=checked --health-cmd=true --health-interval=5s IMAGE true
        inspect --format="{{json .Config.Healthcheck}}" checked
        rm checked
        create --name=checked --no-healthcheck IMAGE true
        inspect --format="{{json .Config.Healthcheck}}" checked
        rm checked
        run --health-cmd=true --health-interval=10us IMAGE true
        run --rm --init IMAGE cat /proc/1/cmdline
        ps --filter=health=nonsense
    """,
    "lists": """
        run --detach --name=one --label=x=1 IMAGE sh -c "echo first; echo out; sleep 1000"
        run --name=two --label=x=2 --volume=stores:/data IMAGE false
        ps --all --filter=ancestor=NAME --format={{.Names}}
        ps --all --filter=exited=1 --format={{.Names}}
        ps --all --filter=status=running --format={{.Names}}
        ps --all --filter=volume=stores --format={{.Names}}
        ps --all --filter=volume=/data --format={{.Names}}
        ps --all --filter=before=two --format={{.Names}}
        ps --all --filter=since=one --format={{.Names}}
        ps --all --filter=label=x --filter=label=x=2 --format={{.Names}}
        ps --all --filter=name=[ --format={{.Names}}
        ps --last=1 --format={{.Names}}
        logs --tail=1 one
        logs --tail=0 one
        logs --details one
        logs --since=2000-01-01 --until=2001-01-01 one
        logs --since=nonsense one
        update --memory=32m --memory-swap=64m --cpus=0.5 --restart=always one
        update --cpu-quota=5000 one
        update --restart=nonsense one
        inspect --format="{{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy}}" one
        update --memory=10m two
        rename two one
        rm --force one two
        volume rm stores
    """,
    "processes": """
        run --rm IMAGE env
        run --rm --hostname=boat IMAGE cat /etc/hosts /etc/hostname
        run --rm IMAGE grep -E "Cap|Seccomp:|NoNew" /proc/self/status
        run --rm --user=1000 IMAGE grep -E "Cap|Groups" /proc/self/status
        run --rm --user=sailor --group-add=77 IMAGE id
        run --rm --cap-drop=all --cap-add=chown IMAGE grep Cap /proc/self/status
        run --rm --cap-add=nonsense IMAGE true
        run --rm --ulimit=nofile=100:200 IMAGE sh -c "ulimit -n; ulimit -Hn"
        run --rm --ulimit=nofile=200:100 IMAGE true
        run --rm --oom-score-adj=500 IMAGE cat /proc/self/oom_score_adj
        run --rm --security-opt=seccomp=unconfined IMAGE grep Seccomp: /proc/self/status
        run --rm --security-opt=no-new-privileges IMAGE grep NoNew /proc/self/status
        run --rm --security-opt=nonsense IMAGE true
        run --rm --sysctl=net.ipv4.ip_forward=1 IMAGE cat /proc/sys/net/ipv4/ip_forward
        run --rm IMAGE ls /dev
        run --rm --device=/dev/null:/dev/mine IMAGE stat -c %t:%T /dev/mine
        run --rm --device-cgroup-rule=nonsense IMAGE true
        run --rm --uts=host --hostname=x IMAGE true
        run --rm --pid=container:nobody IMAGE true
        run --rm --ipc=host IMAGE ls -d /dev/shm
        run --memory=1m IMAGE
        run --cpu-quota=10 IMAGE true
        run --cpuset-cpus=99 IMAGE true
        run --cpuset-cpus=nonsense IMAGE true
        run --restart=sometimes IMAGE true
        run --rm --workdir=/new/folder IMAGE pwd
    """,
    "volumes": """
        volume rm nothing
        volume create stores
        volume ls
        run --rm --volume=stores:/etc IMAGE ls /etc/passwd /etc/hosts
        run --rm --volume=bare:/etc:nocopy IMAGE ls /etc
        run --rm --volume=stores:/x:ro IMAGE touch /x/a
        run --rm --volume=stores:/x:nonsense IMAGE true
        run --rm --volume=/x:/ IMAGE true
        create --name=base --volume=/nameless --volume=stores:/named IMAGE true
        run --rm --volumes-from=base IMAGE touch /nameless/x /named/y
        run --rm --volumes-from=base:ro IMAGE touch /named/z
        run --rm --volumes-from=base:nonsense IMAGE true
        run --rm --volumes-from=nobody IMAGE true
        rm --volumes base
        run --rm --mount=type=volume,source=stores,target=/n,readonly IMAGE touch /n/q
        run --rm --mount=type=bind,source=/proc,target=/n,bind-propagation=nonsense IMAGE true
        run --rm --mount=type=tmpfs,target=/t,tmpfs-mode=1770 IMAGE grep " /t " /proc/mounts
        run --rm --mount=type=tmpfs,target=/t,readonly IMAGE grep " /t " /proc/mounts
        run --rm --mount=type=nonsense,target=/t IMAGE true
        run --rm --tmpfs=/t:exec,dev,suid,size=1m IMAGE grep " /t " /proc/mounts
        run --rm --read-only --tmpfs=/tmp IMAGE touch /tmp/x /x
        run --rm --shm-size=1m IMAGE grep shm /proc/mounts
        run --volume=relative/path:/x IMAGE true
        run --mount=type=bind,source=/nowhere,target=/x IMAGE true
        volume rm stores bare
    """,
    "images": """
        tag NAME Bad
        tag NAME good:1
        images --format="{{.Repository}}:{{.Tag}} {{.Size}}" good
        rmi good:1
        history --format="{{.Size}} {{.Comment}}" NAME
    """,
    "files": """
        create --name=hold --volume=/data IMAGE sleep 1000
        cp hold:/nosuch -
        cp /bin/busybox hold:/data/
        cp /bin/busybox hold:/nosuch/x
        diff hold
        start hold
        diff hold
        cp /bin/busybox hold:/copied
        exec hold ls -ln /data/busybox /copied
        exec hold sh -c "rm /etc/plain; rm -r /tmp; echo x >> /etc/group; ln -s / /l"
        diff hold
        commit --message=why --author=me --change="CMD echo hi" hold kept:1
        history --format="{{.CreatedBy}}|{{.Size}}|{{.Comment}}" kept:1
        run --rm --network=none kept:1
        run --rm --network=none kept:1 ls /etc/plain /tmp /l
        commit nosuch
        commit hold Bad
        export nosuch
        rmi kept:1
        system df
        rm --force --volumes hold
        image prune --force
    """,
    "registry": """
        tag NAME REGISTRY/boat:1
        tag NAME REGISTRY/fleet/boat:1
        push REGISTRY/boat:1
        push REGISTRY/boat:1
        push REGISTRY/fleet/boat:1
        push --quiet REGISTRY/fleet/boat:1
        push REGISTRY/nosuch
        push --all-tags REGISTRY/boat
        inspect --format="{{json .RepoTags}} {{len .RepoDigests}}" REGISTRY/boat:1
        rmi REGISTRY/boat:1
        rmi REGISTRY/fleet/boat:1
        pull REGISTRY/boat:1
        pull REGISTRY/boat:1
        pull --quiet REGISTRY/fleet/boat:1
        pull --all-tags REGISTRY/boat
        pull REGISTRY/nosuch
        pull REGISTRY/nosuch@sha256:ZEROS
        pull 127.0.0.1:5009/boat
        pull Bad
        rmi REGISTRY/boat:1
        rmi REGISTRY/fleet/boat:1
        pull REGISTRY/boat:1
        history --format="{{.CreatedBy}}|{{.Size}}" REGISTRY/boat:1
        rmi REGISTRY/boat:1
    """,
}


@pytest.fixture(scope="module", autouse=True)
def _cleared(seatriald: Seatriald, docker: Docker) -> None:
    """Remove what other tests have left: lists are to be the same."""
    for engine in (seatriald, docker):
        if containers := engine("ps", "--all", "--quiet").lines:
            assert engine("rm", "--force", *containers).status == 0
        if volumes := engine("volume", "ls", "--quiet").lines:
            assert engine("volume", "rm", *volumes).status == 0


def _said(engine: Engine, line: str) -> tuple[int, str, str]:
    done = engine(*shlex.split(line))
    told = done.stdout
    if line.split(maxsplit=1)[0] == "diff":  # docker's own order is none
        told = "".join(sorted(told.splitlines(keepends=True)))
    return done.status, _without_ids(told), _without_ids(done.stderr)


def _without_ids(text: str) -> str:
    text = re.sub(r"\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b", "<id>", text)
    return re.sub(r"(<id>) size: \d+", r"\1 size: <size>", text)


def _inspected(engine: Engine) -> dict[str, Any]:
    done = engine("inspect", "--type=container", "--format={{json .HostConfig}}", "looked-at")
    told: dict[str, Any] = json.loads(done.stdout)
    return {name: value for name, value in told.items() if name not in {"MaskedPaths", "Runtime"}}


@pytest.mark.parametrize("name", _SITTINGS)
def test_a_sitting_gives_the_same_output(seatriald: Seatriald, docker: Docker, name: str) -> None:
    text = _SITTINGS[name].replace("IMAGE", f"--network=none {image.NAME}")
    if name == "registry":
        for engine in (seatriald, docker):
            Registry(engine.room, 5000)
        text = text.replace("REGISTRY", "127.0.0.1:5000").replace("ZEROS", "0" * 64)
    lines = text.replace("NAME", image.NAME).strip().splitlines()
    differing = [
        (line, ours, theirs)
        for line in lines
        if (ours := _said(seatriald, line)) != (theirs := _said(docker, line))
    ]
    assert differing == []


def test_what_was_asked_for_is_told_with_the_same_defaults(
    seatriald: Seatriald, docker: Docker
) -> None:
    options = ("--network=none", "--memory=64m", "--cpus=0.5", "--cap-add=SYS_TIME", "--tmpfs=/x")
    told = []
    for engine in (seatriald, docker):
        made = engine("create", "--name=looked-at", *options, image.NAME, "true")
        assert made.status == 0, made
        told.append(_inspected(engine))
        assert engine("rm", "looked-at").status == 0
    assert told[0] == told[1]
