"""The keeper's rounds: whom it asks when, what it tells cupsd, what becomes of notes that backends left.

cupsd and servers are played here; tests/e2e/test_accidents_holds.py has the real ones.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec

from backend.base.clock import ManualClock
from backend.wire.base import JobId
from backend.wire.jobs import JobDecision, Printing
from provider.cups.client import MOST_WAITING, CupsJob
from provider.errors import CupsError
from provider.jobs.model import HeldFor, JobRecord
from provider.journal import record as records
from provider.journal.runs import HeldNote, read_notes
from provider.keeper import ROUNDS_BETWEEN_LOOKS, Keeper
from provider.uplink.sender import Contact

JOB = "00000000-0000-7000-8000-000000000001"


def listed(number: int, state: int = 4) -> CupsJob:
    return CupsJob(number, state, 100, 0, "anna", "", 1)


@dataclass
class World:
    """The desk, cupsd and the servers in one. `away` is why cupsd does not answer."""

    jobs: dict[int, CupsJob] = field(default_factory=dict)
    records: list[JobRecord] = field(default_factory=list)
    decided: tuple[JobDecision, ...] = ()
    away: str = ""
    asked: int = 0
    did: list[tuple[str, object]] = field(default_factory=list)
    contact: Contact = field(default_factory=lambda: Contact(trouble=""))
    waiting_queues: tuple[str, ...] = ()

    @property
    def undecided(self) -> list[JobRecord]:
        return self.records

    def note_reason(self, job_id: str, reason: str) -> None:
        self.did.append((reason, job_id))

    def nudge(self, job_id: str) -> None:
        self.did.append(("nudge", job_id))

    async def decisions(self) -> tuple[JobDecision, ...] | None:
        self.asked += 1
        return self.decided

    async def waiting(self) -> dict[int, CupsJob]:
        if self.away:
            raise CupsError(self.away)
        return self.jobs

    async def release(self, number: int) -> None:
        if self.away:
            raise CupsError(self.away)
        self.did.append(("release", number))

    async def cancel(self, number: int) -> None:
        self.did.append(("cancel", number))


def rounds(world: World, folder: Path, count: int = 1) -> None:
    played = cast("Any", world)
    keeper = Keeper(played, folder, played, played, ManualClock(), lambda queue: queue in world.waiting_queues)

    async def play() -> None:
        for _ in range(count):
            await keeper.look()

    asyncio.run(play())


def held(held_for: HeldFor) -> JobRecord:
    printing = Printing(spool_id="s", cups_job_id=7, time_at_creation=100)
    return JobRecord(job_id=JOB, printing=printing, queue="q", user_name="anna", created_at=0, held_for=held_for)


def leave_note(folder: Path, number: int) -> None:
    note = HeldNote(v=1, held_at=number, cups_job_id=number, options="time-at-creation=100")
    (folder / f"held-{number}-0.note").write_bytes(records.encode(msgspec.json.encode(note)))


def test_a_release_is_heard_of_in_the_first_round_and_told_to_cupsd(tmp_path: Path) -> None:
    world = World({7: listed(7)}, [held("release")], (JobDecision(job_id=JobId(JOB), decision="release"),))
    rounds(world, tmp_path)
    assert world.did == [("release", 7)]


def test_a_cancel_is_told_to_cupsd_and_the_job_looks(tmp_path: Path) -> None:
    world = World({7: listed(7)}, [held("release")], (JobDecision(job_id=JobId(JOB), decision="cancel"),))
    rounds(world, tmp_path)
    assert world.did == [("cancel", 7), ("nudge", JOB)]


def test_a_job_canceled_with_a_reason_is_let_go_to_be_denied_with_it(tmp_path: Path) -> None:
    decision = JobDecision(job_id=JobId(JOB), decision="cancel", reason="too dear")
    rounds(world := World({7: listed(7)}, [held("release")], (decision,), waiting_queues=("q",)), tmp_path, 3)
    assert world.did == [("too dear", JOB), ("release", 7)]


def test_what_waits_for_a_server_goes_on_when_one_answers_and_asks_nobody(tmp_path: Path) -> None:
    world = World({7: listed(7)}, [held("server")], contact=Contact(trouble="cannot be reached"))
    rounds(world, tmp_path, ROUNDS_BETWEEN_LOOKS - 1)
    assert (world.did, world.asked) == ([], 0)
    world.contact = Contact(trouble="")
    rounds(world, tmp_path)
    assert (world.did, world.asked) == ([("release", 7)], 0)


def test_who_has_nothing_asks_nobody(tmp_path: Path) -> None:
    world = World({7: listed(7)})
    rounds(world, tmp_path, 3 * ROUNDS_BETWEEN_LOOKS)
    assert (world.did, world.asked) == ([], 0)


def test_a_cupsd_that_is_away_is_asked_again(tmp_path: Path) -> None:
    world = World({7: listed(7)}, [held("server")], away="it does not answer")
    rounds(world, tmp_path)
    assert world.did == []
    world.away = ""
    rounds(world, tmp_path)
    assert world.did == [("release", 7)]


def test_what_backends_held_alone_is_let_go_once_and_its_note_is_gone(tmp_path: Path) -> None:
    for number in (9, 8, 7, 6):
        leave_note(tmp_path, number)
    world = World({9: listed(9), 8: listed(8, state=5), 6: listed(6)})  # 8 has not ended yet, 7 is not there any more
    rounds(world, tmp_path, ROUNDS_BETWEEN_LOOKS)
    assert world.did == [("release", 6), ("release", 9)]
    assert [note.cups_job_id for note in read_notes(tmp_path)] == [8]


def test_a_note_stays_where_cupsd_lists_no_more_than_it_may(tmp_path: Path) -> None:
    leave_note(tmp_path, 7)
    world = World({number: listed(number) for number in range(100, 100 + MOST_WAITING)})
    rounds(world, tmp_path, ROUNDS_BETWEEN_LOOKS)
    assert [note.cups_job_id for note in read_notes(tmp_path)] == [7]


def test_a_note_stays_where_its_job_could_not_be_let_go(tmp_path: Path) -> None:
    leave_note(tmp_path, 7)
    world = World({7: listed(7)}, away="it does not answer")
    rounds(world, tmp_path, ROUNDS_BETWEEN_LOOKS)
    assert [note.cups_job_id for note in read_notes(tmp_path)] == [7]
