"""The checker finds each planted fault, and none in books that are right."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from backend.checker.check import check, check_books, check_growth, check_replay
from backend.checker.model import (
    FUNDING,
    PRINTING,
    UNASSIGNED,
    Account,
    Command,
    Findings,
    Kind,
    Ledger,
    LedgerJob,
    Printing,
    Sent,
    Transfer,
)
from backend.wire.pricing import SimpleCost

PRICES = {"q": SimpleCost(per_impression=150), "free": SimpleCost(per_impression=0)}
ANN, BOB = 10, 11
NAMES = {ANN: "ann", BOB: "bob", UNASSIGNED: "unassigned", PRINTING: "printing", FUNDING: "funding"}
change = msgspec.structs.replace


class Books:
    """Right books, written as a server would write them; tests then spoil them."""

    def __init__(self, restricted: bool = True, overdraft: int = 0) -> None:
        self.rows: list[Transfer] = []
        self.jobs: dict[str, LedgerJob] = {}
        self._sequence: dict[int, int] = {}
        self._balance: dict[int, int] = {}
        self._limit = (restricted, overdraft)

    def row(self, account: int, kind: Kind, amount: int, **about: object) -> int:
        sequence = self._sequence[account] = self._sequence.get(account, 0) + 1
        row = Transfer(
            account_id=account,
            sequence=sequence,
            kind=kind,
            debit_account_id=account,
            credit_account_id=PRINTING,
            amount=amount,
            code="print",
            balance_after=0,
        )
        row = change(row, **about)
        self._balance[account] = self._balance.get(account, 0) + row.change
        self.rows.append(change(row, balance_after=self._balance[account]))
        return sequence

    def fund(self, account: int, amount: int, **about: object) -> None:
        self.row(
            account, "posted", amount, debit_account_id=FUNDING, credit_account_id=account, code="adjustment", **about
        )

    def job(self, key: str, charged: int = 0, account: int = ANN, **about: object) -> str:
        job_id = f"job-{len(self.jobs) + 1}"
        job = LedgerJob(job_id=job_id, title=key, user=NAMES[account], state="completed", charged=charged)
        self.jobs[job_id] = change(job, **about)
        return job_id

    def print(self, key: str, impressions: int, account: int = ANN, **about: object) -> str:
        """A job reserved and posted."""
        amount = 150 * impressions
        job_id = self.job(key, amount, account, **about)
        pending = self.row(account, "pending", amount, job_id=job_id, command_id=f"a-{job_id}")
        self.row(account, "posted", amount, job_id=job_id, pending_sequence=pending, command_id=f"r-{job_id}")
        return job_id

    def ledger(self) -> Ledger:
        rows = [row for row in self.rows if row.kind == "posted"]
        ended = {(row.account_id, row.pending_sequence) for row in self.rows if row.kind != "pending"}
        accounts = []
        for account_id, name in NAMES.items():
            is_open = [r.amount for r in self.rows if r.kind == "pending" and (r.account_id, r.sequence) not in ended]
            unreserved = [
                r for r in rows if r.account_id == account_id and r.code.startswith("print-") and r.change < 0
            ]
            accounts.append(
                Account(
                    account_id=account_id,
                    name=name,
                    restricted=self._limit[0] and account_id in (ANN, BOB),
                    overdraft=self._limit[1],
                    credits_posted=sum(r.amount for r in rows if r.credit_account_id == account_id),
                    debits_posted=sum(r.amount for r in rows if r.debit_account_id == account_id),
                    debits_pending=sum(is_open) if account_id == ANN else 0,
                    exceptions=sum(r.amount for r in unreserved),
                )
            )
        return Ledger(accounts=tuple(accounts), transfers=tuple(self.rows), jobs=tuple(self.jobs.values()))


def spoiled(ledger: Ledger, sequence: int, **about: object) -> Ledger:
    """The ledger with one row of ann's changed."""
    target = next(row for row in ledger.transfers if (row.account_id, row.sequence) == (ANN, sequence))
    return change(ledger, transfers=tuple(change(row, **about) if row is target else row for row in ledger.transfers))


def spoiled_account(ledger: Ledger, account_id: int, **about: object) -> Ledger:
    return change(
        ledger,
        accounts=tuple(
            change(found, **about) if found.account_id == account_id else found for found in ledger.accounts
        ),
    )


def out(key: str, impressions: int, user: str = "ann", queue: str = "q") -> Printing:
    return Printing(key=key, user=user, queue=queue, impressions=impressions)


def sent(key: str, printings: int = 1, user: str = "ann", **about: bool) -> Sent:
    return Sent(key=key, user=user, queue="q", printings=printings, **about)


def rules_of(faults: Iterable[object]) -> set[str]:
    return {str(fault).split()[0] for fault in faults}


@pytest.fixture
def books() -> Books:
    """ann has 10.0000, printed "letter" (3 impressions); bob has 5.0000 and printed "poster"."""
    made = Books()
    made.fund(ANN, 100_000, command_id="c-1", comment="welcome ann")
    made.fund(BOB, 50_000, command_id="c-2", comment="welcome bob")
    made.print("letter", 3)
    made.print("poster", 1, BOB)
    return made


PRINTED = (out("letter", 3), out("poster", 1, "bob"))
SENT = (sent("letter"), sent("poster", user="bob"))


def checked(
    books: Books, printed: Iterable[Printing] = PRINTED, wishes: Iterable[Sent] = SENT, **more: object
) -> Findings:
    return check(printed, wishes, books.ledger(), PRICES, **more)  # type: ignore[arg-type]


def test_right_books_have_no_fault(books: Books) -> None:
    findings = checked(books)
    assert findings.faults == ()
    assert findings.verdicts == {"letter": "ok", "poster": "ok"}
    assert findings.text() == "2 ok, 0 recovered, 0 unprinted, 0 lost, 0 doubled"


# ---------------------------------------------------------------- P1


def test_printed_and_not_charged_is_lost(books: Books) -> None:
    findings = checked(books, (*PRINTED, out("essay", 2)), (*SENT, sent("essay")))
    assert findings.verdicts["essay"] == "lost"
    assert rules_of(findings.faults) == {"P1"}
    assert "should be [300]" in findings.text()


def test_charged_too_little_is_lost(books: Books) -> None:
    findings = checked(books, (out("letter", 4), PRINTED[1]))
    assert (findings.verdicts["letter"], rules_of(findings.faults)) == ("lost", {"P1"})


def test_charged_twice_for_one_printing_is_doubled(books: Books) -> None:
    books.print("letter", 3)
    findings = checked(books)
    assert (findings.verdicts["letter"], rules_of(findings.faults)) == ("doubled", {"P1"})


def test_charged_without_a_printing_is_doubled(books: Books) -> None:
    books.print("essay", 1)
    findings = checked(books, wishes=(*SENT, sent("essay")))
    assert (findings.verdicts["essay"], rules_of(findings.faults)) == ("doubled", {"P1"})


def test_charged_though_nobody_sent_it(books: Books) -> None:
    books.print("ghost", 1)
    findings = checked(books)
    assert (findings.verdicts["ghost"], rules_of(findings.faults)) == ("doubled", {"P1"})


def test_neither_printed_nor_charged_is_told_and_no_fault(books: Books) -> None:
    books.job("denied", state="denied")
    findings = checked(books, wishes=(*SENT, sent("denied"), sent("gone", acknowledged=False)))
    assert findings.ok
    assert (findings.verdicts["denied"], findings.verdicts["gone"]) == ("unprinted", "unprinted")


def test_a_restart_is_charged_again(books: Books) -> None:
    books.print("letter", 3)
    twice = (*PRINTED, out("letter", 3))
    wishes = (sent("letter", printings=2), SENT[1])
    assert checked(books, twice, wishes).ok
    assert not checked(books, PRINTED, wishes).ok


def test_a_restart_that_was_charged_once_is_lost(books: Books) -> None:
    findings = checked(books, (*PRINTED, out("letter", 3)), (sent("letter", printings=2), SENT[1]))
    assert (findings.verdicts["letter"], rules_of(findings.faults)) == ("lost", {"P1"})


def test_out_twice_after_a_crash_is_charged_once_and_marked(books: Books) -> None:
    books.jobs["job-1"] = change(books.jobs["job-1"], marks=("possible_duplicate",))
    findings = checked(books, (out("letter", 1), *PRINTED))
    assert findings.ok
    assert findings.verdicts["letter"] == "recovered"


def test_out_twice_and_not_marked_is_a_fault(books: Books) -> None:
    findings = checked(books, (out("letter", 3), *PRINTED))
    assert (findings.verdicts["letter"], rules_of(findings.faults)) == ("recovered", {"P1"})


def test_the_largest_run_is_charged_not_the_sum(books: Books) -> None:
    books.jobs["job-1"] = change(books.jobs["job-1"], marks=("possible_duplicate",))
    assert not checked(books, (out("letter", 4), *PRINTED)).ok
    books.print("sum", 5, marks=("possible_duplicate",))
    findings = checked(books, (*PRINTED, out("letter", 2), out("sum", 2), out("sum", 3)), (*SENT, sent("sum")))
    assert (findings.verdicts["sum"], findings.verdicts["letter"]) == ("doubled", "recovered")


def test_canceled_and_charged_by_rule_must_be_marked(books: Books) -> None:
    job_id = books.print("essay", 2, state="canceled", marks=("estimated",))
    wishes = (*SENT, sent("essay", canceled=True))
    findings = checked(books, wishes=wishes)
    assert (findings.ok, findings.verdicts["essay"]) == (True, "recovered")
    books.jobs[job_id] = change(books.jobs[job_id], marks=())
    assert not checked(books, wishes=wishes).ok


def test_what_costs_nothing_needs_no_charge(books: Books) -> None:
    books.job("note")
    printed = (*PRINTED, out("note", 7, queue="free"))
    findings = checked(books, printed, (*SENT, Sent(key="note", user="ann", queue="free")))
    assert (findings.ok, findings.verdicts["note"]) == (True, "ok")


def test_a_correction_counts_in_the_net(books: Books) -> None:
    job_id = books.print("essay", 4)
    books.row(
        ANN, "posted", 300, debit_account_id=PRINTING, credit_account_id=ANN, code="print-correction", job_id=job_id
    )
    books.jobs[job_id] = change(books.jobs[job_id], charged=300)
    assert checked(books, (*PRINTED, out("essay", 2)), (*SENT, sent("essay"))).ok


def test_another_persons_charge_is_a_fault(books: Books) -> None:
    books.jobs["job-1"] = change(books.jobs["job-1"], user="bob")
    findings = checked(books)
    assert "charged to account 10 (ann)" in findings.text()
    assert "sent by ann, is of bob" in findings.text()


def test_another_queue_is_a_fault(books: Books) -> None:
    findings = checked(books, (out("letter", 3, queue="free"), PRINTED[1]))
    assert "sent to q, came out at free" in findings.text()


def test_what_fits_no_account_goes_to_unassigned(books: Books) -> None:
    job_id = books.job("stray", 150, UNASSIGNED, user="carol", marks=("unassigned",))
    books.row(UNASSIGNED, "posted", 150, job_id=job_id, code="print-offline")
    printed, wishes = (*PRINTED, out("stray", 1, "carol")), (*SENT, sent("stray", user="carol"))
    assert checked(books, printed, wishes).ok


def test_a_charge_of_no_job_is_a_fault(books: Books) -> None:
    books.row(ANN, "posted", 150, code="print-offline", job_id="job-99")
    assert "of no known job" in checked(books).text()


def test_the_jobs_own_sum_must_fit(books: Books) -> None:
    books.jobs["job-1"] = change(books.jobs["job-1"], charged=451)
    assert "says it was charged 451" in checked(books).text()


def test_a_queue_without_a_price_is_the_callers_mistake(books: Books) -> None:
    with pytest.raises(KeyError):
        checked(books, (out("letter", 3, queue="other"), PRINTED[1]))


# ---------------------------------------------------------------- P3, P5, P6: planted faults

PLANTED: dict[str, tuple[str, str, Callable[[Ledger], Ledger]]] = {
    "balance told wrong": ("P3", "tells a balance of 1", lambda ledger: spoiled(ledger, 3, balance_after=1)),
    "account's credits wrong": (
        "P3",
        "account 10 (ann): credits and debits are",
        lambda ledger: spoiled_account(ledger, ANN, credits_posted=100_001),
    ),
    "account's debits wrong": (
        "P3",
        "account 1 (printing): credits and debits are",
        lambda ledger: spoiled_account(ledger, PRINTING, debits_posted=1),
    ),
    "debits and credits differ": (
        "P3",
        "P3 ledger: all credits are",
        lambda ledger: spoiled_account(ledger, FUNDING, debits_posted=149_999),
    ),
    "a number missing": (
        "P3",
        "stands where number 1 should",
        lambda ledger: change(ledger, transfers=ledger.transfers[1:]),
    ),
    "a number twice": (
        "P3",
        "stands where number 4 should",
        lambda ledger: change(ledger, transfers=(*ledger.transfers, ledger.transfers[-1])),
    ),
    "amount zero": ("P3", "moves 0", lambda ledger: spoiled(ledger, 1, amount=0)),
    "amount negative": ("P3", "moves -5", lambda ledger: spoiled(ledger, 1, amount=-5)),
    "to itself": (
        "P3",
        "is not between its account and another one",
        lambda ledger: spoiled(ledger, 1, debit_account_id=ANN),
    ),
    "between others": (
        "P3",
        "is not between its account and another one",
        lambda ledger: spoiled(ledger, 1, credit_account_id=BOB),
    ),
    "reservation the wrong way": (
        "P3",
        "a pending row from account 10 to 2",
        lambda ledger: spoiled(ledger, 2, credit_account_id=FUNDING),
    ),
    "account unknown": (
        "P3",
        "has transfers but does not exist",
        lambda ledger: change(ledger, accounts=ledger.accounts[1:]),
    ),
    "reserved beyond the balance": ("P5", "leaves -1 available", lambda ledger: spoiled(ledger, 2, amount=100_001)),
    "charged without a reservation": (
        "P5",
        "without a reservation under the plain code 'print'",
        lambda ledger: spoiled(ledger, 3, pending_sequence=None),
    ),
    "exceptions summed wrong": (
        "P5",
        "tells of exceptions of 1",
        lambda ledger: spoiled_account(ledger, ANN, exceptions=1),
    ),
    "reservation never ended": (
        "P6",
        "the reservation of job job-1 was never ended",
        lambda ledger: spoiled(ledger, 3, pending_sequence=None, code="print-late"),
    ),
    "reservation ended before it began": (
        "P6",
        "that was not made before it",
        lambda ledger: spoiled(ledger, 3, pending_sequence=4),
    ),
    "reservation ended for another job": (
        "P6",
        "ends the reservation of job job-1 for job job-2",
        lambda ledger: spoiled(ledger, 3, job_id="job-2"),
    ),
    "posted more than reserved": (
        "P6",
        "posts 451 of a reservation of 450",
        lambda ledger: spoiled(ledger, 3, amount=451),
    ),
    "voided less than reserved": ("P6", "releases 1 of", lambda ledger: spoiled(ledger, 3, kind="voided", amount=1)),
    "expired more than reserved": (
        "P6",
        "lets expire 451 of",
        lambda ledger: spoiled(ledger, 3, kind="expired", amount=451),
    ),
    "account reserves wrong": (
        "P6",
        "1 is reserved, its open reservations are 0",
        lambda ledger: spoiled_account(ledger, ANN, debits_pending=1),
    ),
    "a reservation that ends one": (
        "P6",
        "a reservation ends another one",
        lambda ledger: spoiled(ledger, 2, pending_sequence=1),
    ),
    "job reserves wrong": (
        "P6",
        "reserves 1, its rows 0",
        lambda ledger: change(ledger, jobs=(change(ledger.jobs[0], reserved=1), *ledger.jobs[1:])),
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_faults_in_the_books_are_found(books: Books, planted: str) -> None:
    rule, text, spoil = PLANTED[planted]
    ledger = books.ledger()
    assert check_books(ledger, quiet=True) == []
    found = [str(fault) for fault in check_books(spoil(ledger), quiet=True)]
    assert any(fault.startswith(rule) and text in fault for fault in found), found


def test_a_reservation_ended_twice_is_found(books: Books) -> None:
    books.row(ANN, "voided", 450, pending_sequence=2, job_id="job-1")
    assert "ends reservation 2 a second time" in "\n".join(map(str, check_books(books.ledger())))


def test_an_open_reservation_is_no_fault_before_all_is_quiet(books: Books) -> None:
    job_id = books.job("essay", state="authorised", reserved=150)
    books.row(ANN, "pending", 150, job_id=job_id)
    assert check_books(books.ledger()) == []
    assert "never ended" in "\n".join(map(str, check_books(books.ledger(), quiet=True)))


def test_a_voided_reservation_gives_its_room_back(books: Books) -> None:
    for key in ("one", "two"):
        job_id = books.job(key)
        pending = books.row(ANN, "pending", 99_000, job_id=job_id)
        books.row(ANN, "voided", 99_000, job_id=job_id, pending_sequence=pending)
    assert check_books(books.ledger(), quiet=True) == []


def test_the_overdraft_is_the_limit() -> None:
    for overdraft, faults in ((300, 0), (299, 1)):
        books = Books(overdraft=overdraft)
        books.print("letter", 2)
        assert len(check_books(books.ledger())) == faults


def test_limits_that_changed_and_accounts_without_one_are_not_held_to_it() -> None:
    books = Books()
    books.print("letter", 2)
    assert rules_of(check_books(books.ledger())) == {"P5"}
    assert check_books(books.ledger(), limits_changed=frozenset({ANN})) == []
    free = Books(restricted=False)
    free.print("letter", 2)
    assert check_books(free.ledger()) == []


def test_exceptions_may_pass_the_limit_and_reserving_then_may_not() -> None:
    books = Books()
    job_id = books.job("late", 150)
    books.row(ANN, "posted", 150, job_id=job_id, code="print-late")
    assert check_books(books.ledger()) == []
    books.row(ANN, "pending", 1, job_id=books.job("more", reserved=1))
    assert rules_of(check_books(books.ledger())) == {"P5"}


# ---------------------------------------------------------------- P4, P7, P8


def test_rows_only_grow(books: Books) -> None:
    before = books.ledger()
    books.print("essay", 1)
    after = books.ledger()
    assert check_growth(before, after) == []
    assert rules_of(check_growth(before, spoiled(after, 2, code="other"))) == {"P4"}
    assert rules_of(check_growth(after, before)) == {"P4"}
    assert rules_of(check_growth(before, change(after, accounts=after.accounts[1:]))) == {"P4"}


def test_a_replay_changes_nothing(books: Books) -> None:
    before = books.ledger()
    assert check_replay(before, books.ledger()) == []
    books.fund(ANN, 5)
    assert rules_of(check_replay(before, books.ledger())) == {"P8"}
    charged = change(before, jobs=(change(before.jobs[0], charged=1), *before.jobs[1:]))
    assert rules_of(check_replay(before, charged)) == {"P8"}


def adjusted(outcome: str = "done", amount: int = 100_000, **about: str) -> Command:
    found = about or {"command_id": "c-1"}
    return Command(kind="adjust", outcome=outcome, amount=amount, **({"user": "ann"} | found))  # type: ignore[arg-type]


def authorised(outcome: str = "done", amount: int = 450, job_id: str = "job-1", command_id: str = "a-job-1") -> Command:
    return Command(kind="authorise", outcome=outcome, amount=amount, job_id=job_id, command_id=command_id)  # type: ignore[arg-type]


def reported(amount: int = 450, job_id: str = "job-1") -> Command:
    return Command(kind="report", outcome="done", amount=amount, job_id=job_id, command_id="r-job-1")


@pytest.mark.parametrize(
    "command",
    [
        adjusted(),
        adjusted("unknown"),
        adjusted("unknown", command_id="c-9"),
        adjusted("refused", command_id="c-9"),
        adjusted(comment="welcome ann"),
        adjusted(amount=0, command_id="c-9"),
        authorised(),
        authorised("unknown", command_id="a-9"),
        authorised(amount=0, command_id="a-free"),
        reported(),
    ],
)
def test_what_was_acknowledged_is_there(books: Books, command: Command) -> None:
    assert checked(books, commands=[command]).ok


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (adjusted(command_id="c-9"), "has had no effect"),
        (adjusted("refused"), "was refused and has had an effect"),
        (adjusted(amount=99_999), "moved 100000"),
        (adjusted(user="bob", command_id="c-1"), "on the account of ann, not bob"),
        (adjusted(comment="welcome carol"), "has had no effect"),
        (authorised(command_id="a-9"), "has had no effect"),
        (authorised(amount=449), "reserved 450"),
        (authorised(job_id="job-2"), "reserved for job job-1, not job-2"),
        (authorised(amount=0, command_id="a-free", job_id="job-9"), "job job-9 is not there"),
        (authorised("refused"), "was refused and has had an effect"),
        (reported(449), "is completed and charged 450"),
        (reported(job_id="job-9"), "job job-9 is not there"),
    ],
)
def test_what_was_acknowledged_and_is_not_there_is_found(books: Books, command: Command, text: str) -> None:
    faults = [str(fault) for fault in checked(books, commands=[command]).faults]
    assert any(fault.startswith("P7") and text in fault for fault in faults), faults


def test_a_report_that_left_its_job_open_is_found(books: Books) -> None:
    books.jobs["job-1"] = change(books.jobs["job-1"], state="printing")
    assert "P7" in rules_of(checked(books, commands=[reported()]).faults)


@pytest.mark.parametrize("outcome", ["done", "unknown"])
def test_a_command_that_took_effect_twice_is_found(books: Books, outcome: str) -> None:
    books.fund(ANN, 100_000, command_id="c-1")
    assert rules_of(checked(books, commands=[adjusted(outcome)]).faults) == {"P8"}


def test_a_command_that_nobody_could_find_is_the_callers_mistake(books: Books) -> None:
    with pytest.raises(ValueError, match="needs its id"):
        checked(books, commands=[adjusted(comment="")])


# ---------------------------------------------------------------- what was undone


def undone(*reversals: tuple[int, int]) -> list[str]:
    """The faults of books with an adjustment of 300 under number 1, and a reservation under 2, that these undo: (which
    number, by how much)."""
    books = Books()
    books.fund(ANN, 300)
    books.row(ANN, "pending", 150, job_id="j")
    books.row(ANN, "voided", 150, job_id="j", pending_sequence=2)
    for number, amount in reversals:
        about = {"credit_account_id": FUNDING, "code": "reversal", "pending_sequence": number}
        books.row(ANN, "posted", amount, **about)
    return [fault.text for fault in check_books(books.ledger()) if fault.rule == "P8"]


def test_what_was_undone_was_there_and_is_undone_once() -> None:
    assert undone((1, 300)) == []
    assert undone((1, 300), (1, 300)) == ["undoes 1 a second time"]
    for number, amount in ((1, 299), (2, 150), (3, 150), (9, 300), (4, 300)):
        assert undone((number, amount)) == [f"undoes {number}, which was not posted before it by as much"]


def test_a_refund_taken_back_is_no_charge_without_a_reservation() -> None:
    books = Books(restricted=False)
    begun = books.row(ANN, "pending", 150, job_id="j")
    books.row(ANN, "posted", 150, job_id="j", pending_sequence=begun)
    back = {"debit_account_id": PRINTING, "credit_account_id": ANN, "code": "refund"}
    refund = books.row(ANN, "posted", 150, job_id="j", **back)
    books.row(ANN, "posted", 150, job_id="j", code="reversal", pending_sequence=refund)
    assert [fault for fault in check_books(books.ledger()) if fault.rule in ("P5", "P8")] == []
