"""Reading a request: the token in its headers, its body within a bound, the message in the body. Plain ASGI, since
the hot routes go through here too."""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from starlette.types import Receive, Scope

from backend.access.model import Principal
from backend.access.tokens import TokenCache
from backend.api.problems import ApiProblem
from backend.wire.access import Role
from backend.wire.base import VERSION, Message

MAX_BODY = 1 << 20
MAX_TOKEN = 512

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


def header(scope: Scope, name: bytes) -> bytes:
    """A header's value, empty when it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""


class Forbidden(ApiProblem):
    """`who` tried what their role may not do."""

    def __init__(self, who: Principal) -> None:
        super().__init__("forbidden", f"the role {who.role} may not do that")
        self.who = who


async def authenticate(
    scope: Scope, tokens: TokenCache, roles: Iterable[Role], *, remembered: bool = False
) -> Principal:
    """Who asks; with `remembered` also by what was known before the database went away. Raises ApiProblem
    `unauthenticated` or `forbidden`, DatabaseAway."""
    ask = tokens.remembered if remembered else tokens.principal
    found = await ask(bearer(scope))
    if found is None:
        raise ApiProblem("unauthenticated", "this token is not valid here")
    if found.role not in roles:
        raise Forbidden(found)
    return found


def bearer(scope: Scope) -> str:
    """The token of the request. Raises ApiProblem `unauthenticated`."""
    scheme, _, token = header(scope, b"authorization").partition(b" ")
    if scheme.lower() != b"bearer" or not 0 < len(token.strip()) <= MAX_TOKEN:
        raise ApiProblem("unauthenticated", "send the header Authorization: Bearer TOKEN")
    return token.strip().decode("latin-1")


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises ApiProblem `too-large` or `unsupported-media-type`, ClientGone."""
    media_type = header(scope, b"content-type").partition(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise ApiProblem("unsupported-media-type")
    length = header(scope, b"content-length")
    if length.isdigit() and int(length) > MAX_BODY:
        raise ApiProblem("too-large", f"at most {MAX_BODY} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise ApiProblem("too-large", f"at most {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else bytes(part)
        parts.append(part)


def decode(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    """The message. Raises ApiProblem `malformed`, `invalid` or `version-unsupported`."""
    try:
        found = decoder.decode(content)
    except msgspec.ValidationError as error:
        raise ApiProblem("invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiProblem("malformed", str(error)) from error
    if isinstance(found, Message) and found.v != VERSION:
        raise ApiProblem("version-unsupported", f"this server understands version {VERSION}")
    return found


def convert(value: Any, kind: Any, where: str) -> Any:
    """A path or query parameter. Raises ApiProblem `invalid`."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiProblem("invalid", f"{where}: {error}") from error
