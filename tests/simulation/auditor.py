"""The auditor: knows what was printed and what was acknowledged, and rebuilds from that what the ledger must hold.

Written from the promises' words and apart from the code under test: it keeps balances, reservations and charges of its
own, moves them by each command that a commit holds, and compares. It sees every commit at the moment at which it
happens, every answer at the moment at which a client hears it, and what lies in the printers' trays.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec

from backend.intake.model import Body, Cancel, EndHold, Expire, Money, Refund, Release, Reverse, Tick, Writes
from backend.intake.store_memory import MemoryStore
from backend.jobs.model import UserRow
from backend.ledger.model import UNASSIGNED, Transfer
from backend.wire.jobs import Authorise, Report
from backend.wire.money import Adjust, ConfigureAccount, SetBalance
from tests.simulation.access_auditor import AccessAuditor
from tests.simulation.errors import Broken
from tests.simulation.giver import clerk_of, giver
from tests.simulation.kernel import Kernel

POSTED, PENDING = 2, 1
Users = Mapping[str, UserRow]
UNDOABLE = ("adjustment", "set-balance", "refund")
LIMITED = ("adjustment-limit-reached", "daily-limit-reached")
DAY_MS = 86_400_000
EXCEPTIONS = ("print-excess", "print-late", "print-offline")


def signed(row: Transfer) -> int:
    """What a posted row adds to its account."""
    return row.amount if row.credit_account_id == row.account_id else -row.amount


class _Account:
    """`balance` is what it must be, `summed` what its transfers come to; `reserved` by job."""

    def __init__(self) -> None:
        self.balance = 0
        self.summed = 0
        self.restricted = False
        self.overdraft = 0
        self.sequence = 0
        self.posted: dict[int, Transfer] = {}
        self.undone: dict[int, None] = {}  # what a later transfer has undone
        self.reserved: dict[str, int] = {}
        self.open: dict[int, tuple[str, int]] = {}  # reservations by sequence

    @property
    def available(self) -> int:
        return self.balance - sum(self.reserved.values())


class _Job:
    def __init__(self, account_id: int) -> None:
        self.account_id = account_id
        self.attempt = 0
        self.revision = 0
        self.charged = 0
        self.refunded = 0
        self.printed = 0
        self.renewed_at = 0
        self.state = ""
        self.held_at = 0
        self.canceled = False  # by a person or by the time, at a server
        self.asks: tuple[object, ...] = ()  # what its last attempt asked for
        self.released: tuple[object, ...] | None = None  # what it asked for when a person let it print


class Auditor:
    """`prices` are those of an impression, by queue; on `holding` queues jobs wait to be released."""

    def __init__(self, kernel: Kernel, prices: Mapping[str, int], holding: frozenset[str]) -> None:
        self.kernel = kernel
        self.access = AccessAuditor(kernel)
        self.prices = prices
        self._holding = holding
        self._told_available: dict[tuple[str, str], int] = {}  # the most a print server was ever told of a user
        self._spent: dict[tuple[str, str], dict[str, int]] = {}
        self.sent: dict[str, Body] = {}
        self.told: dict[str, str] = {}
        self.answers: dict[str, str] = {}  # what was committed, by command
        self.terms: dict[int, str] = {}
        self.limits_changed: dict[int, None] = {}
        self.commits = self.held = self.released = 0
        self.moved: dict[tuple[str, int], int] = {}  # by actor and day, in absolute amounts
        self.done: dict[str, int] = {}  # how often money was moved by hand, by kind, and how often a limit refused it
        self._net: dict[str, int] = {}  # of each job's transfers
        self._taken_back: dict[int, dict[int, None]] = {}  # by commands, as the rows say in `undone`
        self._accounts: dict[int, _Account] = {}
        self._jobs: dict[str, _Job] = {}
        self._rows = 0
        self._kept: list[Transfer] = []

    # ------------------------------------------------------------ what clients do and hear

    def send(self, body: Body) -> None:
        """A client has made this command."""
        self.sent.setdefault(body.command_id, body)

    def hear(self, command_id: str, answer: str) -> None:
        """A client has heard this answer: P7, P8."""
        if self.answers.get(command_id) != answer:
            there = self.answers.get(command_id, "nothing")
            raise Broken("P7", f"command {command_id} was answered {answer}; the ledger has {there}")
        before = self.told.setdefault(command_id, answer)
        if before != answer:
            raise Broken("P8", f"command {command_id} was answered {before}, now {answer}")

    def told_available(self, site: str, user: str, available: int) -> None:
        """A print server has heard what a user has left."""
        known = self._told_available.get((site, user), 0)
        self._told_available[site, user] = max(known, available)

    def spent_offline(self, site: str, user: str, job_id: str, cost: int, allowance: int) -> None:
        """P5: a print server lets a user print by the allowance; what no server has charged yet stays within it."""
        spent = self._spent.setdefault((site, user), {})
        spent[job_id] = cost
        bound = max(0, self._told_available.get((site, user), 0) + allowance)
        if sum(spent.values()) > bound:
            raise Broken("P5", f"{user} has printed for {sum(spent.values())} offline on {site}, {bound} was allowed")

    def settled_offline(self, site: str, user: str, job_id: str) -> None:
        """A server has the job's report."""
        self._spent.get((site, user), {}).pop(job_id, None)

    # ------------------------------------------------------------ the lease

    def took_over(self, term: int, holder: str) -> None:
        """P9."""
        if term <= max(self.terms, default=0):
            raise Broken("P9", f"term {term} comes after {max(self.terms)}")
        self.terms[term] = holder

    def led(self, term: int, holder: str) -> None:
        """P10: something was written as the leader."""
        newest = max(self.terms, default=0)
        if term != newest or self.terms[newest] != holder:
            raise Broken("P10", f"a leader of term {term} has written in term {newest}")

    def leaders(self, names: list[str]) -> None:
        """P9: who says now that it leads."""
        if len(names) > 1:
            raise Broken("P9", f"{' and '.join(names)} lead at the same time")

    # ------------------------------------------------------------ what is committed

    def renewed(self, job_id: str, now_ms: int) -> None:
        if job_id in self._jobs:
            self._jobs[job_id].renewed_at = now_ms

    def committed(self, store: MemoryStore, users: Users, writes: Writes) -> None:
        """One batch: P3 to P8 of what it changed. `users` are those who were there when it began."""
        self.commits += 1
        by_command: dict[str, list[Transfer]] = {}
        for row in writes.transfers:
            self._row(row)
            by_command.setdefault(row.command_id, []).append(row)
        for command_id, answer in writes.answers:
            if command_id in self.answers:
                raise Broken("P8", f"command {command_id} was decided anew")
            self.answers[command_id] = answer
            body = self.sent.get(command_id)
            if body is None:
                raise Broken("P7", f"nobody has sent command {command_id}")
            rows = by_command.pop(command_id, [])
            if isinstance(body, Money):
                self.access.acted(command_id, giver(body).actor, rows, by_token=bool(clerk_of(body)))
            self._decide(users, body, msgspec.json.decode(answer), rows, writes.now)
        if by_command:
            raise Broken("P8", f"transfers of commands without an answer of their own: {sorted(by_command)}")
        self._compare(store, writes)

    def _row(self, row: Transfer) -> None:
        """P3, P6: one transfer by itself."""
        account = self._account(row.account_id)
        account.sequence += 1
        name = f"transfer {row.account_id}/{row.sequence}"
        if row.sequence != account.sequence or row.amount <= 0:
            raise Broken("P3", f"{name} of {row.amount} should be number {account.sequence}")
        if row.kind == PENDING:
            account.open[row.sequence] = (row.job_id or "", row.amount)
        elif row.code == "reversal":
            self._undo(account, row, name)
        elif row.pending_sequence is not None:
            job_id, reserved = account.open.pop(row.pending_sequence, ("nobody", -1))
            if job_id != row.job_id or row.amount > reserved or (row.kind != POSTED and row.amount != reserved):
                raise Broken("P6", f"{name} ends reservation {row.pending_sequence}, which is not open as it says")
        if row.kind == POSTED:
            account.posted[row.sequence] = row
            account.summed += signed(row)
            if row.job_id is not None:
                self._net[row.job_id] = self._net.get(row.job_id, 0) - signed(row)
        if row.balance_after != account.summed:
            raise Broken("P3", f"{name} tells a balance of {row.balance_after}, it is {account.summed}")
        self._rows += 1
        self._kept.append(row)

    def _undo(self, account: _Account, row: Transfer, name: str) -> None:
        """P8: what is undone was posted by hand before, and nothing has undone it."""
        undone = account.posted.get(row.pending_sequence or 0)
        if undone is None or undone.code not in UNDOABLE or row.pending_sequence in account.undone:
            raise Broken("P8", f"{name} undoes {row.pending_sequence}, which cannot be undone, or not again")
        if signed(row) != -signed(undone) or {row.debit_account_id, row.credit_account_id} != {
            undone.debit_account_id,
            undone.credit_account_id,
        }:
            raise Broken("P3", f"{name} moves {signed(row)} to undo {signed(undone)}")
        account.undone[undone.sequence] = None

    def _compare(self, store: MemoryStore, writes: Writes) -> None:
        """The rows that the batch left behind against what they should be."""
        if len(store.transfers) != self._rows:
            raise Broken("P4", f"the ledger has {len(store.transfers)} rows, {self._rows} were written")
        for row in writes.accounts:
            mine = self._account(row.account_id)
            if (row.balance, row.available) != (mine.balance, mine.available):
                told = f"has {row.balance}, available {row.available}"
                raise Broken("P3", f"account {row.name} {told}; should be {mine.balance}, {mine.available}")
            if row.balance != mine.summed:
                raise Broken("P3", f"account {row.name} has {row.balance}, its transfers come to {mine.summed}")
            if (row.restricted, row.overdraft) != (mine.restricted, mine.overdraft):
                raise Broken("P7", f"account {row.name} is not limited as it was set")
        for job in (*writes.new_jobs, *writes.changed_jobs):
            known = self._jobs[job.job_id]
            reserved = self._account(known.account_id).reserved.get(job.job_id, 0)
            told = f"{job.charged} charged, {job.refunded} refunded, {job.reserved} reserved"
            if (job.charged, job.refunded, job.reserved) != (known.charged, known.refunded, reserved):
                should = f"{known.charged}, {known.refunded}, {reserved}"
                raise Broken("P1", f"job {job.job_id}: {told}; should be {should}")
            if not 0 <= job.refunded <= job.charged or self._net.get(job.job_id, 0) != job.charged - job.refunded:
                raise Broken("P1", f"job {job.job_id}: {told}; its transfers come to {self._net.get(job.job_id, 0)}")

    # ------------------------------------------------------------ what each command should have done

    def _decide(self, users: Users, body: Body, answer: dict[str, Any], rows: list[Transfer], now_ms: int) -> None:
        if isinstance(body, Authorise):
            self._authorise(users, body, answer, now_ms)
        elif isinstance(body, Report):
            self._report(users, body, answer, rows, now_ms)
        elif isinstance(body, Expire):
            self._expire(body, answer)
        elif isinstance(body, Refund):
            self._refund(body, answer, now_ms)
        elif isinstance(body, Reverse):
            self._reverse(body, answer, now_ms)
        elif isinstance(body, Tick):
            self._expect(body, (answer.get("code", ""), answer["state"]), ("", self._jobs[body.job_id].state))
        elif isinstance(body, Adjust | SetBalance | ConfigureAccount):
            self._money(users, body, answer, now_ms)
        elif isinstance(body, Release | Cancel | EndHold):
            self._act(body, answer)

    def _authorise(self, users: Users, body: Authorise, answer: dict[str, Any], now_ms: int) -> None:
        job = self._job(users, body.job_id, body.user_name)
        if body.attempt <= job.attempt:
            self._expect(body, answer["decision"], "superseded")
            return
        account = self._account(job.account_id)
        job.attempt = body.attempt
        job.renewed_at = now_ms
        account.reserved.pop(body.job_id, None)
        due = max(0, body.facts.impressions * self.prices[body.queue] - job.charged)
        known = body.user_name in users
        covered = not account.restricted or account.available - due >= -account.overdraft
        allowed = known and (not due or covered) and not job.canceled
        job.asks = (body.facts.impressions, body.facts.sheets, body.facts.copies, body.queue)
        held = allowed and body.queue in self._holding and job.released != job.asks
        decision = "held" if held else "authorised" if allowed else "denied"
        self._expect(body, answer["decision"], decision)
        job.state = "canceled" if job.canceled else decision
        if held:
            job.released, job.held_at = None, now_ms
            self.held += 1
        elif allowed and due:
            account.reserved[body.job_id] = due
        self._expect(body, (answer["balance"], answer["available"]), (account.balance, account.available))

    def _report(self, users: Users, body: Report, answer: dict[str, Any], rows: list[Transfer], now_ms: int) -> None:
        job = self._job(users, body.job_id, body.user_name)
        account = self._account(job.account_id)
        if body.revision > job.revision:
            job.revision = body.revision
            job.renewed_at = now_ms
            cost = body.printed.impressions * self.prices[body.queue]
            kept = min(job.refunded, cost)  # what was given back stays so, as far as there is as much
            due = (cost - kept) - (job.charged - job.refunded)
            job.charged, job.refunded, job.printed = cost, kept, body.printed.impressions
            reserved = 0
            if body.attempt >= job.attempt:
                job.attempt = body.attempt
                reserved = account.reserved.pop(body.job_id, 0)
                job.state, job.canceled = body.outcome, job.canceled and body.outcome != "completed"
            account.balance -= due
            beyond = sum(r.amount for r in rows if r.kind == POSTED and r.code in EXCEPTIONS)
            if beyond != max(0, due - reserved):
                raise Broken("P5", f"job {body.job_id}: {beyond} is marked beyond the limit, {due} of {reserved}")
        elif rows:
            raise Broken("P8", f"an old report of job {body.job_id} moved {rows}")
        self._expect(body, answer["charged"], job.charged)

    def _expire(self, body: Expire, answer: dict[str, Any]) -> None:
        job = self._jobs[body.job_id]
        account = self._account(job.account_id)
        leads = body.term == max(self.terms, default=0)  # P10
        due = leads and body.job_id in account.reserved and job.renewed_at < body.silent_since
        self._expect(body, answer["code"], "" if due else "superseded")
        if due:
            del account.reserved[body.job_id]
            job.state = "in_doubt"

    def _act(self, body: Release | Cancel | EndHold, answer: dict[str, Any]) -> None:
        """A person lets a job print or cancels it, or the leader does for the time that has passed."""
        job = self._jobs[body.job_id]
        if isinstance(body, Release):
            done = job.state == "held"
            if done:
                job.state, job.released = "released", job.asks
                self.released += 1
        elif isinstance(body, Cancel):
            done = job.state in ("held", "released", "authorised")
            job.canceled = job.canceled or done
            job.state = "canceled" if job.state in ("held", "released") else job.state
        else:
            leads = body.term == max(self.terms, default=0)  # P10
            done = leads and job.state == "held" and job.held_at < body.held_before
            if done:
                job.state, job.canceled = "canceled", True
        refused = "superseded" if isinstance(body, EndHold) else "job-not-held"
        self._expect(body, (answer.get("code", ""), answer["state"]), ("" if done else refused, job.state))

    def _refund(self, body: Refund, answer: dict[str, Any], now_ms: int) -> None:
        """Never more than is left of the charge, and never more than whoever gives it may."""
        job = self._jobs[body.job_id]
        account, left = self._account(job.account_id), job.charged - job.refunded
        wanted = left if body.amount is None else body.amount
        if body.pages is not None:
            too_many = body.pages > job.printed
            wanted = left + 1 if too_many else round(Fraction(job.charged * body.pages, job.printed))
        code = "refund-exceeds-charge" if not 0 < wanted <= left else self._over(body, wanted, now_ms)
        amount = 0 if code else wanted
        job.refunded += amount
        self._by_hand(body, account, amount, code, answer, now_ms)

    def _reverse(self, body: Reverse, answer: dict[str, Any], now_ms: int) -> None:
        account = self._account(body.account_id)
        undone = account.posted.get(body.sequence)
        if undone is None:
            code = "not-reversible" if 0 < body.sequence <= account.sequence else "transfer-unknown"
        elif undone.code not in UNDOABLE:
            code = "not-reversible"
        elif body.sequence in self._taken_back.setdefault(body.account_id, {}):
            code = "already-reversed"
        elif undone.code == "refund" and undone.amount > self._jobs[undone.job_id or ""].refunded:
            code = "not-reversible"  # the charge has become less since
        else:
            code = self._over(body, undone.amount, now_ms)
        amount = 0 if code or undone is None else -signed(undone)
        if amount and undone is not None:
            self._taken_back[body.account_id][body.sequence] = None
            if undone.code == "refund":
                self._jobs[undone.job_id or ""].refunded += amount
        self._by_hand(body, account, amount, code, answer, now_ms)

    def _over(self, body: Body, amount: int, now_ms: int) -> str:
        """The limit that refuses this, of whoever gives it."""
        by = giver(body)
        if by.limits.each and abs(amount) > by.limits.each:
            return "adjustment-limit-reached"
        moved = self.moved.get((by.actor, now_ms // DAY_MS), 0)
        return "daily-limit-reached" if by.limits.day and moved + abs(amount) > by.limits.day else ""

    def _by_hand(
        self, body: Body, account: _Account, amount: int, code: str, answer: dict[str, Any], now_ms: int
    ) -> None:
        """What the giver was told, and that nobody moves more in a day than they may."""
        account.balance += amount
        by, today = giver(body), now_ms // DAY_MS
        self.moved[by.actor, today] = self.moved.get((by.actor, today), 0) + abs(amount)
        if by.limits.day and self.moved[by.actor, today] > by.limits.day:
            raise Broken("limits", f"{by.actor} has moved {self.moved[by.actor, today]} on one day")
        kind = type(body).__name__.lower()
        self.done[kind] = self.done.get(kind, 0) + bool(amount)
        if code in LIMITED:
            self.done["limited"] = self.done.get("limited", 0) + 1
        self._expect(body, (answer["code"], answer["amount"]), (code, amount))
        if code != "transfer-unknown":
            self._expect(body, (answer["balance"], answer["available"]), (account.balance, account.available))

    def _money(
        self, users: Users, body: Adjust | SetBalance | ConfigureAccount, answer: dict[str, Any], now_ms: int
    ) -> None:
        user = users.get(body.user_name)
        if user is None:
            self._expect(body, answer["code"], "user-unknown")
            return
        account = self._account(user.account_id)
        amount, code = 0, ""
        if isinstance(body, ConfigureAccount):
            self.limits_changed[user.account_id] = None
            account.restricted = account.restricted if body.restricted is None else body.restricted
            account.overdraft = account.overdraft if body.overdraft is None else body.overdraft
        elif isinstance(body, SetBalance):
            amount = body.balance - account.balance
        else:
            amount = body.amount
            careful = body.only_if_available and amount < 0
            if careful and account.available + amount < body.leave - account.overdraft:
                amount, code = 0, "account-limit-reached"
        if not code and (code := self._over(body, amount, now_ms)):
            amount = 0
        self._by_hand(body, account, amount, code, answer, now_ms)

    def _expect(self, body: Body, found: Any, expected: Any) -> None:
        if found != expected:
            raise Broken("P7", f"{type(body).__name__} {body.command_id} was told {found}, should be {expected}")

    def _account(self, account_id: int) -> _Account:
        found = self._accounts.get(account_id)
        if found is None:
            found = self._accounts[account_id] = _Account()
        return found

    def _job(self, users: Users, job_id: str, user_name: str) -> _Job:
        found = self._jobs.get(job_id)
        if found is None:
            user = users.get(user_name)
            found = self._jobs[job_id] = _Job(user.account_id if user is not None else UNASSIGNED)
        return found

    # ------------------------------------------------------------ the end

    def final(self, store: MemoryStore) -> None:
        """P4, P6, P7 once all is quiet."""
        if store.transfers != self._kept:
            raise Broken("P4", "rows of the ledger are not what they were when they were written")
        for command_id, answer in self.told.items():
            if store.commands[command_id][1] != answer:
                raise Broken("P7", f"command {command_id} was answered {answer}; {store.commands[command_id]} is kept")
        for account_id, account in self._accounts.items():
            if account.open or account.reserved:
                raise Broken("P6", f"account {account_id} still reserves {account.reserved}")
