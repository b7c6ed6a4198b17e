"""The daemon itself: ping, version, info, events."""

from __future__ import annotations

import os
import platform
import time
from contextlib import aclosing
from importlib import metadata
from typing import TYPE_CHECKING, Any

from aiohttp import web

from seatrial.engine import cgroups, checking, clock, explaining
from seatrial.engine.api import http
from seatrial.engine.errors import NotFound
from seatrial.engine.registry.manifests import ARCHITECTURE

if TYPE_CHECKING:
    from seatrial.engine.engine import Engine

_EVENT_FILTERS = {
    *("config", "container", "daemon", "event", "image", "label", "network", "node", "plugin"),
    *("scope", "secret", "service", "type", "volume"),
}


class System:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._version = metadata.version("seatrial")

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("GET", "/_ping", self._ping)
        routes.add("GET", "/plugins/{name}/json", self._no_plugin)
        routes.add("GET", "/version", self._tell_version)
        routes.add("GET", "/info", self._info)
        routes.add("GET", "/events", self._events)
        routes.add("GET", "/seatrial/explain/{id}", self._explain)
        routes.add("GET", "/seatrial/check", self._check)

    async def _no_plugin(self, request: web.Request) -> web.StreamResponse:
        """Say so as of anything that is not there: clients look for names among plugins too."""
        raise NotFound(f'plugin "{request.match_info["name"]}" not found')

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        del request
        more = {
            "Builder-Version": "1",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
            "Swarm": "inactive",
        }
        return web.Response(text="OK", headers={**http.headers(), **more})

    async def _tell_version(self, request: web.Request) -> web.StreamResponse:
        del request
        kernel = platform.release()
        details = {
            "ApiVersion": http.VERSION,
            "Arch": ARCHITECTURE,
            "Experimental": "false",
            "KernelVersion": kernel,
            "MinAPIVersion": http.OLDEST_VERSION,
            "Os": "linux",
        }
        return http.reply(
            {
                "Platform": {"Name": "Seatrial"},
                "Components": [
                    {"Name": "Engine", "Version": self._version, "Details": details},
                    *(
                        {"Name": name, "Version": runtime.path, "Details": {}}
                        for name, runtime in self._engine.runtimes.items()
                    ),
                ],
                "Version": self._version,
                "ApiVersion": http.VERSION,
                "MinAPIVersion": http.OLDEST_VERSION,
                "GitCommit": "",
                "GoVersion": "",
                "Os": "linux",
                "Arch": ARCHITECTURE,
                "KernelVersion": kernel,
                "BuildTime": "",
            }
        )

    async def _info(self, request: web.Request) -> web.StreamResponse:
        del request
        engine = self._engine
        states = [container.record.state.status for container in engine.containers.all()]
        running, paused = states.count("running"), states.count("paused")
        controllers = cgroups.mounts()
        have = {
            name: name in controllers or engine.v2 for name in ("memory", "cpu", "cpuset", "pids")
        }
        told: dict[str, Any] = {
            "ID": engine.id,
            "Containers": len(states),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running - paused,
            "Images": len(engine.images.all()),
            "Driver": "overlay2",
            "DriverStatus": [["Layers", "overlayfs"]],
            "Plugins": {
                "Volume": ["local"],
                "Network": ["bridge", "host", "null"],
                "Authorization": None,
                "Log": ["json-file", "none"],
            },
            "MemoryLimit": have["memory"],
            "SwapLimit": have["memory"],
            "CpuCfsPeriod": have["cpu"],
            "CpuCfsQuota": have["cpu"],
            "CPUShares": have["cpu"],
            "CPUSet": have["cpuset"],
            "PidsLimit": have["pids"],
            "OomKillDisable": have["memory"] and not engine.v2,
            "IPv4Forwarding": _is_set("/proc/sys/net/ipv4/ip_forward"),
            "Debug": False,
            "NFd": len(os.listdir("/proc/self/fd")),
            "NGoroutines": 1,
            "NEventsListener": engine.events.listeners,
            "SystemTime": clock.now(),
            "LoggingDriver": "json-file",
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": "2" if engine.v2 else "1",
            "KernelVersion": platform.release(),
            "OperatingSystem": _operating_system(),
            "OSVersion": "",
            "OSType": "linux",
            "Architecture": platform.machine(),
            "IndexServerAddress": "",
            "RegistryConfig": None,
            "NCPU": os.cpu_count() or 1,
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "GenericResources": None,
            "DockerRootDir": engine.settings.root,
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "Name": platform.node(),
            "Labels": [],
            "ExperimentalBuild": False,
            "ServerVersion": self._version,
            "Runtimes": {name: {"path": each.path} for name, each in engine.runtimes.items()},
            "DefaultRuntime": engine.settings.default_runtime,
            "Swarm": {"NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": False},
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": "",
            "ContainerdCommit": {"ID": ""},
            "RuncCommit": {"ID": ""},
            "InitCommit": {"ID": ""},
            "SecurityOptions": ["name=seccomp,profile=builtin"],
            "Warnings": None,
        }
        return http.reply(told)

    async def _explain(self, request: web.Request) -> web.StreamResponse:
        record = self._engine.containers.find(request.match_info["id"]).record
        return web.Response(text=await explaining.chain(self._engine, record))

    async def _check(self, request: web.Request) -> web.StreamResponse:
        del request
        return web.Response(text="".join(f"{each}\n" for each in checking.complaints(self._engine)))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, _EVENT_FILTERS)
        since, until = (request.query.get(name, "") for name in ("since", "until"))
        since_ns = clock.given_ns(since) if since else None
        until_ns = clock.given_ns(until) if until else None
        if since_ns is None and until_ns is not None and until_ns < time.time_ns():
            return http.reply({"message": "`since` time must be before `until` time"}, 400)
        stream = http.Stream(request)
        await stream.begin()
        async with aclosing(self._engine.events.listen(chosen, since_ns, until_ns)) as events:
            async for event in events:
                await stream.say(event)
        return await stream.end()


def _is_set(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
