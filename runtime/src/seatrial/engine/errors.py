"""What the engine refuses, each with the HTTP status that Docker's clients know it by.

EngineError (500)
├── BadRequest (400)      what was asked for makes no sense
├── Unauthorized (401)    a registry does not know who asks
├── Forbidden (403)
├── NotFound (404)
├── Conflict (409)        it makes sense, but not in the state that things are in
├── NotModified (304)     it is so already
└── Unsupported (501)     it makes sense, and this engine does not do it
"""

from __future__ import annotations

from typing import ClassVar


class EngineError(Exception):
    """Something went wrong; the text is for the person at the client."""

    status: ClassVar[int] = 500


class BadRequest(EngineError):
    status = 400


class Unauthorized(EngineError):
    status = 401


class Forbidden(EngineError):
    status = 403


class NotFound(EngineError):
    status = 404


class Conflict(EngineError):
    status = 409


class NotModified(EngineError):
    status = 304


class Unsupported(EngineError):
    status = 501
