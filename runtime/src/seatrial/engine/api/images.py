"""Images: list, inspect, load, save, import, tag, remove."""

from __future__ import annotations

import asyncio
import fnmatch
import tempfile
from typing import TYPE_CHECKING, Any

import msgspec

from seatrial.engine import clock, image_archives, references, selecting
from seatrial.engine.api import http
from seatrial.engine.api.registries import Registries
from seatrial.engine.changes import parse as parse_changes
from seatrial.engine.errors import BadRequest, Unsupported

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.engine import Engine
    from seatrial.engine.images import Image

_CHUNK = 1 << 18
#: From this version on an image has one size.
_ONE_SIZE_SINCE = (1, 44)


class Images:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._images = engine, engine.images
        self._folder = engine.settings.scratch
        self._registries = Registries(engine)

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        self._registries.join(routes)
        routes.add("GET", "/images/json", self._list)
        routes.add("POST", "/images/load", self._load)
        routes.add("POST", "/images/create", self._create)
        routes.add("POST", "/images/prune", self._prune)
        routes.add("GET", "/images/get", self._save)
        routes.add("GET", "/images/{name:.+}/get", self._save)
        routes.add("GET", "/images/{name:.+}/json", self._inspect)
        routes.add("GET", "/images/{name:.+}/history", self._history)
        routes.add("POST", "/images/{name:.+}/tag", self._tag)
        routes.add("DELETE", "/images/{name:.+}", self._remove)
        routes.add("POST", "/build/prune", self._prune_build)

    def _image(self, request: web.Request) -> Image:
        return self._images.find(request.match_info["name"])

    # --- told -----------------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.StreamResponse:
        known = {"before", "dangling", "label", "reference", "since", "until"}
        chosen = http.filters(request, known)
        only = request.query.get("filter", "")
        if only:
            chosen.setdefault("reference", []).append(only)
        found = [
            self.summary(request, each) for each in self._images.all() if self._chosen(each, chosen)
        ]
        patterns = chosen.get("reference")
        if patterns:
            for each in found:
                each["RepoTags"] = [tag for tag in each["RepoTags"] if _named(tag, patterns)]
        return http.reply(sorted(found, key=lambda each: each["Created"], reverse=True))

    def summary(self, request: web.Request, image: Image) -> dict[str, Any]:
        """Return what a list of images tells of one."""
        document = self._images.document(image)
        made = {
            "Containers": -1,
            "Created": _seconds(document.get("created")),
            "Id": image.id,
            "Labels": (document.get("config") or {}).get("Labels"),
            "ParentId": "",
            "RepoDigests": self._images.digests(image),
            "RepoTags": self._images.names(image),
            "SharedSize": -1,
            "Size": image.size_bytes,
        }
        if http.version(request) < _ONE_SIZE_SINCE:
            made["VirtualSize"] = image.size_bytes
        return made

    def _chosen(self, image: Image, chosen: dict[str, list[str]]) -> bool:
        names = self._images.names(image)
        document = self._images.document(image)
        created = _seconds(document.get("created"))
        for kind, values in chosen.items():
            if kind == "dangling":
                found = (not names) == (values[:1] in (["true"], ["1"]))
            elif kind == "label":
                labels = (document.get("config") or {}).get("Labels")
                found = all(selecting.has_label(labels, each) for each in values)
            elif kind == "reference":
                found = any(_named(name, values) for name in names)
            else:
                edges = [self._edge(kind, value) for value in values]
                found = all(created > edge if kind == "since" else created < edge for edge in edges)
            if not found:
                return False
        return True

    def _edge(self, kind: str, value: str) -> int:
        if kind == "until":
            return clock.given_ns(value) // 1_000_000_000
        return _seconds(self._images.document(self._images.find(value)).get("created"))

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        image = self._image(request)
        document = self._images.document(image)
        upper, *lower = [
            self._images.layers.path(each.diff_id) for each in reversed(image.layers)
        ] or [""]
        history = document.get("history") or [{}]
        config = self._images.config(image)
        told: dict[str, Any] = {
            "Id": image.id,
            "RepoTags": self._images.names(image),
            "RepoDigests": self._images.digests(image),
            "Parent": "",
            "Comment": history[-1].get("comment", ""),
            "Created": document.get("created") or clock.NEVER,
            "DockerVersion": document.get("docker_version", ""),
            "Author": document.get("author", ""),
            "Config": msgspec.to_builtins(config),
            "Architecture": document.get("architecture", ""),
            "Os": document.get("os", ""),
            "Size": image.size_bytes,
            "GraphDriver": {
                "Name": "overlay2",
                "Data": {"UpperDir": upper, **({"LowerDir": ":".join(lower)} if lower else {})},
            },
            "RootFS": {"Type": "layers", "Layers": [each.diff_id for each in image.layers]},
            "Metadata": {"LastTagTime": clock.NEVER},
        }
        if http.version(request) < _ONE_SIZE_SINCE:
            told["VirtualSize"] = image.size_bytes
        return http.reply(told)

    async def _history(self, request: web.Request) -> web.StreamResponse:
        image = self._image(request)
        layers = list(image.layers)
        told = []
        for entry in self._images.document(image).get("history") or []:
            empty = bool(entry.get("empty_layer")) or not layers
            told.append(
                {
                    "Id": "<missing>",
                    "Created": _seconds(entry.get("created")),
                    "CreatedBy": entry.get("created_by", ""),
                    "Tags": None,
                    "Size": 0 if empty else layers.pop(0).size_bytes,
                    "Comment": entry.get("comment", ""),
                }
            )
        told.reverse()
        if told:
            told[0]["Id"], told[0]["Tags"] = image.id, self._images.names(image) or None
        return http.reply(told)

    # --- archives -------------------------------------------------------------------------------

    async def _load(self, request: web.Request) -> web.StreamResponse:
        async with http.received(request, self._folder) as file, self._images.lock:
            loaded = await asyncio.to_thread(image_archives.load, self._images, file)
        stream = http.Stream(request)
        await stream.begin()
        for image, names in loaded:
            self._engine.events.tell("image", "load", image.id, {"name": (names or [image.id])[0]})
            for name in names:
                await stream.say({"stream": f"Loaded image: {name}\n"})
            if not names:
                await stream.say({"stream": f"Loaded image ID: {image.id}\n"})
        return await stream.end()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("fromImage"):
            return await self._registries.pull(request)
        if request.query.get("fromSrc") != "-":
            raise Unsupported("images are imported from the request's body (fromSrc=-) only")
        repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
        target = references.with_tag(repository, tag) if repository else None
        if target is not None and target.digest:
            raise BadRequest("cannot import digest reference")
        changes = parse_changes(request.query.getall("changes", []))
        message = request.query.get("message", "") or "Imported from -"
        async with http.received(request, self._folder) as file, self._images.lock:
            image = await asyncio.to_thread(
                image_archives.import_layer, self._images, file, message=message, changes=changes
            )
            if target is not None:
                self._images.tag(image, target, action="")
        named = str(target) if target is not None else image.id
        self._engine.events.tell("image", "import", image.id, {"name": named})
        stream = http.Stream(request)
        await stream.begin()
        await stream.say({"status": image.id})
        return await stream.end()

    async def _save(self, request: web.Request) -> web.StreamResponse:
        names = request.query.getall("names", []) or [request.match_info.get("name", "")]
        names = [each for name in names for each in name.split(",") if each]
        for name in names:
            self._images.find(name)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            await asyncio.to_thread(image_archives.save, self._images, names, file)
            file.seek(0)
            stream = http.Stream(request, "application/x-tar")
            await stream.begin()
            while data := await asyncio.to_thread(file.read, _CHUNK):
                await stream.response.write(data)
        return await stream.end()

    # --- names ----------------------------------------------------------------------------------

    async def _tag(self, request: web.Request) -> web.StreamResponse:
        image = self._image(request)
        reference = references.with_tag(request.query.get("repo", ""), request.query.get("tag", ""))
        if reference.digest:
            raise BadRequest("refusing to create a tag with a digest reference")
        self._images.tag(image, reference)
        return http.done(201)

    def _users(self) -> dict[str, list[tuple[str, bool]]]:
        users: dict[str, list[tuple[str, bool]]] = {}
        for container in self._engine.containers.all():
            record = container.record
            users.setdefault(record.image_id, []).append((record.id, record.state.running))
        return users

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        force = http.flag(request, "force")
        async with self._images.lock:
            done = self._images.remove(request.match_info["name"], force=force, users=self._users())
            await asyncio.to_thread(self._images.sweep, self._engine.layers_in_use())
        return http.reply(done)

    async def _prune(self, request: web.Request) -> web.StreamResponse:
        chosen = http.filters(request, {"dangling", "label", "label!", "until"})
        dangling = chosen.pop("dangling", ["true"])[:1] not in (["false"], ["0"])
        unwanted = chosen.pop("label!", [])
        users = self._users()
        done: list[dict[str, str]] = []
        size = 0
        async with self._images.lock:
            for image in self._images.all():
                labels = (self._images.document(image).get("config") or {}).get("Labels")
                if image.id in users or any(selecting.has_label(labels, each) for each in unwanted):
                    continue
                if (dangling and self._images.names(image)) or not self._chosen(image, chosen):
                    continue
                removed = self._images.remove(image.id, force=True, users=users)
                gone = {each.get("Deleted") for each in removed}
                size += sum(layer.size_bytes for layer in image.layers if layer.diff_id in gone)
                done.extend(removed)
            await asyncio.to_thread(self._images.sweep, self._engine.layers_in_use())
        self._engine.events.tell("image", "prune", "", {"reclaimed": str(size)})
        return http.reply({"ImagesDeleted": done or None, "SpaceReclaimed": size})

    async def _prune_build(self, request: web.Request) -> web.StreamResponse:
        del request
        return http.reply({"CachesDeleted": None, "SpaceReclaimed": 0})


def _named(name: str, patterns: list[str]) -> bool:
    repository = name.rpartition(":")[0]
    return any(
        fnmatch.fnmatchcase(each, pattern) for pattern in patterns for each in (name, repository)
    )


def _seconds(text: object) -> int:
    if not isinstance(text, str) or text == clock.NEVER:
        return 0
    try:
        return clock.to_ns(text) // 1_000_000_000
    except ValueError:
        return 0
