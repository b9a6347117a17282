"""One connection of the console to one cluster: its client, its feed, and questions asked beside it.

Everything that touches the client runs on the bridge's loop. Leaving a cluster cancels its feed and all questions
under way before the next one is entered, so that no answer of the old cluster can appear in the new one.
"""

import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from PySide6.QtCore import QObject

from app.core.feed import Feed
from app.core.outbox_file import OutboxFile
from app.core.profiles import Profile
from app.core.queries import log_in
from app.core.reducer import Closed, Message
from app.qt.bridge import AsyncBridge, Handle
from app.qt.desk import Desk, NotConnected
from app.qt.store import Store
from backend.client.client import ApiClient
from backend.wire.access import LogInAnswer

T = TypeVar("T")

USER_AGENT: Final = "inkeeper-console"

log = logging.getLogger(__name__)

Ask = Callable[[ApiClient], Coroutine[Any, Any, T]]


class Session(QObject):
    """At most one cluster at a time. Used on the GUI thread."""

    def __init__(self, store: Store, bridge: AsyncBridge, outbox: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store = store
        self.profile: Profile | None = None
        self._bridge = bridge
        self._client: ApiClient | None = None
        self._feed: Feed | None = None
        self._following: Handle | None = None
        self._handles: set[Handle] = set()
        self._era = 0
        self.desk = Desk(self, OutboxFile(outbox), self)

    def open(self, profile: Profile) -> None:
        """Enter a cluster, leaving the one before."""
        self.leave()
        self.profile = profile
        self._client = ApiClient(profile.servers, profile.token, user_agent=USER_AGENT)
        self._follow(self._client, profile)

    def renew(self, token: str) -> None:
        """Go on with another token of the same person: what stands in the window stays."""
        if self.profile is None or self._client is None:
            return
        self.profile = Profile(self.profile.servers, token, self.profile.login)
        self._client.set_token(token)
        self._era += 1
        if self._following is not None:
            self._following.cancel()
        self._follow(self._client, self.profile)
        self.desk.renewed()

    def log_in(
        self,
        servers: tuple[str, ...],
        name: str,
        password: str,
        on_done: Callable[[LogInAnswer], None],
        on_error: Callable[[Exception], None],
        owner: QObject,
    ) -> Handle:
        """Ask these servers for a personal token; nothing of the connection changes by it."""
        return self._bridge.submit(_log_in(servers, name, password), on_done, on_error, owner)

    def _follow(self, client: ApiClient, profile: Profile) -> None:
        era = self._era

        def emit(message: Message) -> None:
            # A feed that is being cancelled may still speak; its cluster is no longer on the screen.
            if era == self._era:
                self.store.put(message)

        self._feed = Feed(client, profile.servers, emit)
        self._following = self._keep(self._bridge.submit(self._feed.run()))

    def leave(self) -> None:
        self._era += 1
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
        if self._client is not None:
            self._bridge.submit(self._client.aclose())
        self._client = self._feed = self._following = self.profile = None
        self.store.put(Closed())
        self.store.flush()

    def reload(self) -> None:
        """Read everything again; after a failure try the connection again, keeping what is shown."""
        if self.store.state.connection.phase == "failed" and self.profile is not None:
            self.renew(self.profile.token)
        elif self._feed is not None:
            self._bridge.submit(_reload(self._feed))

    def ask(
        self,
        question: "Ask[T]",
        on_done: Callable[[T], None],
        on_error: Callable[[Exception], None],
        owner: QObject,
    ) -> Handle:
        """Ask the cluster something; one of the callbacks comes on the GUI thread unless cancelled or `owner` is
        gone.
        """
        if self._client is None:
            handle = Handle(0, None)
            self._bridge.post(lambda: None if handle.cancelled else on_error(NotConnected("no cluster is set")))
            return handle
        return self._keep(self._bridge.submit(question(self._client), on_done, on_error, owner))

    def close(self) -> bool:
        """Leave, and end the network thread. True when it ended in time."""
        self._era += 1
        client, self._client = self._client, None
        self.store.close()
        self.desk.close()
        return self._bridge.close(client.aclose() if client is not None else None)

    def _keep(self, handle: Handle) -> Handle:
        self._handles = {kept for kept in self._handles if self._bridge.running(kept)} | {handle}
        return handle


async def _log_in(servers: tuple[str, ...], name: str, password: str) -> LogInAnswer:
    client = ApiClient(servers, "", user_agent=USER_AGENT)
    try:
        return await log_in(client, name, password)
    finally:
        await client.aclose()


async def _reload(feed: Feed) -> None:
    feed.reload()
