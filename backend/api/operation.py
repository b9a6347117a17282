"""Operations: a function with a rule of who may call it, made a Starlette route and an entry of the OpenAPI document.

`@operation("POST", "/api/v1/queues/{queue_id}", roles=ADMIN)` reads the function's own hints: parameters named in the
path are converted, `body` is decoded from JSON, `query` (a Struct) from the query string, the rest of the signature
is fixed: `services`, `who` unless `roles` is None (no token needed), and `scope` where an operation must see ASGI's
own.

Invariant: there is no route of ours without a stated rule; a test walks the table.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.access.model import Principal
from backend.api.problems import ApiProblem, expected, send_json, send_problem
from backend.api.reading import ClientGone, Forbidden, authenticate, convert, decode, read_body
from backend.api.services import Services
from backend.wire.access import Role

Method = Literal["GET", "POST"]
_IN_PATH: Final = re.compile(r"{(\w+)}")


class Stream:
    """An answer that goes on: an ASGI application of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app


class Raw(msgspec.Struct, frozen=True):
    """An answer that is JSON already, or another status than 200 (a probe that says no)."""

    content: bytes
    status: int = 200


@dataclass(frozen=True)
class Operation:
    """One entry of the contract. `errors` are problem codes beside those every operation may have; `without_database`
    says that it has something to tell while the database is away."""

    method: Method
    path: str
    roles: frozenset[Role] | None
    handler: Callable[..., Awaitable[Any]]
    errors: tuple[str, ...]
    path_types: Mapping[str, Any]
    body_type: Any
    query_type: type[msgspec.Struct] | None
    answer_type: Any
    wants_scope: bool
    without_database: bool

    @property
    def name(self) -> str:
        return self.handler.__name__

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.handler) or "").partition("\n\n")[0].replace("\n", " ")


def operation(
    method: Method,
    path: str,
    *,
    roles: frozenset[Role] | None,
    errors: tuple[str, ...] = (),
    without_database: bool = False,
) -> Callable[[Callable[..., Awaitable[Any]]], Operation]:
    """Make an operation of a function; see the module's docstring."""

    def wrap(handler: Callable[..., Awaitable[Any]]) -> Operation:
        hints = get_type_hints(handler, include_extras=True)
        return Operation(
            method=method,
            path=path,
            roles=roles,
            handler=handler,
            errors=errors,
            path_types={name: hints[name] for name in _IN_PATH.findall(path)},
            body_type=hints.get("body"),
            query_type=hints.get("query"),
            answer_type=hints["return"],
            wants_scope="scope" in hints,
            without_database=without_database,
        )

    return wrap


class Endpoint:
    """Runs one operation: an ASGI application."""

    def __init__(self, operation: Operation, services: Services) -> None:
        self.operation = operation
        self._services = services
        self._decoder = msgspec.json.Decoder(operation.body_type) if operation.body_type else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        except Exception as error:
            found = expected(error)
            if found is None:
                raise
            if isinstance(error, Forbidden):
                self._services.looks.refused(error.who, self.operation.name, scope["path"])
            await send_problem(send, found, error.retry_s if isinstance(error, ApiProblem) else 0)
            return
        if isinstance(answer, Stream):
            await answer.app(scope, receive, send)
        elif isinstance(answer, Raw):
            await send_json(send, answer.status, answer.content)
        else:
            await send_json(send, 200, msgspec.json.encode(answer))

    async def _answer(self, scope: Scope, receive: Receive) -> Any:
        operation, services = self.operation, self._services
        arguments: dict[str, Any] = {"services": services}
        if operation.roles is not None:
            if services.refusing:
                raise ApiProblem("draining")
            arguments["who"] = await self._authenticate(scope, operation.roles)
        for name, kind in operation.path_types.items():
            arguments[name] = convert(scope["path_params"][name], kind, name)
        if operation.query_type is not None:
            pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            arguments["query"] = convert(dict(pairs), operation.query_type, "query")
        if self._decoder is not None:
            arguments["body"] = decode(self._decoder, await read_body(scope, receive))
            if operation.roles is not None:  # the body may have been long in coming
                arguments["who"] = await self._authenticate(scope, operation.roles)
        if operation.wants_scope:
            arguments["scope"] = scope
        return await operation.handler(**arguments)

    async def _authenticate(self, scope: Scope, roles: frozenset[Role]) -> Principal:
        remembered = self.operation.without_database
        return await authenticate(scope, self._services.tokens, roles, remembered=remembered)


def route(operation: Operation, services: Services) -> Route:
    """The Starlette route of an operation (HEAD comes with GET)."""
    return Route(operation.path, Endpoint(operation, services), methods=[operation.method], name=operation.name)
