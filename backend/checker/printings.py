"""P1: what came out of the printers against what was charged for it, key by key.

A person sends something under a key of its own, once; each restart of the finished job is one more wish. A key may
come out more often than it was wished, because a crash left it unknown whether it had been printed: that is the
same printing, charged once. So of a key that was wished w times and came out n times, min(w, n) printings are
charged, each at the price of one output (the largest, where there was one wish).

Verdicts: `ok`; `recovered`, when more came out than was wished and the charge is right and marked, or when a
canceled job was charged by the queue's rule and marked as estimated; `lost`, when too little was charged;
`doubled`, when too much was; `unprinted`, when nothing came out and nothing was charged. All but `lost` and
`doubled` are without fault.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from backend.checker.model import (
    POSTED,
    PRINTING,
    UNASSIGNED,
    Fault,
    Faults,
    Ledger,
    LedgerJob,
    Printing,
    Sent,
    Transfer,
    Verdict,
)
from backend.wire.pricing import CostRule, Printed, price


def charges(ledger: Ledger) -> Faults:
    """No charge without a job, and each job's charge is the net of its transfers, on the account of its user."""
    jobs = {job.job_id: job for job in ledger.jobs}
    names = {account.account_id: account.name for account in ledger.accounts}
    for job_id, rows in ledger.by_job().items():
        touching = [row for row in rows if PRINTING in (row.debit_account_id, row.credit_account_id)]
        job = jobs.get(job_id)
        if job is None:
            for row in touching:
                yield Fault("P1", row.name, f"moves {row.amount} for printing, of no known job ({row.job_id})")
            continue
        net = net_charge(touching)
        if net != job.charged - job.refunded or not 0 <= job.refunded <= job.charged:
            said = f"says it was charged {job.charged}" + (f" and refunded {job.refunded}" if job.refunded else "")
            yield Fault("P1", f"job {job_id}", f"{said}, its transfers come to {net}")
        for account_id in sorted({row.account_id for row in touching}):
            if account_id != UNASSIGNED and names.get(account_id) != job.user:
                text = f"of {job.user} is charged to account {account_id} ({names.get(account_id)})"
                yield Fault("P1", f"job {job_id}", text)


def net_charge(rows: Iterable[Transfer]) -> int:
    """What printing has earned by these rows."""
    signed = (row.amount if row.credit_account_id == PRINTING else -row.amount for row in rows if row.kind == POSTED)
    return sum(signed)


def verdicts(
    printed: Iterable[Printing], sent: Iterable[Sent], ledger: Ledger, prices: Mapping[str, CostRule]
) -> tuple[dict[str, Verdict], list[Fault]]:
    """The verdict on every key, and the faults. `prices` are the queues' rules by queue name, unchanged all the
    time.
    """
    outputs: defaultdict[str, list[Printing]] = defaultdict(list)
    for output in printed:
        outputs[output.key].append(output)
    jobs: defaultdict[str, list[LedgerJob]] = defaultdict(list)
    for job in ledger.jobs:
        jobs[job.title].append(job)
    wishes = {wish.key: wish for wish in sent}
    found: dict[str, Verdict] = {}
    faults: list[Fault] = []
    rows = ledger.by_job()
    for key in sorted(outputs.keys() | wishes.keys() | {title for title in jobs if _net(jobs[title], rows)}):
        wish = wishes.get(key)
        if wish is None:
            text = f"came out {len(outputs[key])} times and was charged {_net(jobs[key], rows)}, but nobody sent it"
            faults.append(Fault("P1", key, text))
            found[key] = "doubled" if _net(jobs[key], rows) else "lost"
            continue
        due = [
            price(prices[output.queue], Printed(impressions=output.impressions, sheets=0)) for output in outputs[key]
        ]
        found[key], texts = _verdict(wish, due, jobs[key], rows)
        texts += _persons(wish, outputs[key], jobs[key])
        faults += [Fault("P1", key, text) for text in texts]
    return found, faults


def _net(jobs: Iterable[LedgerJob], rows: Mapping[str, list[Transfer]]) -> int:
    return sum(net_charge(rows[job.job_id]) for job in jobs)


def _verdict(
    wish: Sent, due: list[int], jobs: list[LedgerJob], rows: Mapping[str, list[Transfer]]
) -> tuple[Verdict, list[str]]:
    """`due` is the price of each output."""
    charged = sorted((net for job in jobs if (net := net_charge(rows[job.job_id]) + job.refunded)), reverse=True)
    marks = {mark for job in jobs for mark in job.marks}
    expected = _expected(wish.printings, due, charged)
    if charged == expected:
        if len(due) <= wish.printings:
            return ("ok" if due else "unprinted"), []
        if "possible_duplicate" in marks:
            return "recovered", []
        text = f"came out {len(due)} times for {wish.printings} wishes, and no job is marked possible_duplicate"
        return "recovered", [text]
    if wish.canceled and "estimated" in marks and len(charged) <= wish.printings:
        return "recovered", []
    text = f"was charged {charged}, should be {expected} ({len(due)} times out, wished {wish.printings} times)"
    return ("lost" if sum(charged) < sum(expected) else "doubled"), [text]


def _expected(printings: int, due: list[int], charged: list[int]) -> list[int]:
    """The charges there should be, largest first; of more outputs than wishes those that fit what was charged, if
    any do.
    """
    paid = sorted((amount for amount in due if amount), reverse=True)
    if len(paid) <= printings:
        return paid
    if printings == 1:
        return paid[:1]
    fits = len(charged) == printings and not Counter(charged) - Counter(paid)
    return charged if fits else paid[:printings]


def _persons(wish: Sent, outputs: list[Printing], jobs: list[LedgerJob]) -> list[str]:
    """Everything about a key is of the one who sent it, on the queue it was sent to."""
    strangers = {output.user for output in outputs} | {job.user for job in jobs}
    texts = [f"sent by {wish.user}, is of {name} in the end" for name in sorted(strangers - {wish.user})]
    elsewhere = {output.queue for output in outputs} - {wish.queue}
    return texts + [f"sent to {wish.queue}, came out at {name}" for name in sorted(elsewhere)]
