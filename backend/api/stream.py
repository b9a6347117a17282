"""Server-sent events as a plain ASGI application (WHATWG HTML standard, section 9.2).

Own code rather than a library's, for three things that must be ours: the stream ends when the server drains, a token
that was revoked ends it within seconds, and a reader that does not read is given up.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from starlette.types import Receive, Scope, Send

from backend.cluster.events import EventHub, Item, Subscription
from backend.db.errors import DatabaseError

PING_S = 4.0
SEND_TIMEOUT_S = 20.0

StillAllowed = Callable[[], Awaitable[bool]]


class EventStream:
    """Sends `first`, then what the subscription brings, a comment when nothing does."""

    def __init__(
        self, hub: EventHub, subscription: Subscription, first: Iterable[Item], still_allowed: StillAllowed
    ) -> None:
        self._hub = hub
        self._subscription = subscription
        self._first = first
        self._still_allowed = still_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = asyncio.create_task(self._close_when_gone(receive))
        try:
            await self._send_all(send)
        finally:
            self._hub.unsubscribe(self._subscription)
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        with contextlib.suppress(TimeoutError):
            for item in self._first:
                await _send(send, encode(item))
            await self._follow(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        checked_s = loop.time()
        while not self._subscription.closed:
            item = await self._subscription.get(PING_S)
            if item is not None:
                await _send(send, encode(item))
            elif not self._subscription.closed:
                await _send(send, b": ping\n\n")
            if loop.time() - checked_s >= PING_S:
                checked_s = loop.time()
                if not await self._allowed():
                    return

    async def _allowed(self) -> bool:
        try:
            return await self._still_allowed()
        except DatabaseError:
            return True  # the hub closes all streams when the database stays away

    async def _close_when_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._subscription.close()


def encode(item: Item) -> bytes:
    """One event's lines. JSON has no line breaks of its own, so `data` is always one line."""
    lines = [f"event: {item.kind}"] if item.kind else []
    lines += [f"id: {item.event_id}"] if item.event_id else []
    lines += [f"data: {item.data}"] if item.data else []
    return ("\n".join(lines) + "\n\n").encode()


async def _send(send: Send, content: bytes) -> None:
    await asyncio.wait_for(send({"type": "http.response.body", "body": content, "more_body": True}), SEND_TIMEOUT_S)
