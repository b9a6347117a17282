"""The daemon's journal in the simulation: replayed from the disk, written by one coroutine, as Book and GroupCommit
do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from backend.wire.jobs import Printing
from provider.jobs.model import JobRecord, Told
from provider.journal.record import Record, encode, scan
from tests.simulation.disk import File
from tests.simulation.kernel import Future

if TYPE_CHECKING:
    from tests.simulation.provider import Daemon

SUFFIX = ".journal"

_DECODER = msgspec.json.Decoder(JobRecord)


class Journal:
    """One life's journal."""

    def __init__(self, daemon: "Daemon") -> None:
        self._daemon = daemon
        self._disk = daemon.site.disk
        self._file: File | None = None
        self._good = 0
        self._given = 0
        self._waiting: list[tuple[int, JobRecord, Future[bool]]] = []
        self._soon: dict[str, tuple[int, JobRecord]] = {}
        self._runs = False
        self.records: dict[str, JobRecord] = {}
        self.unsettled: dict[str, JobRecord] = {}
        self.printings: dict[Printing, str] = {}
        self.told: dict[str, Told] = {}
        names = sorted(name for name in self._disk.files if name.endswith(SUFFIX))
        for name in names:
            self._replay(self._disk.read(name))
        self._number = 1 + max((int(name.removesuffix(SUFFIX)) for name in names), default=0)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._soon or self._runs)

    def write(self, record: JobRecord) -> "Future[bool]":
        """True when it is on the disk, False when it could not be written."""
        done: Future[bool] = Future()
        self._given += 1
        self._waiting.append((self._given, record, done))
        self._start()
        return done

    def write_soon(self, record: JobRecord) -> None:
        self.keep(record)
        self._given += 1
        self._soon[record.job_id] = (self._given, record)
        self._start()

    def keep(self, record: JobRecord) -> None:
        self.records[record.job_id] = record
        self.printings[record.printing] = record.job_id
        if record.phase in ("settled", "denied"):
            self.unsettled.pop(record.job_id, None)
        else:
            self.unsettled[record.job_id] = record

    def _replay(self, data: bytes) -> None:
        for part in scan(data):
            if isinstance(part, Record):
                record = _DECODER.decode(part.payload)
                self.keep(record)
                known = self.told.get(record.user_name)
                if record.told is not None and (known is None or known.at <= record.told.at):
                    self.told[record.user_name] = record.told

    def _start(self) -> None:
        if not self._runs:
            self._runs = True
            self._daemon.after(0.0, lambda: self._daemon.spawn(self._run()))

    async def _run(self) -> None:
        while self._waiting or self._soon:
            waiting, self._waiting = self._waiting, []
            soon, self._soon = self._soon, {}
            items = [*soon.values(), *((number, record) for number, record, _ in waiting)]
            before = {record.job_id: self.records.get(record.job_id) for _, record, _ in waiting}
            items.sort(key=lambda numbered: numbered[0])
            done = await self._append([record for _, record in items], durable=bool(waiting))
            for _, record, future in waiting:
                if done and self.records.get(record.job_id) is before[record.job_id]:
                    self.keep(record)
                    before[record.job_id] = record  # two of one job may be in one batch: the newer one counts
                future.set(done)
            if not done:
                self._soon = {**soon, **self._soon}
                if not self._waiting:
                    await self._daemon.sleep(1.0)
        self._runs = False

    async def _append(self, records: Sequence[JobRecord], durable: bool) -> bool:
        daemon, disk = self._daemon, self._disk
        data = b"".join(encode(msgspec.json.encode(record)) for record in records)
        try:
            if self._file is None:
                daemon.effect()
                self._file, self._good = disk.create(f"{self._number:08d}{SUFFIX}"), 0
                self._number += 1
                daemon.effect()
                disk.sync_folder()
            daemon.effect()
            disk.write(self._file, self._good, data)
        except OSError:
            self._file = None
            return False
        if durable:
            await daemon.sleep(daemon.kernel.rng.uniform(0.001, 0.015))
            daemon.effect()
            disk.sync(self._file)
        self._good += len(data)
        return True
