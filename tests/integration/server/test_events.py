"""Live events: nothing missed and nothing twice across streams, servers and resumes; a reset where that cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from backend.access.tables import access_token
from backend.cluster import events
from backend.cluster.tables import event
from backend.db.engine import Database, now_ms
from backend.wire.cluster import Event
from backend.wire.jobs import AuthoriseAnswer
from backend.wire.printers import HeartbeatAnswer
from tests.support.api import Api, api, authorise, eventually, heartbeat, scene


class Reader:
    """A client of the stream: what came in, parsed as the standard says."""

    def __init__(self, server: Api, last_event_id: str = "", token: str = "") -> None:
        self.status = 0
        self.cursor = last_event_id
        self.got: list[tuple[str, str, Event]] = []
        self.pings = 0
        self.ended = False
        self._server = server
        self._token = token or server.tokens["admin"]
        self._gone = asyncio.Event()
        self._text = ""

    async def run(self) -> None:
        headers = [(b"authorization", f"Bearer {self._token}".encode())]
        if self.cursor:
            headers.append((b"last-event-id", self.cursor.encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events",
            "raw_path": b"/api/v1/events",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "http_version": "1.1",
            "scheme": "http",
        }
        await self._server.app(scope, self._receive, self._send)
        self.ended = True

    def leave(self) -> None:
        self._gone.set()

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.got]

    def jobs(self) -> list[str]:
        return [job.job_id for kind, _, found in self.got if kind == "jobs" for job in found.jobs]

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self._text += message["body"].decode()
        while "\n\n" in self._text:
            block, _, self._text = self._text.partition("\n\n")
            self._take(block)

    def _take(self, block: str) -> None:
        fields: dict[str, str] = {}
        for line in block.splitlines():
            name, _, value = line.partition(": ")
            fields[name] = value
        if "" in fields:
            self.pings += 1
        self.cursor = fields.get("id", self.cursor)
        if "data" in fields:
            self.got.append((fields["event"], self.cursor, msgspec.json.decode(fields["data"], type=Event)))


@asynccontextmanager
async def reading(server: Api, last_event_id: str = "") -> AsyncIterator[Reader]:
    reader = Reader(server, last_event_id)
    task = asyncio.create_task(reader.run())
    try:
        await eventually(lambda: true_when(bool(reader.cursor or task.done())))
        yield reader
    finally:
        reader.leave()
        await asyncio.wait_for(task, 10)


async def true_when(value: bool) -> bool:
    return value


async def ask_for_a_job(server: Api) -> str:
    wanted = authorise()
    await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
    return wanted.job_id


def test_jobs_come_as_they_happen_and_a_resume_misses_nothing(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as first:
            ids = [await ask_for_a_job(server) for _ in range(3)]
            await eventually(lambda: true_when(first.jobs() == ids))
        meanwhile = [await ask_for_a_job(server) for _ in range(3)]
        async with reading(server, first.cursor) as second:
            then = await ask_for_a_job(server)
            await eventually(lambda: true_when(second.jobs() == [*meanwhile, then]))
            assert "reset" not in second.kinds()

    scene(url, play)


def test_a_stream_that_saw_nothing_resumes_from_where_it_began(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as first:
            assert first.got == []
        missed = await ask_for_a_job(server)
        async with reading(server, first.cursor) as second:
            await eventually(lambda: true_when(second.jobs() == [missed]))

    scene(url, play)


@pytest.mark.parametrize("cursor", ["nonsense", "2.0.1", "1.0", "1.99.99", "1.-1.1", "1." + "9" * 30 + ".1"])
def test_a_cursor_that_cannot_be_resumed_gets_a_reset(url: str, cursor: str) -> None:
    async def play(server: Api) -> None:
        await ask_for_a_job(server)
        async with reading(server, cursor) as reader:
            await eventually(lambda: true_when(reader.kinds() == ["reset"]))
            after = await ask_for_a_job(server)
            await eventually(lambda: true_when(reader.jobs() == [after]))

    scene(url, play)


def test_what_was_pruned_cannot_be_resumed(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as first:
            await ask_for_a_job(server)
            await eventually(lambda: true_when(len(first.jobs()) == 1))

        def prune(conn: sa.Connection) -> None:
            conn.execute(sa.delete(event))

        await ask_for_a_job(server)
        await server.services.database.write(prune)
        async with reading(server, first.cursor) as second:
            await eventually(lambda: true_when(second.kinds()[:1] == ["reset"]))

    scene(url, play)


def test_a_reader_that_falls_behind_gets_a_reset_instead_of_memory(url: str) -> None:
    async def play(server: Api) -> None:
        hub = server.services.hub
        subscription, _ = await hub.subscribe("")
        for at in range(events.MAX_QUEUED + 50):
            hub.tell(Event(kind="topology", at=at))
        first = await subscription.get(1)
        assert first is not None
        assert first.kind == "reset"
        hub.unsubscribe(subscription)

    scene(url, play)


def test_a_change_of_the_picture_is_told(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as reader:
            await eventually(lambda: true_when("topology" in reader.kinds()))
            before = len(reader.got)
            await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
            await eventually(
                lambda: true_when(any("1 tracked queue" in found.detail for _, _, found in reader.got[before:]))
            )

    scene(url, play)


def test_a_revoked_token_ends_the_stream_and_draining_does(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as reader, reading(server) as other:

            def revoke(conn: sa.Connection) -> None:
                conn.execute(sa.update(access_token).values(revoked_at=1))

            await server.services.database.write(revoke)
            await eventually(lambda: true_when(reader.ended and other.ended), 25)
        refused = Reader(server)
        await refused.run()
        assert refused.status == 401

    scene(url, play)


def test_draining_sends_all_readers_away(url: str) -> None:
    async def play(server: Api) -> None:
        async with reading(server) as reader:
            server.services.draining = True
            server.services.hub.close_streams()
            await eventually(lambda: true_when(reader.ended))
        assert (await server.refused("GET", "/api/v1/events")).code == "draining"

    scene(url, play)


def test_events_of_one_server_are_streamed_by_another(postgres_url: str) -> None:
    async def run() -> None:
        async with api(postgres_url, "one") as one, api(postgres_url, "two") as two:
            async with reading(two) as reader:
                ids = [await ask_for_a_job(one), await ask_for_a_job(two), await ask_for_a_job(one)]
                await eventually(lambda: true_when(sorted(reader.jobs()) == sorted(ids)))
            async with reading(one, reader.cursor) as resumed:
                more = await ask_for_a_job(two)
                await eventually(lambda: true_when(resumed.jobs() == [more]))

    asyncio.run(run())


def test_a_row_whose_writer_is_slow_is_not_passed_over(postgres_url: str) -> None:
    """Ids are given out before commits: a reader must wait for the slow writer, or it would never see its row."""

    async def run() -> None:
        async with api(postgres_url) as server:
            slow, quick = Database(postgres_url), Database(postgres_url)
            async with reading(server) as reader:
                with slow.connect(writing=True) as first:
                    _write(first, 1)
                    with quick.connect(writing=True) as second:
                        _write(second, 2)
                    await asyncio.sleep(0.8)  # several polls: the quick one's row must be held back meanwhile
                    assert _times(reader) == []
                await eventually(lambda: true_when(len(_times(reader)) == 2))
                assert _times(reader) == [1, 2]
            slow.close()
            quick.close()

    asyncio.run(run())


def _times(reader: Reader) -> list[int]:
    return [found.at for _, _, found in reader.got if found.at < 10]


def _write(conn: sa.Connection, at: int) -> None:
    """An event that says `at`; the row itself is of now, or the leader would prune it."""
    data = msgspec.json.encode(Event(kind="topology", at=at)).decode()
    conn.execute(sa.insert(event).values(at=now_ms(conn), kind="topology", data=data, term=0))
