"""Registries that lie, stop, never end, or lead elsewhere: nothing of it becomes an image.

The registry is a small one of our own, on loopback addresses; each test says what it does wrong.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from daemons.hostile import (
    BASIC,
    INDEX,
    MANIFEST,
    PASSWORD,
    USER,
    Hostile,
    answering,
    basic,
    digest_of,
    layer_of,
    redirecting,
    wanting,
)

from seatrial.engine import pulling, pushing, references
from seatrial.engine.blobs import Blobs
from seatrial.engine.database import Database
from seatrial.engine.errors import BadRequest, EngineError, NotFound, Unauthorized
from seatrial.engine.events import Events
from seatrial.engine.images import Images
from seatrial.engine.layers import Layers
from seatrial.engine.progress import Progress
from seatrial.engine.registry.credentials import NOBODY, Credentials
from seatrial.engine.registry.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

SAILOR = Credentials(username=USER, password=PASSWORD)


class Store:
    """An engine's images, without the engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = Images(
            Database(f"{folder}/engine.db"),
            Blobs(f"{folder}/image"),
            Layers(f"{folder}/layers"),
            Events(),
        )
        self.told: list[dict[str, Any]] = []

    async def _say(self, document: dict[str, Any]) -> None:
        self.told.append(document)

    async def pull(
        self, address: str, credentials: Credentials = NOBODY, name: str = "boat:1"
    ) -> None:
        await pulling.pull(
            self.images,
            references.parse(f"{address}/{name}", latest=False),
            pulling.Source(Trust(), credentials),
            Progress(self._say),
        )

    async def push(self, address: str, credentials: Credentials = NOBODY) -> None:
        reference = references.parse(f"{address}/boat:1")
        source = pulling.Source(Trust(), credentials)
        await pushing.push(self.images, reference, source, Progress(self._say))

    def must_be_empty(self) -> None:
        """Nothing is left: no image, no blob, no layer, nothing half."""
        self.images.sweep(())
        assert self.images.all() == []
        left = [each for each in self.folder.rglob("*") if each.is_file() or "layers/" in str(each)]
        assert {each.name for each in left} - {
            *("engine.db", "engine.db-wal", "engine.db-shm", "oci-layout", "index.json"),
        } == set()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def _pull(store: Store, hostile: Hostile, credentials: Credentials = NOBODY) -> None:
    async def run() -> None:
        async with hostile.serving() as address:
            await store.pull(address, credentials)

    asyncio.run(run())


def _refused(
    store: Store, hostile: Hostile, why: str, kind: type[EngineError] = EngineError
) -> None:
    with pytest.raises(kind, match=why):
        _pull(store, hostile)
    store.must_be_empty()


def test_what_is_right_is_pulled(store: Store) -> None:
    hostile = Hostile()
    _pull(store, hostile)
    (image,) = store.images.all()
    assert image.manifest == digest_of(json.dumps(hostile.manifest).encode())
    assert store.told[-1]["status"].startswith("Status: Downloaded newer image")


# --- bytes that are not what was said ---------------------------------------------------------


def test_a_layer_of_another_digest_is_refused(store: Store) -> None:
    hostile = Hostile()
    other = bytes(reversed(hostile.layer))
    hostile.handlers[hostile.layer_path] = answering(other)
    _refused(store, hostile, "verification failed for digest", BadRequest)


def test_a_config_of_another_digest_is_refused(store: Store) -> None:
    hostile = Hostile()
    hostile.handlers[f"/v2/boat/blobs/{digest_of(hostile.config)}"] = answering(
        hostile.config.replace(b"sh", b"xx")
    )
    _refused(store, hostile, "verification failed for digest", BadRequest)


def test_a_layer_that_is_another_archive_than_the_config_says_is_refused(store: Store) -> None:
    hostile = Hostile()
    hostile.layer = gzip.compress(layer_of("other"), mtime=0)
    hostile.manifest["layers"][0] |= {
        "digest": digest_of(hostile.layer),
        "size": len(hostile.layer),
    }
    _refused(store, hostile, "as was said", BadRequest)


def test_a_manifest_of_another_digest_is_refused(store: Store) -> None:
    hostile = Hostile()
    wrong = f"sha256:{'0' * 64}"
    hostile.handlers[f"/v2/boat/manifests/{wrong}"] = answering(b"{}", MANIFEST)

    async def run() -> None:
        async with hostile.serving() as address:
            await store.pull(address, name=f"boat@{wrong}")

    with pytest.raises(BadRequest, match="manifest verification failed"):
        asyncio.run(run())
    store.must_be_empty()


def test_a_layer_without_an_end_is_refused(store: Store) -> None:
    hostile = Hostile()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    hostile.handlers[hostile.layer_path] = endless
    _refused(store, hostile, "longer than was said", BadRequest)


def test_a_manifest_without_an_end_is_refused(store: Store) -> None:
    hostile = Hostile()
    hostile.handlers["/v2/boat/manifests/1"] = answering(b" " * (5 << 20), MANIFEST)
    _refused(store, hostile, "longer than 4194304 bytes")


def test_a_layer_that_is_shorter_than_was_said_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seatrial.engine.registry.downloads._FIRST_WAIT_S", 0)
    hostile = Hostile()
    hostile.manifest["layers"][0]["size"] += 1
    hostile.handlers[hostile.layer_path] = answering(hostile.layer)
    _refused(store, hostile, "ends after", BadRequest)


@pytest.mark.parametrize("cuts", [1, 7])
def test_a_layer_that_is_cut_goes_on_where_it_was_cut(store: Store, cuts: int) -> None:
    hostile = Hostile(layer_of("text" * 1000))
    step = len(hostile.layer) // (cuts + 1)
    asked: list[str] = []

    async def cutting(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range", ""))
        start = int(asked[-1][6:-1] or 0)
        whole, total = hostile.layer[start:], len(hostile.layer)
        headers = {"Content-Length": str(len(whole))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        cut = len(asked) <= cuts
        await response.write(whole[:step] if cut else whole)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    hostile.handlers[hostile.layer_path] = cutting
    _pull(store, hostile)
    assert len(store.images.all()) == 1
    assert len(asked) == cuts + 1
    assert all(asked[1:])


def test_a_part_that_was_not_asked_for_is_refused(store: Store) -> None:
    hostile = Hostile(layer_of("text" * 1000))

    async def lying(request: web.Request) -> web.StreamResponse:
        start = request.headers.get("Range")
        total = len(hostile.layer)
        headers = {"Content-Length": str(total), "Content-Range": f"bytes 0-{total - 1}/{total}"}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        await response.prepare(request)
        await response.write(hostile.layer[:10])
        assert request.transport is not None
        request.transport.abort()
        return response

    hostile.handlers[hostile.layer_path] = lying
    _refused(store, hostile, "another part came", BadRequest)


# --- manifests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schemaVersion": 1}, "schemaVersion 1 is not 2"),
        ({"manifests": []}, "with manifests"),
        ({"mediaType": INDEX}, "it says to be"),
        ({"layers": None}, "has no layers"),
        ({"layers": [{}] * 501}, "more than 500 layers"),
        ({"layers": [{"digest": "md5:" + "0" * 32}]}, "not sha256"),
        ({"layers": [{"digest": "sha256:" + "A" * 64}]}, "not sha256"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]}, "size -1"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": 1 << 50}]}, "size"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": 1, "urls": ["x"]}]}, "elsewhere"),
        ({"layers": []}, "0 layers, and 1 in the config"),
        ({"config": None}, "a descriptor is no JSON object"),
    ],
)
def test_a_manifest_that_is_none_is_refused(store: Store, change: dict[str, Any], why: str) -> None:
    hostile = Hostile()
    hostile.manifest |= change
    _refused(store, hostile, why, BadRequest)


def test_a_manifest_of_an_unknown_type_is_refused(store: Store) -> None:
    hostile = Hostile()
    hostile.kind = "text/html"
    _refused(store, hostile, "unsupported media type 'text/html'", BadRequest)


@pytest.mark.parametrize("data", [b"", b"nothing", b"[" * 100_000, b"[]", b'{"schemaVersion":2}'])
def test_what_is_no_manifest_is_refused(store: Store, data: bytes) -> None:
    hostile = Hostile()
    hostile.handlers["/v2/boat/manifests/1"] = answering(data, MANIFEST)
    _refused(store, hostile, "invalid manifest", BadRequest)


def test_of_an_index_the_image_for_this_machine_is_taken(store: Store) -> None:
    hostile = Hostile()
    data = json.dumps(hostile.manifest).encode()
    entry = {"mediaType": MANIFEST, "digest": digest_of(data), "size": len(data)}
    index = {
        "schemaVersion": 2,
        "manifests": [
            {**entry, "platform": {"os": "linux", "architecture": "riscv64"}, "size": 1},
            {**entry, "platform": {"os": "linux", "architecture": "amd64"}},
        ],
    }
    hostile.handlers["/v2/boat/manifests/1"] = answering(json.dumps(index).encode(), INDEX)
    _pull(store, hostile)
    (image,) = store.images.all()
    assert image.manifest == digest_of(data)
    assert store.images.digests(image)[0].endswith(digest_of(json.dumps(index).encode()))


def test_an_index_without_this_machine_has_nothing(store: Store) -> None:
    hostile = Hostile()
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    hostile.handlers["/v2/boat/manifests/1"] = answering(index, INDEX)
    _refused(store, hostile, "no matching manifest for linux/amd64", NotFound)


def test_tags_without_an_end_are_refused(store: Store) -> None:
    hostile = Hostile()

    async def again(request: web.Request) -> web.StreamResponse:
        return web.json_response({"tags": ["1"]}, headers={"Link": f'<{request.path}>; rel="next"'})

    hostile.handlers["/v2/boat/tags/list"] = again

    async def run() -> None:
        async with hostile.serving() as address:
            await store.pull(address, name="boat")

    with pytest.raises(EngineError, match="without end"):
        asyncio.run(run())
    assert len(hostile.heard) < 110


# --- who hears what ---------------------------------------------------------------------------


def test_a_token_is_asked_for_with_the_rights_that_are_needed(store: Store) -> None:
    hostile, asked = Hostile(), []

    async def token(request: web.Request) -> web.StreamResponse:
        asked.append((request.query.getall("scope"), request.query["service"]))
        return web.json_response({"access_token": "t"})

    async def run() -> None:
        async with hostile.serving() as address:
            hostile.handlers["/token"] = token
            manifest = hostile.paths["/v2/boat/manifests/1"]
            closed = wanting(f"http://{address}/token")

            async def protected(request: web.Request) -> web.StreamResponse:
                answer = await closed(request)
                given = web.Response(body=manifest, content_type=MANIFEST)
                return answer if answer.status == 401 else given

            hostile.handlers["/v2/boat/manifests/1"] = protected
            await store.pull(address, SAILOR)

    asyncio.run(run())
    assert asked == [(["repository:boat:pull"], "s")]
    assert ("/token", BASIC) in hostile.heard
    assert hostile.heard[-1][1] == "Bearer t"


def test_credentials_are_not_sent_to_another_host_for_a_token(store: Store) -> None:
    hostile, other = Hostile(), Hostile()

    async def denied(request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"errors": []}, status=401)

    other.handlers["/token"] = denied

    async def run() -> None:
        async with hostile.serving() as address, other.serving("127.0.0.2") as elsewhere:
            hostile.handlers["/v2/boat/manifests/1"] = wanting(f"http://{elsewhere}/token")
            await store.pull(address, SAILOR)

    with pytest.raises(EngineError, match=r"--token-host 127\.0\.0\.1=127\.0\.0\.2\)"):
        asyncio.run(run())
    assert other.heard == [("/token", "")]


def test_no_authorization_follows_a_redirect_to_another_host(store: Store) -> None:
    hostile, other = Hostile(), Hostile()

    async def run() -> None:
        async with hostile.serving() as address, other.serving("127.0.0.2") as elsewhere:
            hostile.handlers["/v2/boat/manifests/1"] = basic(hostile.paths["/v2/boat/manifests/1"])
            hostile.handlers[hostile.layer_path] = redirecting(
                f"http://{elsewhere}{hostile.layer_path}"
            )
            await store.pull(address, SAILOR)

    asyncio.run(run())
    assert (hostile.layer_path, BASIC) in hostile.heard
    assert other.heard == [(hostile.layer_path, "")]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http://203.0.113.1/x", "leads to http://203.0.113.1/x, which has no TLS"),
        ("ftp://127.0.0.1/x", "leads nowhere"),
        ("http://[/", "leads nowhere"),
        ("", "leads nowhere"),
    ],
)
def test_redirects_to_where_nobody_should_go_are_refused(
    store: Store, target: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seatrial.engine.registry.downloads._FIRST_WAIT_S", 0)
    hostile = Hostile()
    hostile.handlers[hostile.layer_path] = redirecting(target)
    _refused(store, hostile, why)


def test_redirects_without_an_end_are_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seatrial.engine.registry.downloads._FIRST_WAIT_S", 0)
    hostile = Hostile()
    hostile.handlers[hostile.layer_path] = redirecting(hostile.layer_path)
    _refused(store, hostile, "redirects too often")


def test_credentials_are_seen_in_no_error_and_no_repr(store: Store) -> None:
    hostile = Hostile()
    hostile.handlers["/v2/boat/manifests/1"] = basic(b"", right="Basic nobody")
    with pytest.raises(NotFound, match="pull access denied") as caught:
        _pull(store, hostile, SAILOR)
    assert "ahoy" not in str(caught.value)
    assert "ahoy" not in repr(SAILOR)


def test_a_token_that_could_split_a_header_is_refused(store: Store) -> None:
    hostile = Hostile()

    async def evil(request: web.Request) -> web.StreamResponse:
        del request
        return web.json_response({"token": "t\r\nX: y"})

    async def run() -> None:
        async with hostile.serving() as address:
            hostile.handlers["/token"] = evil
            hostile.handlers["/v2/boat/manifests/1"] = wanting(f"http://{address}/token")
            await store.pull(address)

    with pytest.raises(EngineError, match="gives no token"):
        asyncio.run(run())


# --- pushing ----------------------------------------------------------------------------------


def test_an_upload_that_leads_elsewhere_goes_there_without_authorization(store: Store) -> None:
    hostile, other = Hostile(), Hostile()

    async def created(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=201)

    async def run() -> None:
        async with hostile.serving() as address, other.serving("127.0.0.2") as elsewhere:
            await store.pull(address)
            for digest in (digest_of(hostile.layer), digest_of(hostile.config)):
                hostile.handlers[f"/v2/boat/blobs/{digest}"] = basic(b"", status=404)

            async def begin(request: web.Request) -> web.StreamResponse:
                del request
                headers = {"Location": f"http://{elsewhere}/upload?state=1%2B2"}
                return web.Response(status=202, headers=headers)

            hostile.handlers["/v2/boat/blobs/uploads/"] = begin
            hostile.handlers["/v2/boat/manifests/1"] = created
            other.handlers["/upload"] = created
            await store.push(address, SAILOR)

    asyncio.run(run())
    assert other.heard == [("/upload", "")] * 2
    assert store.told[-1]["aux"]["Tag"] == "1"


def test_what_is_not_there_is_not_pushed(store: Store) -> None:
    with pytest.raises(NotFound, match="does not exist locally with the tag"):
        asyncio.run(store.push("127.0.0.1:1"))


def test_a_registry_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(EngineError, match=r'Get "http://127\.0\.0\.1:1/v2/": .*connection refused'):
        asyncio.run(store.pull("127.0.0.1:1"))


def test_who_may_hear_nothing_without_credentials_is_told_so(store: Store) -> None:
    hostile = Hostile()
    hostile.handlers["/v2/boat/manifests/1"] = basic(b"")
    with pytest.raises((Unauthorized, NotFound), match="no basic auth credentials"):
        _pull(store, hostile)
