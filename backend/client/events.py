"""The live event stream, followed across servers.

`events()` never ends by itself: when a server goes quiet or away it resumes at the next one with the id of the last
event it handed out, so that nothing is missed and nothing comes twice. Where a server cannot resume from there it
sends `reset`, and the reader loads everything anew. Source: the WHATWG HTML standard, section 9.2, server-sent
events.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable

import httpx
import msgspec
from httpx_sse import EventSource, ServerSentEvent, SSEError

from backend.client import choice
from backend.client.client import ApiClient, describe, read_problem
from backend.client.errors import ServerProblem
from backend.wire.cluster import Event

StateListener = Callable[[str, str], None]
"""Called with (url, "") when a stream stands and with (url, reason) when it broke; url is "" when no server is
known."""


async def events(
    client: ApiClient, last_event_id: str = "", idle_timeout_s: float = 12.0, on_state: StateListener | None = None
) -> AsyncGenerator[tuple[str, Event]]:
    """Yield (event id, event) for ever. Servers send at least a ping each 5 s; silence for `idle_timeout_s` means gone.

    Raises ServerProblem when a server refuses for good (the token is not valid any more).
    """
    cursor = last_event_id
    failures = 0
    while True:
        url = client.next_server()
        reason = "no server is known"
        try:
            if url:
                async with contextlib.aclosing(_stream(client, url, cursor, idle_timeout_s, on_state)) as stream:
                    async for sse in stream:
                        failures = 0
                        cursor = sse.id or cursor
                        yield cursor, msgspec.json.decode(sse.data, type=Event)
                reason = "ended the stream"
        except httpx.HTTPError as error:
            reason = describe(error)
        except _Refused as refusal:
            reason = str(refusal)
        except (SSEError, msgspec.DecodeError) as error:
            reason = f"sent something that cannot be read ({error})"
        if url:
            client.note_failure(url)
        if on_state is not None:
            on_state(url, reason)
        await asyncio.sleep(choice.backoff_s(failures, random.random()))
        failures += 1


class _Refused(Exception):
    """This server cannot stream now; another may."""


async def _stream(
    client: ApiClient, url: str, cursor: str, idle_timeout_s: float, on_state: StateListener | None
) -> AsyncGenerator[ServerSentEvent]:
    headers = {**client.headers(), "Accept": "text/event-stream", "Cache-Control": "no-store"}
    if cursor:
        headers["Last-Event-ID"] = cursor
    timeout = httpx.Timeout(idle_timeout_s, connect=2.0)
    async with client.http.stream("GET", f"{url}/api/v1/events", headers=headers, timeout=timeout) as response:
        if not response.is_success:
            found = read_problem(response.status_code, await response.aread())
            if found is not None and 400 <= response.status_code < 500:
                raise ServerProblem(found)
            raise _Refused(found.title if found else f"answered with status {response.status_code}")
        if on_state is not None:
            on_state(url, "")
        async for sse in EventSource(response).aiter_sse():
            if sse.event != "message" or sse.data:
                yield sse
