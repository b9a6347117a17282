"""Jobs that somebody else printed and counted: `processJob`.

It is a report of a print server like any other, so a job with its charge, its row and its place in every list. It was
not reserved for (there is nothing to hold any more), so it is marked `offline` and counts as such on the account. With
a key of the client's own it is at most once however often it is sent; without one each call is a job.
"""

import hashlib
import time
import uuid
from typing import Final

from backend.base.ids import uuid7
from backend.compat.faults import Code, Fault, printer_unknown, user_unknown
from backend.compat.job_details import JobDetails, read_job
from backend.compat.methods.caller import Caller
from backend.compat.queries import earlier_job, queue_key, user_known
from backend.intake.errors import CommandConflict
from backend.wire.jobs import ReportAnswer

_KEYS: Final = uuid.UUID("a2f2a5d0-6a0e-5b0e-9a53-0f7a5f6f1c1e")  # the name space of ids made of a client's own key


async def process(caller: Caller, details: str) -> bool:
    job = read_job(details, caller.ledger.decimals, int(time.time()))
    provider_id = await caller.read(queue_key, job.server, job.printer)
    if provider_id is None:
        raise printer_unknown(job.server, job.printer)
    if not caller.intake.policy.create_users and not await caller.read(user_known, job.user):
        raise user_unknown(job.user)
    command_id = str(uuid.uuid5(_KEYS, job.key)) if job.key else uuid7()
    job_id = uuid7(random_bits=_bits(details)) if job.key else uuid7()
    if job.key and await _told_before(caller, job, command_id, job_id):
        return True
    try:
        report = job.report(command_id, job_id)
        await caller.intake.ask(report, ReportAnswer, actor=caller.actor, provider_id=provider_id)
    except CommandConflict:  # the same key at the same moment
        return await _told_before(caller, job, command_id, job_id)
    return True


async def _told_before(caller: Caller, job: JobDetails, command_id: str, job_id: str) -> bool:
    """Whether this job was told before under the client's key. Raises Fault where another one was."""
    earlier = await caller.read(earlier_job, command_id)
    if earlier is not None and earlier[_RANDOM] != job_id[_RANDOM]:
        raise Fault(Code.GENERAL, f'A job "{job.key}" with other details was told before')
    return earlier is not None


_RANDOM: Final = slice(15, None)  # of a UUIDv7's text: behind its time and its version


def _bits(details: str) -> int:
    """What tells a job's details from others: the random part of its id, whose first part is its time."""
    return int.from_bytes(hashlib.blake2b(details.encode(), digest_size=10).digest()) & (1 << 74) - 1
