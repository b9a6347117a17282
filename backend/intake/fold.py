"""Fold a batch of commands over locked rows into answers and rows to write. Pure; the same for every store.

The commands are folded in the order they came. One that was answered before (in another batch or earlier in this one)
gets the first answer again; the same id with other content is a conflict and changes nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from backend.intake.model import (
    DAY_MS,
    Audit,
    Body,
    Cancel,
    Command,
    EndHold,
    Expire,
    Missing,
    OnJob,
    Policy,
    Reads,
    Refund,
    Release,
    Reverse,
    Rows,
    Tick,
    Writes,
)
from backend.jobs import machine
from backend.jobs.model import Job, Want, need_of
from backend.ledger import rules
from backend.ledger.model import DEFAULT_OVERDRAFT, UNASSIGNED, Account, Book, Earlier, Kind, Origin
from backend.wire.base import Message
from backend.wire.errors import REFUSALS
from backend.wire.jobs import Authorise, JobActionAnswer, JobState, Report
from backend.wire.money import Adjust, ConfigureAccount, MoneyAnswer, SetBalance
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
    accounts: set[int] = set()
    earlier: set[tuple[int, int]] = set()
    spenders: set[str] = set()
    fenced = False
    for command in commands:
        claims.setdefault(command.command_id, command.fingerprint)
        body = command.body
        if isinstance(body, Authorise | Report):
            jobs.add(body.job_id)
            users.add(body.user_name)
            queues.add((command.provider_id, body.queue))
        elif isinstance(body, Reverse):
            accounts.add(body.account_id)
            earlier.add((body.account_id, body.sequence))
            if body.job_id:
                jobs.add(body.job_id)
        elif isinstance(body, OnJob):
            jobs.add(body.job_id)
            fenced = fenced or isinstance(body, Expire | EndHold)
        else:
            users.add(body.user_name)
        if command.limits.day:
            spenders.add(command.actor)
    return Reads(
        sorted(claims.items()),
        sorted(jobs),
        sorted(users),
        sorted(queues),
        sorted(accounts),
        fenced,
        sorted(earlier),
        sorted(spenders),
    )


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


def unknown(commands: Iterable[Command], rows: Rows) -> set[str]:
    """The names of new jobs that are no user's."""
    return {
        body.user_name
        for command in commands
        if isinstance(body := command.body, Authorise | Report) and command.command_id not in rows.answers
        if body.user_name not in rows.users and body.job_id not in rows.jobs
    }


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
        self._by_default = [account for account in rows.accounts.values() if account.overdraft == DEFAULT_OVERDRAFT]
        for account in self._by_default:  # the rules see what holds for them
            account.overdraft = policy.default_overdraft
        self._jobs = dict(rows.jobs)
        self._answered = dict(rows.answers)
        self._answers: list[tuple[str, str]] = []
        self._changed: set[str] = set()  # jobs
        self._needs = {job_id: need_of(job) for job_id, job in rows.jobs.items()}  # as it was before
        self._reasons: dict[str, str] = {}  # of jobs canceled by hand
        self._audits: list[Audit] = []
        self._reversed: set[tuple[int, int]] = set()  # in this batch
        self._spent: dict[tuple[str, int], int] = {}

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
        for account in self._by_default:
            account.overdraft = DEFAULT_OVERDRAFT
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
            spent=self._spent,
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
        if isinstance(body, Tick):
            return self._tick(command, body)
        if isinstance(body, Refund):
            return self._refund(command, body)
        if isinstance(body, Reverse):
            return self._reverse(command, body)
        user = self._rows.users.get(body.user_name)
        if user is None:
            return _refused("user-unknown")
        account = self._book.accounts[user.account_id]
        if isinstance(body, ConfigureAccount):
            return self._configure(command, account, body)
        return self._move(command, account, body)

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
            self._note(command, action, body.job_id, reason)
        return answer

    def _note(self, command: Command, action: str, subject: str, detail: str = "") -> None:
        """For the audit log: what a person or a program did by hand."""
        if command.role:
            self._audits.append(Audit(command.actor[:255], command.role[:16], action, subject[:255], detail))

    def _tick(self, command: Command, body: Tick) -> Message:
        job = self._jobs.get(body.job_id)
        if job is None:
            return JobActionAnswer(code="job-unknown", message=f"{REFUSALS['job-unknown']}.", state="canceled")
        if machine.tick_off(job, self._origin(command, body.job_id)) is not None:
            self._changed.add(body.job_id)
            self._note(command, "job-looked-at", body.job_id, body.comment)
        return JobActionAnswer(state=_state(job))

    def _origin(self, command: Command, job_id: str | None = None, comment: str = "") -> Origin:
        return Origin(command.command_id, command.actor, self._rows.now, job_id, comment)

    def _refund(self, command: Command, body: Refund) -> Message:
        job = self._jobs.get(body.job_id)
        if job is None:
            return _refused("job-unknown")
        account = self._book.accounts[job.account_id]
        amount = machine.refundable(job, body.amount, body.pages)
        refusal = self._over_limit(command, amount) if amount else "refund-exceeds-charge"
        if refusal:
            return _refused(refusal, account, self._limit_text(command, refusal))
        machine.refund(self._book, job, amount, self._origin(command, body.job_id, body.comment))
        self._changed.add(body.job_id)
        self._moved(command, account, amount, "job-refunded", body.job_id, body.comment)
        return _done(account, amount, account.sequence)

    def _reverse(self, command: Command, body: Reverse) -> Message:
        key = (body.account_id, body.sequence)
        earlier, account = self._rows.earlier.get(key), self._book.accounts.get(body.account_id)
        if earlier is None or account is None:
            return _refused("transfer-unknown", account)
        refusal = self._not_reversible(command, earlier, body)
        if refusal:
            return _refused(refusal, account, self._limit_text(command, refusal))
        rules.reverse(self._book, account, earlier, self._origin(command, earlier.job_id, body.comment))
        self._reversed.add(key)
        if earlier.code == "refund" and (job := self._jobs.get(body.job_id)) is not None:
            machine.unrefund(job, earlier.amount, self._origin(command))
            self._changed.add(body.job_id)
        detail = f"{earlier.code} {body.sequence}"
        self._moved(command, account, -earlier.amount, "transfer-reversed", account.name, detail)
        return _done(account, -earlier.amount, account.sequence)

    def _not_reversible(self, command: Command, earlier: Earlier, body: Reverse) -> str:
        if earlier.kind != Kind.POSTED or earlier.code not in rules.REVERSIBLE:
            return "not-reversible"
        if earlier.code == "refund" and body.job_id not in self._jobs:
            return "job-unknown"
        if earlier.is_reversed or (body.account_id, body.sequence) in self._reversed:
            return "already-reversed"
        if earlier.code == "refund" and earlier.amount > self._jobs[body.job_id].refunded:
            return "not-reversible"  # a later report has lowered the charge, and what was given back of it with that
        return self._over_limit(command, earlier.amount)

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

    def _move(self, command: Command, account: Account, body: Adjust | SetBalance) -> Message:
        amount = body.amount if isinstance(body, Adjust) else body.balance - account.balance
        if abs(account.balance + amount) > MAX_AMOUNT:
            return _refused("amount-invalid", account)
        careful = isinstance(body, Adjust) and body.only_if_available and amount < 0
        if careful and account.available + amount < _leave(body) - account.overdraft:
            return _refused("account-limit-reached", account, self._available_text(account))
        if refusal := self._over_limit(command, amount):
            return _refused(refusal, account, self._limit_text(command, refusal))
        if not amount:
            return _done(account, 0)
        code = "adjustment" if isinstance(body, Adjust) else "set-balance"
        rules.adjust(self._book, account, amount, code, self._origin(command, comment=body.comment))
        action = "balance-adjusted" if isinstance(body, Adjust) else "balance-set"
        self._moved(command, account, amount, action, account.name, body.comment)
        return _done(account, amount, account.sequence)

    def _configure(self, command: Command, account: Account, body: ConfigureAccount) -> Message:
        if body.overdraft is not None and body.overdraft < 0:
            return _refused("amount-invalid", account)
        for name in ("restricted", "overdraft", "print_jobs", "print_impressions"):
            value = body.__getattribute__(name)
            if value is not None:
                setattr(account, name, value)
        if body.overdraft is not None or body.overdraft_mode == "individual":
            self._by_default = [one for one in self._by_default if one is not account]
        elif body.overdraft_mode == "default":
            account.overdraft = self._policy.default_overdraft
            self._by_default.append(account)
        self._book.changed.add(account.account_id)
        self._note(command, "account-changed", account.name)
        return _done(account, 0)

    # ------------------------------------------------------------ what somebody may move

    def _over_limit(self, command: Command, amount: int) -> str:
        """The code that refuses to move so much, "" where nothing does."""
        limits = command.limits
        if limits.each and abs(amount) > limits.each:
            return "adjustment-limit-reached"
        if limits.day and self._spent_today(command) + abs(amount) > limits.day:
            return "daily-limit-reached"
        return ""

    def _moved(self, command: Command, account: Account, amount: int, action: str, subject: str, comment: str) -> None:
        """Money was moved by hand: it counts towards the limit of the day, and is noted."""
        if command.limits.day:
            self._spent[command.actor, self._today] = self._spent_today(command) + abs(amount)
        if command.role:
            ledger = self._policy.ledger
            text = money_text(amount, ledger.decimals, ledger.currency)
            self._note(command, action, subject, f"{text}, {account.name}: {comment}" if comment else text)

    @property
    def _today(self) -> int:
        return self._rows.now // DAY_MS

    def _spent_today(self, command: Command) -> int:
        key = (command.actor, self._today)
        return self._spent.get(key, self._rows.spent.get(key, 0))

    def _limit_text(self, command: Command, refusal: str) -> str:
        """Why not, with the figures, where a limit refuses."""
        ledger, limits = self._policy.ledger, command.limits
        if refusal == "adjustment-limit-reached":
            return f"You may move at most {money_text(limits.each, ledger.decimals, ledger.currency)} at once."
        if refusal == "daily-limit-reached":
            left = max(0, limits.day - self._spent_today(command))
            return f"You may move {money_text(left, ledger.decimals, ledger.currency)} more today."
        return ""

    def _available_text(self, account: Account) -> str:
        ledger = self._policy.ledger
        return f"Only {money_text(account.available, ledger.decimals, ledger.currency)} is available."


def _state(job: Job) -> JobState:
    return job.state  # type: ignore[return-value]  # the machine writes JobState's words only


def _leave(body: Adjust | SetBalance) -> int:
    return body.leave if isinstance(body, Adjust) else 0


def _done(account: Account, amount: int, sequence: int = 0) -> MoneyAnswer:
    return MoneyAnswer(amount=amount, balance=account.balance, available=account.available, sequence=sequence)


def _refused(code: str, account: Account | None = None, message: str = "") -> MoneyAnswer:
    text = message or f"{REFUSALS[code]}."
    if account is None:
        return MoneyAnswer(code=code, message=text)
    return MoneyAnswer(code=code, message=text, balance=account.balance, available=account.available)
