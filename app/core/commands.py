"""The commands of the help desk as entries of the outbox: what is sent for each, and what a server's answer means.

Pure. An entry keeps the bytes of its body, so that asking again after an upgrade of the console sends what was sent
first.
"""

from typing import Final
from urllib.parse import quote

import msgspec

from app.core.outbox import Ending, Entry, Owner, Verb
from app.core.viewdata import JOB_WORDS
from backend.wire.base import Message
from backend.wire.errors import REFUSALS
from backend.wire.jobs import CancelJob, JobActionAnswer, JobView, ReleaseJob, TickOff
from backend.wire.money import Adjust, MoneyAnswer, RefundJob, ReverseTransfer, SetBalance, TransferView

ABOUT_JOBS: Final[frozenset[Verb]] = frozenset({"release", "cancel", "tick-off"})
BODIES: Final[dict[Verb, type[Message]]] = {
    "release": ReleaseJob,
    "cancel": CancelJob,
    "tick-off": TickOff,
    "adjust": Adjust,
    "set-balance": SetBalance,
    "refund": RefundJob,
    "reverse": ReverseTransfer,
}


class Maker(msgspec.Struct, frozen=True):
    """What every entry begins with: its id, whose it is, and when it was made."""

    command_id: str
    owner: Owner
    now_ms: int


def act_on_job(by: Maker, verb: Verb, job: JobView, reason: str = "") -> Entry:
    """Release, cancel or tick off."""
    body: Message = ReleaseJob(command_id=by.command_id)
    if verb == "cancel":
        body = CancelJob(command_id=by.command_id, reason=reason)
    elif verb == "tick-off":
        body = TickOff(command_id=by.command_id, comment=reason)
    path = f"jobs/{quote(job.job_id, safe='')}/{verb}"
    return _entry(by, verb, path, body, job.user_name, title=_title(job), job_id=job.job_id, comment=reason)


def adjust(by: Maker, user_name: str, amount: int, comment: str) -> Entry:
    body = Adjust(command_id=by.command_id, user_name=user_name, amount=amount, comment=comment)
    path = f"users/{quote(user_name, safe='')}/adjust"
    return _entry(by, "adjust", path, body, user_name, amount=amount, comment=comment)


def set_balance(by: Maker, user_name: str, balance: int, comment: str) -> Entry:
    body = SetBalance(command_id=by.command_id, user_name=user_name, balance=balance, comment=comment)
    path = f"users/{quote(user_name, safe='')}/balance"
    return _entry(by, "set-balance", path, body, user_name, amount=balance, comment=comment)


def refund(by: Maker, job: JobView, comment: str, amount: int | None = None, pages: int | None = None) -> Entry:
    """An amount of what the job was charged, the part for so many pages, or (neither) all that is left."""
    body = RefundJob(command_id=by.command_id, amount=amount, pages=pages, comment=comment)
    path = f"jobs/{quote(job.job_id, safe='')}/refund"
    title = _title(job)
    return _entry(
        by, "refund", path, body, job.user_name, title=title, job_id=job.job_id, amount=amount, comment=comment
    )


def reverse(by: Maker, user_name: str, transfer: TransferView, comment: str) -> Entry:
    """Undo by a transfer the other way."""
    body = ReverseTransfer(command_id=by.command_id, comment=comment)
    path = f"users/{quote(user_name, safe='')}/transfers/{transfer.sequence}/reverse"
    sequence = transfer.sequence
    return _entry(by, "reverse", path, body, user_name, sequence=sequence, amount=-transfer.amount, comment=comment)


def command(entry: Entry) -> Message:
    """The body as a message. It encodes to what was kept, and where a newer console adds a field, to that with the
    field's default."""
    return msgspec.json.decode(entry.body, type=BODIES[entry.verb])


def job_ending(answer: JobActionAnswer) -> Ending:
    if not answer.code:
        return Ending(done=True, state=answer.state)
    now = f"; it is {JOB_WORDS[answer.state][0].lower()}" if answer.code == "job-not-held" else ""
    return Ending(done=False, text=f"{_said(answer)}{now}", code=answer.code, state=answer.state)


def money_ending(answer: MoneyAnswer) -> Ending:
    if not answer.code:
        return Ending(done=True, amount=answer.amount, balance=answer.balance, available=answer.available)
    return Ending(done=False, text=_said(answer), code=answer.code)


def _said(answer: JobActionAnswer | MoneyAnswer) -> str:
    return answer.message.rstrip(".") or REFUSALS.get(answer.code, answer.code)


def _title(job: JobView) -> str:
    return job.title or "(no name)"


def _entry(
    by: Maker,
    verb: Verb,
    path: str,
    body: Message,
    user_name: str,
    *,
    title: str = "",
    job_id: str = "",
    sequence: int = 0,
    amount: int | None = None,
    comment: str = "",
) -> Entry:
    return Entry(
        command_id=by.command_id,
        verb=verb,
        owner=by.owner,
        path=path,
        body=msgspec.Raw(msgspec.json.encode(body)),
        made_at_ms=by.now_ms,
        user_name=user_name,
        title=title,
        job_id=job_id,
        sequence=sequence,
        amount=amount,
        comment=comment,
    )
