"""Events: read from the database in the order of their commits, and fanned out to whoever listens.

One tail a server reads new rows (woken after each commit here, and by a poll for what other servers wrote) and puts
them into a bounded queue for each subscriber. PostgreSQL gives ids out before commits, so rows are ordered by
(writer's transaction id, id) and only those below the oldest transaction still running are taken: a later reading can
never find a row before one that was handed out. SQLite has one writer, so ids are in commit order.

A row of kind "jobs" holds the ids of the jobs its batch changed, nothing more: the batch pays for what it writes,
and the jobs are looked up once a server and page, only while somebody listens. A job that changed again meanwhile
is shown as it is now, with the last of its rows.

Invariant: a subscriber gets every event after its cursor once, in order, or `reset`, which says that it has to load
anew. While nobody listens, nothing is read.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from backend.cluster.model import Snapshot
from backend.cluster.tables import event
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.wire.cluster import Event
from backend.wire.jobs import JobView

log = logging.getLogger(__name__)

_job_ids = msgspec.json.Decoder(tuple[str, ...]).decode

PAGE = 200
MAX_CATCH_UP = 2000
MAX_JOBS_CAUGHT_UP = 5000
MAX_QUEUED = 256
MAX_SUBSCRIBERS = 500
GIVE_UP_AFTER_S = 3.0
GATHER_S = 0.05  # many commits a second are one reading


class Position(NamedTuple):
    """A place in the order of events: after this row."""

    xid: int
    event_id: int


BEGINNING = Position(0, 0)


class Row(NamedTuple):
    """An event as it is kept. `job_ids` is empty unless it is of kind "jobs"."""

    position: Position
    kind: str
    at: int
    data: str
    job_ids: tuple[str, ...]


DescribeJobs = Callable[[sa.Connection, Sequence[str]], Sequence[JobView]]


class Item(NamedTuple):
    """One event to send: `event_id` is the cursor after it, "" for one that is not kept."""

    event_id: str
    kind: str
    data: str


class TooManySubscribers(Exception):
    """This server streams to as many as it can."""


def cursor_text(generation: int, position: Position) -> str:
    return f"{generation}.{position.xid}.{position.event_id}"


def parse_cursor(text: str, generation: int) -> Position | None:
    """The position in a Last-Event-ID; None where it is not one of this generation."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 20 for part in parts):
        return None
    found = [int(part) for part in parts]
    return Position(found[1], found[2]) if found[0] == generation else None


class Subscription:
    """One listener's queue. When it falls behind by MAX_QUEUED events, what waits is replaced by a reset."""

    def __init__(self) -> None:
        self.closed = False
        self._queue: deque[Item] = deque()
        self._wake = asyncio.Event()

    def put(self, item: Item, reset: Callable[[], Item]) -> None:
        if len(self._queue) >= MAX_QUEUED:
            self._queue.clear()
            self._queue.append(reset())
        else:
            self._queue.append(item)
        self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()

    async def get(self, timeout_s: float) -> Item | None:
        """The next event, or None when none came in time or the subscription was closed."""
        if not self._queue:
            self._wake.clear()
            if self.closed:
                return None
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:
                return None
        return self._queue.popleft() if self._queue else None


class EventHub:
    """The one tail of this server and its subscribers. Lives in one event loop."""

    def __init__(
        self, database: Database, snapshot: Callable[[], Snapshot], describe: DescribeJobs, poll_s: float = 0.5
    ) -> None:
        self._database = database
        self._describe = describe
        self._snapshot = snapshot
        self._poll_s = poll_s
        self._subscribers: set[Subscription] = set()
        self._position = BEGINNING
        self._lock = asyncio.Lock()  # held while the position moves, so that nobody joins between two events
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._failing_since: float | None = None

    @property
    def stream_count(self) -> int:
        """How many subscribe."""
        return len(self._subscribers)

    def lag_s(self, now_s: float) -> float:
        """For how many seconds of the event loop's clock what listens here has not been brought up to date; 0.0 while
        all is well or nobody listens."""
        return now_s - self._failing_since if self._subscribers and self._failing_since is not None else 0.0

    @property
    def listened_to(self) -> bool:
        """Whether anybody subscribes."""
        return bool(self._subscribers)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End all streams and the tail."""
        self.close_streams()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def close_streams(self) -> None:
        """Send all listeners away: they go on at another server."""
        for subscription in self._subscribers:
            subscription.close()

    def wake(self) -> None:
        """There may be new events: called after each commit here."""
        self._wake.set()

    def tell(self, found: Event) -> None:
        """An event of this server alone, which is not kept: it moves nobody's cursor."""
        item = Item("", found.kind, msgspec.json.encode(found).decode())
        for subscription in self._subscribers:
            subscription.put(item, self._reset)

    async def subscribe(self, last_event_id: str) -> tuple[Subscription, list[Item]]:
        """A subscription, and what to send first. Raises TooManySubscribers, DatabaseError."""
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooManySubscribers(f"{MAX_SUBSCRIBERS} streams are open here")
        subscription = Subscription()
        async with self._lock:
            if not self._subscribers:
                self._position = await self._database.run(newest_position)
            joined_at = self._position
            self._subscribers.add(subscription)
        try:
            return subscription, await self._first_items(last_event_id, joined_at)
        except BaseException:
            self.unsubscribe(subscription)
            raise

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscribers.discard(subscription)

    async def _first_items(self, last_event_id: str, joined_at: Position) -> list[Item]:
        """Without a cursor: where we are. With one: all between it and where we are, or a reset."""
        generation = self._snapshot().generation
        hello = Item(cursor_text(generation, joined_at), "", "")
        if not last_event_id:
            return [hello]
        cursor = parse_cursor(last_event_id, generation)
        if cursor is None or not await self._database.run(is_known, cursor):
            return [self._reset(joined_at, "this server cannot resume from there")]
        rows = await self._database.run(read_after, cursor, MAX_CATCH_UP + 1, joined_at)
        if len(rows) > MAX_CATCH_UP or sum(len(row.job_ids) for row in rows) > MAX_JOBS_CAUGHT_UP:
            return [self._reset(joined_at, "too much has happened since")]
        return [*await self._database.run(self._items, rows), hello]

    def _items(self, conn: sa.Connection, rows: Sequence[Row]) -> list[Item]:
        """The rows as subscribers get them, each job with the last row that names it."""
        last_row = {job_id: number for number, row in enumerate(rows) for job_id in row.job_ids}
        views: dict[int, list[JobView]] = {}
        for view in self._describe(conn, sorted(last_row)):
            views.setdefault(last_row[view.job_id], []).append(view)
        items = []
        for number, row in enumerate(rows):
            data = row.data
            if row.kind == "jobs":
                found = Event(kind="jobs", at=row.at, jobs=tuple(views.get(number, ())))
                if not found.jobs:
                    continue
                data = msgspec.json.encode(found).decode()
            items.append(Item(cursor_text(self._snapshot().generation, row.position), row.kind, data))
        return items

    def _reset(self, at: Position | None = None, detail: str = "too slow to follow") -> Item:
        """The reader loads everything anew and goes on from here."""
        data = msgspec.json.encode(Event(kind="reset", at=0, detail=detail)).decode()
        return Item(cursor_text(self._snapshot().generation, at or self._position), "reset", data)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_s)
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass
            self._wake.clear()
            if not self._subscribers:
                continue
            try:
                await self._read()
                self._failing_since = None
            except DatabaseError as error:
                self._failing_since = self._failing_since or loop.time()
                if loop.time() - self._failing_since > GIVE_UP_AFTER_S:
                    log.warning("event streams are closed, the database is away: %s", error)
                    self.close_streams()
            except Exception:
                log.exception("event streams are closed, the events cannot be read")
                self.close_streams()

    async def _read(self) -> None:
        """Hand out all that is new, a page at a time."""
        while True:
            async with self._lock:
                rows, items = await self._database.run(self._page)
                for item in items:
                    for subscription in self._subscribers:
                        subscription.put(item, self._reset)
                if rows:
                    self._position = rows[-1].position
            if len(rows) < PAGE:
                return

    def _page(self, conn: sa.Connection) -> tuple[list[Row], list[Item]]:
        rows = read_after(conn, self._position, PAGE, None)
        return rows, self._items(conn, rows)


def newest_position(conn: sa.Connection) -> Position:
    """After everything that a reading can hand out now."""
    statement = sa.select(event.c.xid, event.c.event_id).where(settled(conn, event.c.xid))
    row = conn.execute(statement.order_by(event.c.xid.desc(), event.c.event_id.desc()).limit(1)).one_or_none()
    return BEGINNING if row is None else Position(row.xid, row.event_id)


def read_after(conn: sa.Connection, after: Position, limit: int, up_to: Position | None) -> list[Row]:
    """Events after a position in commit order, at most `limit`, and none beyond `up_to`."""
    order: sa.ColumnElement[Any] = sa.tuple_(event.c.xid, event.c.event_id)
    statement = sa.select(event.c.xid, event.c.event_id, event.c.kind, event.c.at, event.c.data).where(
        order > sa.tuple_(sa.literal(after.xid), sa.literal(after.event_id)), settled(conn, event.c.xid)
    )
    if up_to is not None:
        statement = statement.where(order <= sa.tuple_(sa.literal(up_to.xid), sa.literal(up_to.event_id)))
    rows = conn.execute(statement.order_by(event.c.xid, event.c.event_id).limit(limit))
    return [
        Row(Position(xid, event_id), kind, at, data, _job_ids(data) if kind == "jobs" else ())
        for xid, event_id, kind, at, data in rows
    ]


def is_known(conn: sa.Connection, position: Position) -> bool:
    """Whether nothing after this position can have been pruned: its row is there, or nothing was before it."""
    if position == BEGINNING:
        oldest = conn.scalar(sa.select(sa.func.min(event.c.event_id)))
        return oldest is None or oldest <= 1
    statement = sa.select(event.c.event_id).where(event.c.xid == position.xid, event.c.event_id == position.event_id)
    return conn.scalar(statement) is not None


def settled(conn: sa.Connection, xid: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Rows whose writers, and all writers before them, have ended. `xid` is the column of the writer's transaction."""
    if conn.dialect.name == "sqlite":
        return sa.true()
    return xid < sa.text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
