"""Fold a batch of commands over locked rows into answers and rows to write. Pure; the same for every store.

The commands are folded in the order they came. One that was answered before (in another batch or earlier in this one)
gets the first answer again; the same id with other content is a conflict and changes nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from backend.intake.model import (
    Audit,
    Body,
    Cancel,
    Command,
    EndHold,
    Expire,
    Missing,
    Policy,
    Reads,
    Release,
    Rows,
    Writes,
)
from backend.jobs import machine
from backend.jobs.model import Job, Want, need_of
from backend.ledger import rules
from backend.ledger.model import UNASSIGNED, Account, Book, Origin
from backend.wire.errors import REFUSALS
from backend.wire.messages import (
    Adjust,
    Authorise,
    ConfigureAccount,
    JobActionAnswer,
    JobState,
    Message,
    MoneyAnswer,
    Report,
    SetBalance,
)
from backend.wire.pricing import MAX_AMOUNT, money_text

CONFLICT = None  # the result of a command whose id was used with other content
Result = str | None

_encode = msgspec.json.Encoder().encode


def reads(commands: Iterable[Command]) -> Reads:
    """What the batch must claim, lock and look at."""
    claims: dict[str, str] = {}
    jobs: set[str] = set()
    users: set[str] = set()
    queues: set[tuple[int, str]] = set()
    fenced = False
    for command in commands:
        claims.setdefault(command.command_id, command.fingerprint)
        body = command.body
        if isinstance(body, Authorise | Report):
            jobs.add(body.job_id)
            users.add(body.user_name)
            queues.add((command.provider_id, body.queue))
        elif isinstance(body, Expire | Release | Cancel | EndHold):
            jobs.add(body.job_id)
            fenced = fenced or isinstance(body, Expire | EndHold)
        else:
            users.add(body.user_name)
    return Reads(sorted(claims.items()), sorted(jobs), sorted(users), sorted(queues), [], fenced)


def missing(commands: Iterable[Command], rows: Rows, create_users: bool) -> Missing:
    """Which users and queues the jobs of the batch need and nobody has made yet."""
    users: set[str] = set()
    queues: set[tuple[int, str]] = set()
    for command in commands:
        body = command.body
        if isinstance(body, Authorise | Report) and command.command_id not in rows.answers:
            key = (command.provider_id, body.queue)
            if key not in rows.queues:
                queues.add(key)
            if create_users and body.user_name not in rows.users and body.job_id not in rows.jobs:
                users.add(body.user_name)
    return Missing(tuple(sorted(users)), tuple(sorted(queues)))


def unlocked(commands: Iterable[Command], rows: Rows) -> list[int]:
    """The accounts the batch needs beside those of its users: of jobs that belong to another, or `unassigned`."""
    needed = {job.account_id for job in rows.jobs.values()}
    for command in commands:
        body = command.body
        if isinstance(body, Authorise | Report) and body.user_name not in rows.users and body.job_id not in rows.jobs:
            needed.add(UNASSIGNED)
    return sorted(needed - rows.accounts.keys())


def fold(commands: Sequence[Command], rows: Rows, policy: Policy) -> tuple[list[Result], Writes]:
    """The answers, one for each command in order (JSON, or CONFLICT), and what to write."""
    batch = _Batch(rows, policy)
    results = [batch.take(command) for command in commands]
    return results, batch.writes()


class _Batch:
    """The fold's working state: the locked rows as the batch has changed them so far."""

    def __init__(self, rows: Rows, policy: Policy) -> None:
        self._rows = rows
        self._policy = policy
        self._book = Book(rows.accounts)
        self._jobs = dict(rows.jobs)
        self._answered = dict(rows.answers)
        self._answers: list[tuple[str, str]] = []
        self._changed: set[str] = set()  # jobs
        self._needs = {job_id: need_of(job) for job_id, job in rows.jobs.items()}  # as it was before
        self._reasons: dict[str, str] = {}  # of jobs canceled by hand
        self._audits: list[Audit] = []

    def take(self, command: Command) -> Result:
        before = self._answered.get(command.command_id)
        if before is not None:
            return before[1] if before[0] == command.fingerprint else CONFLICT
        answer = _encode(self._decide(command)).decode()
        self._answered[command.command_id] = (command.fingerprint, answer)
        self._answers.append((command.command_id, answer))
        return answer

    def writes(self) -> Writes:
        jobs = [self._jobs[job_id] for job_id in sorted(self._changed)]
        event = _encode(sorted(self._changed)).decode() if self._changed else ""
        return Writes(
            now=self._rows.now,
            answers=self._answers,
            transfers=self._book.transfers,
            accounts=[self._book.accounts[account_id] for account_id in sorted(self._book.changed)],
            new_jobs=[job for job in jobs if job.job_id not in self._rows.jobs],
            changed_jobs=[job for job in jobs if job.job_id in self._rows.jobs],
            stripes=self._book.stripes,
            event=event,
            wants=self._wants(jobs),
            audits=self._audits,
        )

    def _wants(self, changed: Sequence[Job]) -> list[Want]:
        """What is to be noted of jobs that need somebody else than before."""
        found: list[Want] = []
        for job in changed:
            need, reason = need_of(job), self._reasons.get(job.job_id, "") if self._reasons else ""
            if need != self._needs.get(job.job_id, 0) or (need and reason):
                found.append(Want(job.job_id, job.provider_id, need, reason))
        return found

    def _decide(self, command: Command) -> Message:
        body: Body = command.body
        if isinstance(body, Authorise | Report):
            return self._job(command, body)
        if isinstance(body, Expire):
            return self._expire(command, body)
        if isinstance(body, Release | Cancel):
            return self._act(command, body)
        if isinstance(body, EndHold):
            return self._end_hold(command, body)
        user = self._rows.users.get(body.user_name)
        if user is None:
            return _refused("user-unknown")
        account = self._book.accounts[user.account_id]
        if isinstance(body, ConfigureAccount):
            return self._configure(account, body)
        origin = Origin(command.command_id, command.actor, self._rows.now, comment=body.comment)
        return self._move(account, body, origin)

    def _job(self, command: Command, body: Authorise | Report) -> Message:
        job = self._jobs.get(body.job_id)
        queue = self._rows.queues[command.provider_id, body.queue]
        user = self._rows.users.get(body.user_name)
        origin = Origin(command.command_id, command.actor, self._rows.now, body.job_id)
        changed: Job | None
        answer: Message
        if isinstance(body, Authorise):
            changed, answer = machine.authorise(self._book, job, body, queue, user, origin, self._policy.ledger)
        else:
            changed, answer = machine.report(self._book, job, body, queue, user, origin)
        if changed is not None:
            self._jobs[body.job_id] = changed
            self._changed.add(body.job_id)
        return answer

    def _expire(self, command: Command, body: Expire) -> Message:
        if body.term != self._rows.term:
            return _refused("superseded")
        job = self._jobs.get(body.job_id)
        if job is None:
            return _refused("job-unknown")
        origin = Origin(command.command_id, command.actor, self._rows.now, body.job_id, term=body.term)
        changed = machine.expire(self._book, job, body.silent_since, origin)
        if changed is None:
            return _refused("superseded")
        self._changed.add(body.job_id)
        return _done(self._book.accounts[changed.account_id], 0)

    def _act(self, command: Command, body: Release | Cancel) -> Message:
        job = self._jobs.get(body.job_id)
        if job is None:
            return JobActionAnswer(code="job-unknown", message=f"{REFUSALS['job-unknown']}.", state="canceled")
        origin = Origin(command.command_id, command.actor, self._rows.now, body.job_id)
        reason = body.reason if isinstance(body, Cancel) else ""
        changed, answer = (machine.cancel if isinstance(body, Cancel) else machine.release)(job, origin)
        if changed is not None:
            self._changed.add(body.job_id)
            self._reasons[body.job_id] = reason
            action = "job-canceled" if isinstance(body, Cancel) else "job-released"
            role = command.actor.partition(":")[0]
            self._audits.append(Audit(command.actor[:255], role[:16], action, body.job_id, reason))
        return answer

    def _end_hold(self, command: Command, body: EndHold) -> Message:
        job = self._jobs.get(body.job_id)
        if job is None:
            return JobActionAnswer(code="job-unknown", message=f"{REFUSALS['job-unknown']}.", state="canceled")
        origin = Origin(command.command_id, command.actor, self._rows.now, body.job_id, term=body.term)
        changed = machine.end_hold(job, body.held_before, origin) if body.term == self._rows.term else None
        if changed is None:
            return JobActionAnswer(code="superseded", message=f"{REFUSALS['superseded']}.", state=_state(job))
        self._changed.add(body.job_id)
        return JobActionAnswer(state=_state(job))

    def _move(self, account: Account, body: Adjust | SetBalance, origin: Origin) -> Message:
        amount = body.amount if isinstance(body, Adjust) else body.balance - account.balance
        if abs(account.balance + amount) > MAX_AMOUNT:
            return _refused("amount-invalid", account)
        careful = isinstance(body, Adjust) and body.only_if_available and amount < 0
        if careful and account.available + amount < _leave(body) - account.overdraft:
            return _refused("account-limit-reached", account, self._limit_message(account))
        if amount:
            code = "adjustment" if isinstance(body, Adjust) else "set-balance"
            rules.adjust(self._book, account, amount, code, origin)
        return _done(account, amount)

    def _configure(self, account: Account, body: ConfigureAccount) -> Message:
        for name in ("restricted", "overdraft", "print_jobs", "print_impressions"):
            value = body.__getattribute__(name)
            if value is not None:
                setattr(account, name, value)
        self._book.changed.add(account.account_id)
        return _done(account, 0)

    def _limit_message(self, account: Account) -> str:
        ledger = self._policy.ledger
        return f"Only {money_text(account.available, ledger.decimals, ledger.currency)} is available."


def _state(job: Job) -> JobState:
    return job.state  # type: ignore[return-value]  # the machine writes JobState's words only


def _leave(body: Adjust | SetBalance) -> int:
    return body.leave if isinstance(body, Adjust) else 0


def _done(account: Account, amount: int) -> MoneyAnswer:
    return MoneyAnswer(amount=amount, balance=account.balance, available=account.available)


def _refused(code: str, account: Account | None = None, message: str = "") -> MoneyAnswer:
    text = message or f"{REFUSALS[code]}."
    if account is None:
        return MoneyAnswer(code=code, message=text)
    return MoneyAnswer(code=code, message=text, balance=account.balance, available=account.available)
