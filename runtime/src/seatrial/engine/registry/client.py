"""Requests to one registry: who we are, where it sends us, and what its errors mean.

Credentials go to the registry itself, and to the host of its tokens if that may hear them
(``endpoints.Trust``). They follow no redirect to another host, and nothing falls from TLS to none.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import aiohttp
from yarl import URL

from seatrial.engine.errors import EngineError, NotFound, Unauthorized
from seatrial.engine.registry import challenges, endpoints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from seatrial.engine.registry.credentials import Credentials
    from seatrial.engine.registry.endpoints import Endpoint
    from seatrial.engine.registry.trust import Trust

_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: A connection has to be there, and something has to come, within so many seconds.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
_LONGEST_ANSWER = 1 << 20
_OK, _UNKNOWN, _FORBIDDEN, _MISSING = 200, 401, 403, 404
_CLIENT = "seatrial"


class RegistryError(EngineError):
    """A registry refused, or could not be understood; ``code`` is its own word for it."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Sent(NamedTuple):
    """What a request is made of."""

    method: str
    headers: dict[str, str]
    #: Makes the body, anew for each attempt.
    body: Callable[[], Any] | None


class Client:
    """A connection to a registry, with the rights that were asked for so far."""

    def __init__(self, registry: str, trust: Trust, credentials: Credentials) -> None:
        self.registry, self._trust, self._credentials = registry, trust, credentials
        self._scopes: set[str] = set()
        self._authorization = ""
        self._endpoint: Endpoint | None = None
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_TIMEOUT,
            headers={"User-Agent": _CLIENT, "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        try:
            await self._find()
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    @property
    def url(self) -> URL:
        """The registry's address."""
        assert self._endpoint is not None  # noqa: S101 - it is found on entering
        return self._endpoint.url

    def want(self, path: str, actions: str) -> None:
        """Ask for rights on a repository with the next token."""
        scope = f"repository:{path}:{actions}"
        if scope not in self._scopes:
            self._scopes.add(scope)
            if not self._authorization.startswith("Basic "):
                self._authorization = ""

    async def _find(self) -> None:
        """Find the first address that a registry answers at."""
        tried = endpoints.of(self.registry, self._trust)
        for number, endpoint in enumerate(tried, 1):
            self._endpoint = endpoint
            try:
                async with self._session.get(
                    endpoint.url / "v2/", ssl=endpoint.context, allow_redirects=False
                ) as response:
                    await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if number == len(tried):
                    raise _unreachable("GET", endpoint.url / "v2/", error) from None
            else:
                return

    async def check(self) -> None:
        """Ask the registry whether it knows us: ``docker login``."""
        async with self.request("GET", self.url / "v2/") as response:
            if response.status != _OK:
                raise await error_of(response)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: dict[str, str] | None = None,
        body: Callable[[], Any] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give a request's answer, whatever its status; raises EngineError if there is none."""
        response = await self._answer(url, Sent(method, headers or {}, body))
        try:
            yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(method, url, error) from None
        finally:
            response.close()

    async def _answer(self, url: URL, sent: Sent) -> aiohttp.ClientResponse:
        asked = False
        for _ in range(_MOST_REDIRECTS + 2):
            response = await self._send(url, sent)
            if response.status == _UNKNOWN and self._own(url) and not asked:
                asked = True
                offered = challenges.read(response.headers.getall("WWW-Authenticate", ()))
                response.close()
                await self._authorize(offered)
                continue
            if response.status not in _REDIRECTS or sent.method not in {"GET", "HEAD"}:
                return response
            response.close()
            url = self.follow(url, response.headers.get("Location", ""))
        raise RegistryError(f"{self.registry} redirects too often: {_shown(url)}")

    async def _send(self, url: URL, sent: Sent) -> aiohttp.ClientResponse:
        own = self._own(url)
        headers = dict(sent.headers)
        if own and self._authorization:
            headers["Authorization"] = self._authorization
        assert self._endpoint is not None  # noqa: S101 - see url
        try:
            return await self._session.request(
                sent.method,
                url,
                headers=headers,
                data=sent.body() if sent.body is not None else None,
                ssl=self._endpoint.context if own else True,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _unreachable(sent.method, url, error) from None

    def _own(self, url: URL) -> bool:
        return url.origin() == self.url.origin()

    def follow(self, url: URL, location: str) -> URL:
        """Return where an answer leads; raises RegistryError for where nobody should go."""
        try:
            target = url.join(URL(location, encoded=True)) if location else URL()
        except ValueError:
            target = URL()
        if target.host is None or target.scheme not in {"http", "https"}:
            raise RegistryError(f"{self.registry} leads nowhere: {location[:200]!r}")
        if target.scheme == "http" and (
            url.scheme == "https" or not self._trust.is_insecure(target)
        ):
            raise RegistryError(f"{self.registry} leads to {_shown(target)}, which has no TLS")
        return target

    # --- who we are -----------------------------------------------------------------------------

    async def _authorize(self, offered: list[challenges.Challenge]) -> None:
        schemes = {each.scheme: each.parameters for each in offered}
        if "bearer" in schemes:
            token = self._credentials.registrytoken or await self._token(schemes["bearer"])
            self._authorization = f"Bearer {token}"
        elif "basic" in schemes:
            if not self._credentials.basic:
                raise Unauthorized(f"{self.registry}: no basic auth credentials")
            self._authorization = self._credentials.basic
        else:
            raise Unauthorized(f"{self.registry} says not how to say who one is")

    async def _token(self, parameters: dict[str, str]) -> str:
        """Get a token from where the registry says (the distribution project's token protocol)."""
        realm = self.follow(self.url, parameters.get("realm", ""))
        basic, refresh = self._credentials.basic, self._credentials.identitytoken
        withheld = bool(basic or refresh) and not self._trust.hears(self.url, realm)
        if withheld:
            basic = refresh = ""
        service = parameters.get("service", "")
        scopes = sorted({*self._scopes, *parameters.get("scope", "").split()})
        own = realm.origin() == self.url.origin()
        assert self._endpoint is not None  # noqa: S101 - see url
        context = self._endpoint.context if own or self._trust.is_insecure(realm) else True
        if refresh:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": refresh,
                "service": service,
                "client_id": _CLIENT,
                "scope": " ".join(scopes),
            }
            asking = self._session.post(realm, data=form, ssl=context, allow_redirects=False)
        else:
            query = [*realm.query.items(), *(("scope", each) for each in scopes)]
            query += [("service", service)] if service else []
            asking = self._session.get(
                realm.with_query(query),
                headers={"Authorization": basic} if basic else {},
                ssl=context,
                allow_redirects=False,
            )
        try:
            async with asking as response:
                if response.status != _OK:
                    raise await error_of(response)
                answer = await document(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable("GET", realm, error) from None
        except EngineError as error:
            if not withheld:
                raise
            raise Unauthorized(
                f"{self.registry} wants its credentials sent to {realm.host}, which was not done: "
                f"{error} (hint: seatriald --token-host {self.url.host}={realm.host})"
            ) from None
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            raise RegistryError(f"{realm.host} gives no token")
        return token


async def limited(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Read an answer that must not be longer than so much."""
    data = bytearray()
    async for chunk in response.content.iter_any():
        data += chunk
        if len(data) > most_bytes:
            raise RegistryError(f"{_shown(response.url)}: longer than {most_bytes} bytes")
    return bytes(data)


async def document(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Read an answer that is a JSON object."""
    try:
        found = json.loads(await limited(response, _LONGEST_ANSWER))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RegistryError(f"{_shown(response.url)}: the answer is no JSON object")
    return found


async def error_of(response: aiohttp.ClientResponse) -> EngineError:
    """Return what an answer says that went wrong, as Docker words it."""
    code, told = "", ""
    try:
        errors = (await document(response)).get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        code, told = str(first.get("code", "")), str(first.get("message", ""))[:500]
    except (EngineError, aiohttp.ClientError, TimeoutError, AttributeError):
        code = ""
    text = (
        f"{code.lower().replace('_', ' ')}: {told}"
        if code
        else f"{_shown(response.url)}: {response.status} {response.reason}"
    )
    if response.status in {_UNKNOWN, _FORBIDDEN}:
        return Unauthorized(text)
    if response.status == _MISSING:
        return NotFound(text)
    return RegistryError(text, code)


def _shown(url: URL) -> str:
    """Return an address without what may be secret in it."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def _unreachable(method: str, url: URL, error: BaseException) -> RegistryError:
    why = str(error)
    if isinstance(error, TimeoutError):
        why = "it does not answer in time"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        why = f"dial tcp: lookup {error.host}: {error.strerror or error.os_error}"
    elif isinstance(error, aiohttp.ClientConnectorError) and error.errno is not None:
        why = f"dial tcp {error.host}:{error.port}: connect: {os.strerror(error.errno).lower()}"
    return RegistryError(f'{method.capitalize()} "{_shown(url)}": {why}')
