"""Looks after jobs that are held in CUPS: lets them go, cancels them, notices that they are gone.

A job that waits for a person's release is asked about at the servers each ROUND_S, so that it prints within a second
of the click; one that waits for a server goes on by itself when one answers, the oldest first. A job that was held by
its backend alone, while the daemon was away, goes on as soon as the daemon is there, which then decides.

What is to be done is decided in provider.jobs.holds; here it is done. While nothing is held, and no job is open, nobody
is asked anything.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from backend.base.clock import Clock
from backend.wire.jobs import JobDecision
from provider.cups.client import MOST_WAITING, Cupsd, CupsJob
from provider.cups.identity import judge_note
from provider.errors import CupsError
from provider.jobs import holds
from provider.jobs.desk import Desk
from provider.jobs.holds import Decided, Step
from provider.jobs.model import JobRecord
from provider.journal import runs
from provider.rounds import rounds
from provider.uplink.sender import Uplink

ROUND_S: Final = 0.5
MOST_NOTES: Final = 100
ROUNDS_BETWEEN_LOOKS: Final = 4  # at what CUPS lists, and at the servers where no job is held

_log = logging.getLogger(__name__)


class Keeper:
    """One provider's held jobs. Belongs to one event loop."""

    def __init__(
        self, desk: Desk, runs_dir: Path, cupsd: Cupsd, uplink: Uplink, clock: Clock, waits_alone: Callable[[str], bool]
    ) -> None:
        """`waits_alone` tells of a queue whether its jobs wait while nobody can be asked."""
        self._desk = desk
        self._runs_dir = runs_dir
        self._cupsd = cupsd
        self._uplink = uplink
        self._clock = clock
        self._waits_alone = waits_alone
        self._tried_at_s: dict[str, float] = {}
        self._round = 0
        self._trouble = ""
        self._reasons: dict[str, str] = {}

    async def run(self) -> None:
        """For ever."""
        await rounds(ROUND_S, self.look, "held jobs could not be looked after")

    async def look(self) -> None:
        """One round."""
        self._round += 1
        records = self._desk.undecided
        held = [record for record in records if record.held_for]
        seldom = self._round % ROUNDS_BETWEEN_LOOKS == 0
        decided = Decided(answering=not self._uplink.contact.trouble, decisions={})
        if any(record.held_for == "release" for record in held) or (seldom and records):
            decided = self._read(await self._uplink.decisions())
        waits_for_server = decided.answering and any(record.held_for == "server" for record in held)
        if decided.decisions or waits_for_server or (seldom and held):
            await self._take(records, decided)
        if seldom:
            await self._take_notes()
        known = {record.job_id for record in records}
        self._tried_at_s = {job_id: at_s for job_id, at_s in self._tried_at_s.items() if job_id in known}

    def _read(self, decisions: Sequence[JobDecision] | None) -> Decided:
        answering = not self._uplink.contact.trouble
        found: dict[str, Literal["release", "cancel"]] = {one.job_id: one.decision for one in decisions or ()}
        self._reasons = {one.job_id: one.reason for one in decisions or () if one.decision == "cancel"}
        return Decided(answering=answering, decisions=found)

    async def _take_notes(self) -> None:
        """Let go what backends had held while the daemon was away: they ask again, and now somebody answers."""
        notes = await asyncio.to_thread(runs.read_notes, self._runs_dir)
        listed = await self._listed() if notes else None
        if listed is None:
            return
        for note in notes[:MOST_NOTES]:
            if note.cups_job_id not in listed and len(listed) >= MOST_WAITING:
                continue  # it may be one of those that cupsd did not list
            state = judge_note(listed.get(note.cups_job_id), note)
            released = state == "held" and await self._do(Step("", note.cups_job_id, "release"))
            if released or state == "over":
                await asyncio.to_thread(runs.remove_note, self._runs_dir, note.name)

    async def _listed(self) -> dict[int, CupsJob] | None:
        try:
            listed = await self._cupsd.waiting()
        except CupsError as error:
            if not self._trouble:
                _log.warning("held jobs cannot be looked after: %s", error)
            self._trouble = str(error)
            return None
        self._trouble = ""
        return listed

    async def _take(self, records: Sequence[JobRecord], decided: Decided) -> None:
        listed = await self._listed()
        if listed is None:
            return
        now_s = self._clock.monotonic_s()
        queues = {record.queue for record in records if record.held_for}
        decided = replace(decided, waiting_queues=frozenset(filter(self._waits_alone, queues)))
        for step in holds.steps(records, listed, decided, self._tried_at_s, now_s):
            self._tried_at_s[step.job_id] = now_s
            await self._do(step)

    async def _do(self, step: Step) -> bool:
        """Whether it could be done."""
        try:
            if step.act == "release":
                await self._cupsd.release(step.cups_job_id)
                _log.info("job %d is let go on", step.cups_job_id)
            elif step.act == "refuse":
                self._desk.note_reason(step.job_id, self._reasons.get(step.job_id, ""))
                await self._cupsd.release(step.cups_job_id)
                _log.info("job %d is let go to be denied, as a server was told", step.cups_job_id)
            elif step.act == "cancel":
                await self._cupsd.cancel(step.cups_job_id)
                _log.info("job %d is canceled, as a server was told", step.cups_job_id)
        except CupsError as error:
            _log.warning("job %d: %s failed: %s", step.cups_job_id, step.act, error)
            return False
        if step.act not in ("release", "refuse"):
            self._desk.nudge(step.job_id)
        return True
