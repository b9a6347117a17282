"""What stands around every request: the hot routes, the headers of every answer, the last catch. Pure ASGI.

The two routes that carry the load of printing are answered before Starlette's routing and request objects, which cost
more than all the rest of such a request. They obey the same rules: the table of operations is where their roles come
from.
"""

import logging
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from backend.api.commands import submit_job
from backend.api.operation import Operation
from backend.api.problems import expected, send_json, send_problem
from backend.api.reading import ClientGone, Forbidden, authenticate, decode, read_body
from backend.api.services import Services
from backend.wire.base import DRAINING_HEADER, GENERATION_HEADER
from backend.wire.errors import problem

log = logging.getLogger(__name__)

_GENERATION = GENERATION_HEADER.lower().encode()
_DRAINING = DRAINING_HEADER.lower().encode()


class Hot:
    """One hot route: `operation`'s body type and roles, without its layer."""

    def __init__(self, operation: Operation, services: Services) -> None:
        assert operation.roles is not None
        self._roles = operation.roles
        self._name = operation.name
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(operation.body_type)
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = self._services
        try:
            if services.refusing:
                await send_problem(send, problem("draining"))
                return
            await authenticate(scope, services.tokens, self._roles)
            body = decode(self._decoder, await read_body(scope, receive))
            who = await authenticate(scope, services.tokens, self._roles)  # the body may have been long in coming
            answer = await submit_job(services, who, body)
        except ClientGone:
            return
        except Exception as error:
            found = expected(error)
            if found is None:
                raise
            if isinstance(error, Forbidden):
                services.looks.refused(error.who, self._name, scope["path"])
            await send_problem(send, found)
            return
        await send_json(send, 200, answer)


class Frame:
    """The application that the server runs."""

    def __init__(
        self, app: Starlette, hot: Sequence[Operation], services: Services, generation: Callable[[], int]
    ) -> None:
        self.starlette = app
        self._hot: Mapping[str, Hot] = {operation.path: Hot(operation, services) for operation in hot}
        self._generation = generation
        self._services = services
        self._answered = services.answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.starlette(scope, receive, send)
            return
        started = False

        async def send_framed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._answered.add(message["status"])
                self._add_headers(message)
            await send(message)

        app = self._hot.get(scope["path"], self.starlette) if scope["method"] == "POST" else self.starlette
        self._services.under_way += 1
        try:
            await app(scope, receive, send_framed)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await send_problem(send_framed, problem("internal"))
        finally:
            self._services.under_way -= 1

    def _add_headers(self, message: MutableMapping[str, Any]) -> None:
        message["headers"] = [*message.get("headers", ()), (_GENERATION, b"%d" % self._generation())]
        leaving = self._services.leaving
        if leaving or self._services.database.away_since is not None:  # another server may have a database
            message["headers"].append((_DRAINING, b"1"))
        if leaving:  # who knows no other server may come to one by its next connection
            message["headers"].append((b"connection", b"close"))
