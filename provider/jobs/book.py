"""All printings this print server knows: those under way in memory, all others where the journal has them.

A printing is found by what identifies it, whether it is under way, waits for its report or was settled weeks ago,
since CUPS may run a job again long after it came out. In memory stand the open records and, of the others, a few
bytes each.
"""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from backend.base.clock import Clock
from backend.wire.jobs import Printing
from provider.jobs import rules
from provider.jobs.model import JobRecord, Told
from provider.journal.commit import GroupCommit
from provider.journal.file import Damage, JournalFile, Label

RECENT: Final = 200

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(JobRecord)


class Book:
    """The journal of jobs with its index. Belongs to one event loop."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._file = JournalFile(folder, self._take, clock.now_ms)
        self._commit = GroupCommit(self._file, self._forget)
        self._printings: dict[int, int] = {}
        self._latest: dict[int, int] = {}
        self._unsettled: dict[str, JobRecord] = {}
        self._told: dict[str, Told] = {}
        self._counts: dict[str, bool] = {}
        self._recent: deque[JobRecord] = deque(maxlen=RECENT)

    def open(self) -> list[JobRecord]:
        """Replay the journal: the records that are not settled, oldest first. Raises JournalError."""
        self._file.open()
        self._forget(self._file.shrink())
        return sorted(self._unsettled.values(), key=lambda record: record.created_at)

    @property
    def damage(self) -> list[Damage]:
        """What replay passed over."""
        return self._file.damage

    @property
    def trouble(self) -> str:
        """Why nothing can be written now, "" while it can."""
        return self._commit.trouble

    @property
    def size(self) -> int:
        """How many printings the journal holds."""
        return len(self._file.places)

    def find(self, printing: Printing) -> str | None:
        """The job id under which this printing is known."""
        found = self._printings.get(_digest(printing))
        return None if found is None else str(UUID(int=found))

    def find_before(self, printing: Printing) -> str | None:
        """The job id of the newest known printing of the same CUPS job."""
        found = self._latest.get(_digest(_of_job(printing)))
        return None if found is None else str(UUID(int=found))

    def available(self, user_name: str) -> int | None:
        """What a server last told that this user has left, as far as the journal goes back; None: it never told."""
        told = self._told.get(user_name)
        return None if told is None else told.available

    def note_available(self, user_name: str, told: Told) -> None:
        """A server has told it now, whatever the clocks say."""
        self._told[user_name] = told

    def printer_jobs(self, device_uri: str, since_ms: int) -> set[int]:
        """The printer's own numbers of the jobs that were settled since then on this device: no run under way is one of
        these."""
        found = (one for one in self._recent if one.device_uri == device_uri and (one.settled_at or 0) >= since_ms)
        return {run.evidence.printer_job_id for record in found for run in record.runs} - {0}

    def counts(self, device_uri: str) -> bool:
        """Whether the printer there counts what it prints: unless it has called jobs complete and said 0 of each."""
        return self._counts.get(device_uri, True)

    async def write(self, record: JobRecord) -> None:
        """Returns when the record is on the disk. Raises JournalError."""
        before = self._unsettled.get(record.job_id)
        await self._commit.write(self._label(record), _ENCODER.encode(record))
        if self._unsettled.get(record.job_id) is before:  # else a newer one was given meanwhile
            self._keep(record)

    def write_soon(self, record: JobRecord) -> None:
        """Write when there is time; `fetch` gives it from now on."""
        self._keep(record)
        self._commit.write_soon(self._label(record), _ENCODER.encode(record))

    async def fetch(self, job_id: str) -> JobRecord | None:
        """The newest record of a job."""
        kept = self._unsettled.get(job_id)
        if kept is not None:
            return kept
        payload = await self._commit.read(job_id)
        return None if payload is None else _DECODER.decode(payload)

    def settled_ids(self) -> list[str]:
        """Every job whose report a server has had, oldest first."""
        return [key for key in self._file.places if key not in self._unsettled]

    async def close(self) -> None:
        await self._commit.close()

    def _label(self, record: JobRecord) -> Label:
        return Label(record.job_id, record.settled_at if record.phase in ("settled", "denied") else None)

    def _take(self, payload: bytes) -> Label | None:
        try:
            record = _DECODER.decode(payload)
        except msgspec.DecodeError:
            return None
        self._keep(record)
        known = self._told.get(record.user_name)
        if record.told is not None and (known is None or known.at <= record.told.at):
            self._told[record.user_name] = record.told
        return self._label(record)

    def _keep(self, record: JobRecord) -> None:
        number = UUID(record.job_id).int
        self._printings[_digest(record.printing)] = number
        self._latest[_digest(_of_job(record.printing))] = number
        for copy in record.copies_of_crash:
            self._printings[_digest(replace(record.printing, time_at_completed=copy.time_at_completed))] = number
        if record.phase == "settled":
            self._recent.append(record)
            counted = rules.counted(record.runs)
            if counted is not None:
                self._counts[record.device_uri] = counted or self._counts.get(record.device_uri, False)
        if record.phase in ("settled", "denied"):
            self._unsettled.pop(record.job_id, None)
        else:
            self._unsettled[record.job_id] = record

    def _forget(self, job_ids: Iterable[str]) -> None:
        gone = {UUID(job_id).int for job_id in job_ids}
        if gone:
            self._printings = {key: job for key, job in self._printings.items() if job not in gone}
            self._latest = {key: job for key, job in self._latest.items() if job not in gone}


def _of_job(printing: Printing) -> Printing:
    """What all printings of a CUPS job have in common."""
    return replace(printing, time_at_completed=-1)


def _digest(printing: Printing) -> int:
    return int.from_bytes(blake2b(_ENCODER.encode(printing), digest_size=12).digest(), "big")
