"""The leader's duty to tell people: fills the outbox from the cluster's history, and sends what is due.

Invariant: one mail for each event that is worth one. It is marked sent after the mail server took it, so a leader that
dies in between sends it again through the next one, with the same Message-ID: at least once, never none.
"""

import logging
from collections.abc import Callable
from typing import Final

from backend.cluster.model import Snapshot
from backend.db.engine import Database
from backend.notices import outbox
from backend.notices.mail import Mailer, MailFault
from backend.notices.model import MAX_TRIES, OLD_S, Notice, Waiting

log = logging.getLogger(__name__)

EVERY_S: Final = 2.0
MAX_PAGES: Final = 20


class Notifier:
    """Lives in one event loop; `tend` is never called twice at once."""

    def __init__(self, database: Database, process: str, mailer: Mailer, snapshot: Callable[[], Snapshot]) -> None:
        self._database = database
        self._process = process
        self._mailer = mailer
        self._snapshot = snapshot
        self._told_old = False
        self.trouble = ""
        self.waiting = Waiting()
        self.sent_count = 0
        self.failure_count = 0

    async def tend(self, term: int) -> None:
        """Once around. Raises DatabaseError."""
        for _ in range(MAX_PAGES):
            snapshot = self._snapshot()
            if not await self._database.write(outbox.fill, term, self._process, snapshot, self._mailer.domain):
                break
        self.waiting = await self._database.write(outbox.waiting, term, self._process)
        for found in self.waiting.due:
            if not await self._try(term, found):
                break  # the others would wait for the same
        self._tell_old()

    async def _try(self, term: int, found: Notice) -> bool:
        try:
            await self._mailer.send(found)
        except MailFault as fault:
            self.failure_count += 1
            if str(fault) != self.trouble:
                log.warning("mail %r cannot be sent: %s; it is tried again", found.subject, fault)
            self.trouble = str(fault)
            if found.tries + 1 >= MAX_TRIES:
                log.error("mail %r was tried %d times and is given up: %s", found.subject, MAX_TRIES, fault)
            await self._database.write(outbox.note_failed, term, self._process, found)
            return False
        self.sent_count += 1
        await self._database.write(outbox.note_sent, found.notice_id)
        log.info("mail %r was sent", found.subject)
        self.trouble = ""
        return True

    def _tell_old(self) -> None:
        old = self.waiting.oldest_s > OLD_S and bool(self.trouble)
        if old and not self._told_old:
            log.error("%d mails wait, the oldest for %d s: %s", self.waiting.count, self.waiting.oldest_s, self.trouble)
        self._told_old = old
