"""Calls to a cluster of servers, any of which may be dead.

One call is one command under one id, whichever servers it is sent to: a second server asked with the same body gives
the same answer, so a slow or silent server costs half a second and never a second charge. Final refusals (4xx) are
raised as they come; connection errors, 5xx and unreadable answers make the next server be asked.

Invariant: no call lasts longer than its `timeout_s`, and no try outlives its call.
"""

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import httpx
import msgspec

from backend.client import choice
from backend.client.errors import NoServer, ServerProblem
from backend.client.transport import ShortTransport
from backend.wire.base import DRAINING_HEADER, GENERATION_HEADER
from backend.wire.errors import Problem, problem

_SENT_OR_NOT = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

T = TypeVar("T")


@dataclass(frozen=True)
class Contact:
    """What is known of one server: when it last answered (monotonic clock, None: not yet), and why not since."""

    answered_at_s: float | None = None
    trouble: str = ""


@dataclass(frozen=True)
class _Try:
    """One request to one server: an answer, a final refusal, or the reason why another server must be asked."""

    url: str
    answer: Any = None
    refusal: Problem | None = None
    retry_after_s: float = 0.0
    reason: str = ""
    never_sent: bool = False
    leaving: bool = False  # it answered, and wants its clients to go to another


class ApiClient:
    """A client of the JSON API with the list of servers it knows. Safe for many calls at once in one event loop."""

    def __init__(
        self,
        servers: Sequence[str],
        token: str,
        *,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "inkeeper",
    ) -> None:
        self._choice = choice.start(servers, random.random())
        self._verify = verify
        self._given_transport = transport
        self._transport = transport or ShortTransport(verify)
        self._http: httpx.AsyncClient | None = None
        self._user_agent = user_agent
        self._token = token
        self.generation = 0
        self._contacts: dict[str, Contact] = {}

    @property
    def current(self) -> str:
        """The URL of the server in use, "" when no server is known."""
        return self._choice.current

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers known, the list to keep on disk."""
        return self._choice.servers

    @property
    def contacts(self) -> dict[str, Contact]:
        """The servers known, each with what is known of it."""
        return {url: self._contacts.get(url, Contact()) for url in self.servers}

    def set_servers(self, urls: Sequence[str]) -> None:
        """Take the cluster's own list of members; an empty list changes nothing."""
        self._choice = choice.with_servers(self._choice, urls, random.random())
        self._contacts = {url: self._contacts[url] for url in self.servers if url in self._contacts}

    def set_token(self, token: str) -> None:
        """Use this access token from now on."""
        self._token = token

    async def aclose(self) -> None:
        await self._transport.aclose()
        if self._http is not None:
            await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | None,
        answer_type: type[T],
        *,
        timeout_s: float,
        idempotent: bool = True,
        patient: bool = False,
        query: Mapping[str, str | int] | None = None,
    ) -> T:
        """Ask until a server answers. `path` begins below /api/v1 without a slash ("jobs/authorise").

        `idempotent` says that the body carries a command id or the request only reads: only then may a second server be
        asked once the first may have received it. `patient` makes further rounds until `timeout_s` is over; without it
        the call ends as soon as every server failed once. Raises ServerProblem and NoServer.
        """
        request = _Request(method, path, body, query)
        self._choice = choice.requested(self._choice)
        deadline_s = time.monotonic() + timeout_s
        reasons: dict[str, str] = {}
        rounds = 0
        while True:
            found = await self._round(request, answer_type, deadline_s, idempotent, reasons)
            if found is not None:
                return cast("T", found.answer)
            pause_s = choice.backoff_s(rounds, random.random())
            if not patient or time.monotonic() + pause_s >= deadline_s:
                raise NoServer(reasons, in_doubt=request.in_doubt and not idempotent)
            await asyncio.sleep(pause_s)
            rounds += 1

    async def _round(
        self, request: "_Request", answer_type: Any, deadline_s: float, idempotent: bool, reasons: dict[str, str]
    ) -> _Try | None:
        """Ask each server at most once; the first good answer, or None with the reasons filled in."""
        waiting = list(choice.order(self._choice, time.monotonic()))
        running: dict[asyncio.Task[_Try], str] = {}
        try:
            while waiting or running:
                if waiting:
                    url = waiting.pop(0)
                    running[asyncio.create_task(self._try(url, request, answer_type, idempotent))] = url
                result = await self._first(running, bool(waiting) and idempotent, deadline_s, reasons)
                if result is not None and result.reason == "":
                    return result
                if not idempotent and result is not None and not result.never_sent:
                    # It may have been done: neither another server nor another round.
                    raise NoServer(reasons, in_doubt=True)
                if time.monotonic() >= deadline_s:
                    break
            return None
        finally:
            await _cancel(running)

    async def _first(
        self, running: dict[asyncio.Task[_Try], str], servers_left: bool, deadline_s: float, reasons: dict[str, str]
    ) -> _Try | None:
        """Wait for one try to end, or for the moment at which the next should start (None)."""
        left_s = max(0.0, deadline_s - time.monotonic())
        done, _ = await asyncio.wait(
            running, timeout=choice.wait_s(self._choice, servers_left, left_s), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            await self._slow(running, servers_left, reasons)
            return None
        results = [task.result() for task in done]
        for task in done:
            del running[task]
        best = min(results, key=lambda result: result.reason != "")
        for result in results:
            self._note(result, reasons)
        if best.reason == "":
            self._blame_slow(running)
            if best.refusal is not None:
                raise ServerProblem(best.refusal, best.retry_after_s)
        return best

    async def _slow(self, running: dict[asyncio.Task[_Try], str], servers_left: bool, reasons: dict[str, str]) -> None:
        """The tries under way are slow: pay for another beside them, or give them up for another."""
        for url in running.values():
            reasons[url] = "did not answer in time"
        if servers_left and choice.may_hedge(self._choice):
            self._choice = choice.hedged(self._choice)
            return
        self._blame_slow(running)
        await _cancel(running)

    def _blame_slow(self, running: Mapping[asyncio.Task[_Try], str]) -> None:
        for url in running.values():
            before = self._contacts.get(url, Contact())
            self._contacts[url] = Contact(before.answered_at_s, "did not answer in time")
            self._choice = choice.failed(self._choice, url, time.monotonic())

    def _note(self, result: _Try, reasons: dict[str, str]) -> None:
        if result.reason:
            reasons[result.url] = result.reason
            before = self._contacts.get(result.url, Contact())
            self._contacts[result.url] = Contact(before.answered_at_s, result.reason)
            self._choice = choice.failed(self._choice, result.url, time.monotonic())
        else:
            self._contacts[result.url] = Contact(time.monotonic())
            self._choice = choice.answered(self._choice, result.url)
            if result.leaving:
                self._choice = choice.failed(self._choice, result.url, time.monotonic())

    async def _try(self, url: str, request: "_Request", answer_type: Any, idempotent: bool) -> _Try:
        request.in_doubt = True  # until it is known to be otherwise, also where this try is given up
        try:
            response = await self._send(url, request, again=idempotent)
        except httpx.HTTPError as error:
            found = _Try(url, reason=describe(error), never_sent=isinstance(error, _NEVER_SENT))
        else:
            found = self._read(url, response, answer_type)
        request.in_doubt = not found.never_sent
        return found

    async def _send(self, url: str, request: "_Request", again: bool) -> httpx.Response:
        # The call's own deadline bounds every try; the transport bounds a connect, that a dead address not hold one.
        try:
            return await self._ask(self._build(url, request))
        except _SENT_OR_NOT:
            # Most often a kept connection that the server closed meanwhile: one new connection tells.
            if not again:
                raise
            return await self._ask(self._build(url, request))

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        """An answer and its body, as it comes: what an AsyncClient adds (redirects, cookies, hooks) has no use here."""
        response = await self._transport.handle_async_request(request)
        await response.aread()
        return response

    def _build(self, url: str, request: "_Request") -> httpx.Request:
        headers = self.headers()
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        target = f"{url}/api/v1/{request.path}"
        return httpx.Request(request.method, target, params=request.query, content=request.content, headers=headers)

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        named = {"User-Agent": self._user_agent}
        return {**named, "Authorization": f"Bearer {self._token}"} if self._token else named

    def _read(self, url: str, response: httpx.Response, answer_type: Any) -> _Try:
        stale = self._stale(response)
        if stale:
            return _Try(url, reason=stale)
        leaving = DRAINING_HEADER in response.headers
        if response.is_success:
            try:
                return _Try(url, answer=msgspec.json.decode(response.content, type=answer_type), leaving=leaving)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return _Try(url, reason=f"answered with something that cannot be read ({error})")
        found = read_problem(response.status_code, response.content)
        if 400 <= response.status_code < 500 and found is not None:
            return _Try(url, refusal=found, retry_after_s=_retry_after_s(response), leaving=leaving)
        # 503 refuses before anything was done, except where it says that the outcome is not known.
        untouched = found is not None and found.status == 503 and found.code != "outcome-unknown"
        return _Try(url, reason=_words(response.status_code, found), never_sent=untouched)

    def _stale(self, response: httpx.Response) -> str:
        """Why this server's word does not count: its data is older than what this client has already seen."""
        with contextlib.suppress(ValueError):
            seen = int(response.headers.get(GENERATION_HEADER, "0"))
            if 0 < seen < self.generation:
                return f"serves generation {seen} of the data, {self.generation} is the current one"
            self.generation = max(seen, self.generation)
        return ""

    # For backend.client.events, which keeps one long request of its own.

    @property
    def http(self) -> httpx.AsyncClient:
        """Connections for long requests."""
        if self._http is None:
            self._http = httpx.AsyncClient(verify=self._verify, transport=self._given_transport, trust_env=False)
        return self._http

    def next_server(self) -> str:
        """The server to ask now, "" when none is known."""
        walk = choice.order(self._choice, time.monotonic())
        return walk[0] if walk else ""

    def note_failure(self, url: str) -> None:
        """A long request to this server failed."""
        self._choice = choice.failed(self._choice, url, time.monotonic())


class _Request:
    def __init__(
        self, method: str, path: str, body: msgspec.Struct | None, query: Mapping[str, str | int] | None
    ) -> None:
        self.method = method
        self.path = path.lstrip("/")
        self.content = None if body is None else msgspec.json.encode(body)
        self.query = dict(query) if query else None
        self.in_doubt = False
        """Whether the last server asked may have done it though it gave no answer."""


def read_problem(status: int, content: bytes) -> Problem | None:
    """The problem in an answer's body; one made from the status where a 4xx came from something that is no server of
    ours."""
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(content, type=Problem)
    codes = {401: "unauthenticated", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
    return problem(codes[status], "the answer did not come from an Inkeeper server") if status in codes else None


def _retry_after_s(response: httpx.Response) -> float:
    """RFC 9110, section 10.2.3; a date there is as good as nothing."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 7 else 0.0


def describe(error: httpx.HTTPError) -> str:
    """A network error in words for people."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return "did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({_cause(error)})"
    if isinstance(error, _SENT_OR_NOT):
        return (
            "closed the connection (does it want a client certificate?)"
            if "alert" in str(error)
            else "closed the connection"
        )
    return str(error) or type(error).__name__


def _cause(error: BaseException) -> str:
    """The system's own words are at the end of the chain of causes."""
    deepest = error
    while (inner := deepest.__cause__ or deepest.__context__) is not None:
        deepest = inner
    if isinstance(deepest, OSError) and deepest.strerror:
        return deepest.strerror.lower()
    return str(deepest) or str(error) or "no connection"


def _words(status: int, found: Problem | None) -> str:
    if found is None:
        return f"answered with status {status}"
    return f"{found.title} ({found.detail})" if found.detail else found.title


async def _cancel(running: dict[asyncio.Task[_Try], str]) -> None:
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    running.clear()
