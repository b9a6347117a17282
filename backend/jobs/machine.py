"""The life of a job on the server's side: pure decisions over locked rows.

Terms fence decisions, never facts: an `authorise` older than what is known does nothing, a `report` is always taken, is
absolute, and leaves the job's net charge at the price of one printing, whatever came before it and in whatever order.
"""

from typing import Final

import msgspec

from backend.jobs.model import Job, Mark, Need, QueueRow, UserRow, analysed, decode_rule, mark_names, need_of
from backend.ledger import rules
from backend.ledger.model import UNASSIGNED, Account, Book, Kind, Origin
from backend.wire.base import Ledger
from backend.wire.errors import REFUSALS
from backend.wire.jobs import Authorise, AuthoriseAnswer, Decision, JobActionAnswer, JobIdentity, Report, ReportAnswer
from backend.wire.pricing import Printed, money_text, price

_encode = msgspec.json.encode

HELD: Final = "held-for-release"
CANCEL_REQUESTED: Final = "cancel-requested"  # a person wants it canceled, its print server has not said that it is
_BY_HAND: Final = {CANCEL_REQUESTED: "canceled-by-operator"} | {
    code: code for code in ("canceled-by-operator", "hold-expired")
}
"""A job's codes that say that it was canceled here, and what each becomes when the job is over."""
# Plain numbers: every charge goes by here, and a flag's own operators take ten times as long.
_RELEASED: Final = int(Mark.RELEASED)
_NOT_RELEASED: Final = ~_RELEASED
_NOT_REQUESTED: Final = ~int(Mark.CANCEL_REQUESTED)


def authorise(
    book: Book,
    job: Job | None,
    body: Authorise,
    queue: QueueRow,
    user: UserRow | None,
    origin: Origin,
    ledger: Ledger,
) -> tuple[Job | None, AuthoriseAnswer]:
    """Decide whether the job may print and reserve its price. The answer's job is None when nothing changed."""
    if job is not None and body.attempt <= job.attempt:
        return None, AuthoriseAnswer(job_id=body.job_id, decision="superseded", code="superseded")
    account = book.accounts[job.account_id if job else user.account_id if user else UNASSIGNED]
    released = job is not None and _asks_for_what_was_released(job, body, queue)
    job = _taken(job, body, queue, account, origin)
    _void(book, account, job, origin)
    rule = decode_rule(queue.cost)
    cost = price(rule, analysed(job, body.facts))
    job.rule = queue.cost
    due = max(0, cost - job.charged)
    decision: Decision = "authorised"
    if refusal := _BY_HAND.get(job.code) or _refusal(queue, user, account, due, origin.at):
        decision = "denied"
        job.state, job.code = "canceled" if job.code in _BY_HAND else "denied", refusal
        job.marks &= _NOT_REQUESTED  # its print server knows by this answer
    elif queue.hold_jobs and not released:
        decision, refusal = "held", HELD
        job.state, job.code = "held", HELD
        job.marks &= _NOT_RELEASED
    else:
        job.state, job.code = "authorised", ""
        if due:
            job.reserved_sequence = rules.reserve(book, account, due, "print", origin)
            job.reserved = due
    answer = AuthoriseAnswer(
        job_id=job.job_id,
        decision=decision,
        code=refusal,
        message=_message(refusal, account, cost, ledger) if refusal else "",
        cost=cost,
        rule_version=rule.version,
        balance=account.balance,
        available=account.available,
    )
    return job, answer


def report(
    book: Book, job: Job | None, body: Report, queue: QueueRow, user: UserRow | None, origin: Origin
) -> tuple[Job | None, ReportAnswer]:
    """Take what was printed. Makes the net charge the price of it; ends the reservation it belongs to."""
    if job is not None and body.revision <= job.revision:
        return None, _report_answer(job, book.accounts[job.account_id])
    account = book.accounts[job.account_id if job else user.account_id if user else UNASSIGNED]
    newer_attempt_open = job is not None and body.attempt < job.attempt
    was_expired = job is not None and job.state == "in_doubt"
    job = _taken(job, body, queue, account, origin)
    job.revision = body.revision
    job.rule = _encode(body.offline_rule).decode() if body.offline_rule else job.rule or queue.cost
    due = _recharge(job, price(decode_rule(job.rule), body.printed))
    _mark(job, body, account)
    if job.reserved_sequence and not newer_attempt_open:
        due = _settle(book, account, job, due, origin)
        code = "print-excess"
    else:
        code = "print-late" if was_expired or newer_attempt_open else "print-offline"
    _post_rest(book, account, job, due, code, origin)
    _count(book, account, job, body.printed)
    if not newer_attempt_open:
        job.state, job.code = body.outcome, "" if body.outcome == "completed" else _BY_HAND.get(job.code, "")
        job.marks &= _NOT_REQUESTED
    return job, _report_answer(job, account)


def refundable(job: Job, amount: int | None, pages: int | None) -> int:
    """How much is to be given back of what the job was charged: the amount, the part for these pages of it, or
    (neither) all that is left. 0 where it is more than that."""
    left = job.charged - job.refunded
    if pages is not None:
        if pages > job.counted_impressions:
            return 0
        amount = _part(job.charged, pages, job.counted_impressions)
    wanted = left if amount is None else amount
    return wanted if wanted <= left else 0


def refund(book: Book, job: Job, amount: int, origin: Origin) -> None:
    """Give back what `refundable` said (more than 0)."""
    rules.give_back(book, book.accounts[job.account_id], amount, "refund", origin)
    job.refunded += amount
    job.updated_at = origin.at


def unrefund(job: Job, amount: int, origin: Origin) -> None:
    """A refund was undone."""
    job.refunded = max(0, job.refunded - amount)
    job.updated_at = origin.at


def tick_off(job: Job, origin: Origin) -> Job | None:
    """Somebody has looked at the job's charge. None where nobody needs to any more."""
    if need_of(job) != Need.LOOK:
        return None
    job.marks |= Mark.LOOKED_AT
    job.updated_at = origin.at
    return job


def _recharge(job: Job, cost: int) -> int:
    """The job is charged this much now; what was given back before stays so, as far as there is as much. Returns by how
    much that changes the net of its transfers."""
    refunded = min(job.refunded, cost)
    due = (cost - refunded) - (job.charged - job.refunded)
    job.charged, job.refunded = cost, refunded
    return due


def _part(charged: int, pages: int, of_pages: int) -> int:
    """What so many of a job's pages cost, rounded half to even."""
    whole, rest = divmod(charged * pages, of_pages)
    return whole + (2 * rest > of_pages or (2 * rest == of_pages and whole % 2 == 1))


def release(job: Job, origin: Origin) -> tuple[Job | None, JobActionAnswer]:
    """Let a held job print. It is what it was when it was held that may print: `authorise` looks."""
    if job.state != "held":
        return None, _action(job, "job-not-held")
    job.state, job.code = "released", ""
    job.marks |= Mark.RELEASED
    job.updated_at = origin.at
    return job, _action(job)


def cancel(job: Job, origin: Origin) -> tuple[Job | None, JobActionAnswer]:
    """A job that waits is canceled at once; of one that may be printing its print server is told, and says what was
    printed of it."""
    if job.state in ("held", "released"):
        _cancel_waiting(job, "canceled-by-operator", origin)
    elif job.state in ("authorised", "printing"):
        job.code = CANCEL_REQUESTED
        job.marks |= Mark.CANCEL_REQUESTED
        job.updated_at = origin.at
    else:
        return None, _action(job, "job-not-held")
    return job, _action(job)


def end_hold(job: Job, held_before: int, origin: Origin) -> Job | None:
    """Cancel a job that nobody released in time. None when it does not wait any more, or since `held_before` or later
    only."""
    if job.state != "held" or job.updated_at >= held_before:
        return None
    _cancel_waiting(job, "hold-expired", origin)
    job.term = origin.term
    return job


def _cancel_waiting(job: Job, code: str, origin: Origin) -> None:
    job.state, job.code = "canceled", code
    job.marks |= Mark.CANCEL_REQUESTED
    job.updated_at = origin.at


def _action(job: Job, code: str = "") -> JobActionAnswer:
    text = f"{REFUSALS[code]}." if code else ""
    return JobActionAnswer(code=code, message=text, state=job.state)  # type: ignore[arg-type]  # JobState's words only


def _asks_for_what_was_released(job: Job, body: Authorise, queue: QueueRow) -> bool:
    facts = body.facts
    return bool(job.marks & _RELEASED) and (
        (facts.impressions, facts.sheets, facts.color_impressions, facts.copies, queue.queue_id)
        == (job.impressions, job.sheets, job.color_impressions, job.copies, job.queue_id)
    )


def expire(book: Book, job: Job, silent_since: int, origin: Origin) -> Job | None:
    """End the reservation of a job whose provider has been silent for the grace period. None when there is none open,
    or when it was renewed at `silent_since` or later."""
    if not job.reserved_sequence or job.renewed_at >= silent_since:
        return None
    account = book.accounts[job.account_id]
    rules.end_unposted(book, account, job.reserved_sequence, job.reserved, Kind.EXPIRED, origin)
    job.reserved_sequence = job.reserved = 0
    job.state = "in_doubt"
    job.marks &= (
        ~Mark.CANCEL_REQUESTED
    )  # a person must look now; that it was canceled its print server hears when it asks
    job.updated_at = origin.at
    job.term = origin.term
    return job


def is_open(disabled: bool, disabled_until: int, now: int) -> bool:
    """Whether a switch that may be off for a time lets jobs pass now (`disabled_until` 0: off for ever)."""
    return not disabled or 0 < disabled_until <= now


def _refusal(queue: QueueRow, user: UserRow | None, account: Account, due: int, now: int) -> str:
    if user is None:
        return "user-unknown"
    if not is_open(user.disabled, user.disabled_until, now):
        return "user-disabled"
    if not is_open(queue.disabled, queue.disabled_until, now):
        return "printer-disabled"
    return "" if not due or rules.covers(account, due) else "account-limit-reached"


def _message(refusal: str, account: Account, cost: int, ledger: Ledger) -> str:
    """Why not, in words for the person who prints."""
    if refusal == "account-limit-reached":
        price_text = money_text(cost, ledger.decimals, ledger.currency)
        available = money_text(account.available + account.overdraft, ledger.decimals, ledger.currency)
        return f"This job costs {price_text}, you have {available} left to print with."
    return f"{REFUSALS[refusal]}."


def _taken(job: Job | None, body: JobIdentity, queue: QueueRow, account: Account, origin: Origin) -> Job:
    """The job with what this command says of it; the newest attempt's facts count."""
    if job is None:
        job = _new_job(body, queue, account, origin)
    if body.attempt > job.attempt:  # the same attempt's facts are known already
        facts = body.facts
        job.attempt = body.attempt
        if job.queue_id != queue.queue_id:  # moved
            job.queue_id, job.rule = queue.queue_id, ""
        job.title, job.host = body.title, body.host or job.host
        job.impressions = facts.impressions
        job.sheets = facts.sheets
        job.color_impressions = facts.color_impressions
        job.copies = facts.copies
        job.facts = _encode(facts).decode()
        if facts.estimated:
            job.marks |= Mark.ESTIMATED
    job.updated_at = job.renewed_at = origin.at
    return job


def _new_job(body: JobIdentity, queue: QueueRow, account: Account, origin: Origin) -> Job:
    return Job(
        job_id=body.job_id,
        provider_id=queue.provider_id,
        queue_id=queue.queue_id,
        account_id=account.account_id,
        user_name=body.user_name,
        title=body.title,
        host=body.host,
        state="analysed",
        code="",
        marks=Mark.UNASSIGNED if account.account_id == UNASSIGNED else 0,
        attempt=0,
        revision=0,
        reserved_sequence=0,
        reserved=0,
        charged=0,
        counted_impressions=0,
        rule="",
        impressions=0,
        sheets=0,
        color_impressions=0,
        copies=0,
        facts="",
        printing=_encode(body.printing).decode(),
        term=0,
        created_at=origin.at,
        updated_at=origin.at,
        renewed_at=origin.at,
    )


def _void(book: Book, account: Account, job: Job, origin: Origin) -> None:
    if job.reserved_sequence:
        rules.end_unposted(book, account, job.reserved_sequence, job.reserved, Kind.VOIDED, origin)
        job.reserved_sequence = job.reserved = 0


def _settle(book: Book, account: Account, job: Job, due: int, origin: Origin) -> int:
    pending, reserved = job.reserved_sequence, job.reserved
    job.reserved_sequence = job.reserved = 0
    if due <= 0:
        rules.end_unposted(book, account, pending, reserved, Kind.VOIDED, origin)
        return due
    return rules.settle(book, account, pending, reserved, due, origin)


def _post_rest(book: Book, account: Account, job: Job, due: int, code: str, origin: Origin) -> None:
    if due < 0:
        rules.give_back(book, account, -due, "print-correction", origin)
    elif due > 0:
        rules.charge(book, account, due, code, origin)
        if code == "print-excess":
            account.excess_total += due
            job.marks |= Mark.EXCESS
        elif code == "print-late":
            account.late_total += due
            job.marks |= Mark.LATE
        else:
            account.offline_total += due
            job.marks |= Mark.OFFLINE


def _mark(job: Job, body: Report, account: Account) -> None:
    for is_so, mark in (
        (body.estimated, Mark.ESTIMATED),
        (body.offline, Mark.OFFLINE),
        (body.possible_duplicate, Mark.POSSIBLE_DUPLICATE),
        (body.in_doubt, Mark.IN_DOUBT),
        (account.account_id == UNASSIGNED, Mark.UNASSIGNED),
    ):
        if is_so:
            if not job.marks & mark:
                job.marks &= ~Mark.LOOKED_AT
            job.marks |= mark


def _count(book: Book, account: Account, job: Job, printed: Printed) -> None:
    """Keep the account's statistics equal to what its jobs printed."""
    if printed.impressions != job.counted_impressions:
        account.print_jobs += bool(printed.impressions) - bool(job.counted_impressions)
        account.print_impressions += printed.impressions - job.counted_impressions
        job.counted_impressions = printed.impressions
        book.changed.add(account.account_id)


def _report_answer(job: Job, account: Account) -> ReportAnswer:
    return ReportAnswer(
        job_id=job.job_id,
        state=job.state,  # type: ignore[arg-type]  # the machine writes JobState's words only
        charged=job.charged,
        balance=account.balance,
        available=account.available,
        marks=mark_names(job.marks) if job.marks else (),
    )
