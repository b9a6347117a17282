"""P7 and P8: what a client was told is in the ledger, exactly once; what it was not told is there once or not at
all.
"""

from collections import defaultdict
from collections.abc import Iterable

from backend.checker.model import PENDING, POSTED, Command, Fault, Faults, Ledger, LedgerJob, Transfer

_REPORTED = ("completed", "canceled", "aborted")


def effects(commands: Iterable[Command], ledger: Ledger) -> Faults:
    """Raises ValueError for a command with neither id nor comment: nothing could be said of it."""
    by_id: defaultdict[str, list[Transfer]] = defaultdict(list)
    by_comment: defaultdict[str, list[Transfer]] = defaultdict(list)
    for row in ledger.transfers:
        by_id[row.command_id].append(row)
        by_comment[row.comment].append(row)
    jobs = {job.job_id: job for job in ledger.jobs}
    names = {account.account_id: account.name for account in ledger.accounts}
    for command in commands:
        if not (command.command_id or command.comment):
            raise ValueError(f"a command to check needs its id or a comment of its own: {command}")
        rows = by_id[command.command_id] if command.command_id else by_comment[command.comment]
        if command.kind == "report":
            yield from _report(command, jobs.get(command.job_id))
        elif command.kind == "authorise":
            yield from _reservation(command, rows, jobs.get(command.job_id))
        else:
            yield from _adjustment(command, rows, names)


def _name(command: Command) -> str:
    return f"{command.kind} {command.command_id or command.comment!r}"


def _adjustment(command: Command, rows: list[Transfer], names: dict[int, str]) -> Faults:
    posted = [row for row in rows if row.kind == POSTED]
    yield from _often(command, len(posted), expected=1 if command.amount else 0)
    for row in posted:
        if row.change != command.amount:
            yield Fault("P7", _name(command), f"moved {row.change}, the client was told {command.amount}")
        if names.get(row.account_id) != command.user:
            yield Fault("P7", _name(command), f"is on the account of {names.get(row.account_id)}, not {command.user}")


def _reservation(command: Command, rows: list[Transfer], job: LedgerJob | None) -> Faults:
    pending = [row for row in rows if row.kind == PENDING]
    yield from _often(command, len(pending), expected=1 if command.amount else 0)
    if command.outcome == "done" and job is None:
        yield Fault("P7", _name(command), f"was answered, but job {command.job_id} is not there")
    for row in pending:
        if command.outcome == "done" and row.amount != command.amount:
            yield Fault("P7", _name(command), f"reserved {row.amount}, the client was told {command.amount}")
        if row.job_id != command.job_id:
            yield Fault("P7", _name(command), f"reserved for job {row.job_id}, not {command.job_id}")


def _report(command: Command, job: LedgerJob | None) -> Faults:
    if command.outcome != "done":
        return
    if job is None:
        yield Fault("P7", _name(command), f"was answered, but job {command.job_id} is not there")
    elif job.charged != command.amount or job.state not in _REPORTED:
        told = f"job {job.job_id} is {job.state} and charged {job.charged}"
        yield Fault("P7", _name(command), f"the client was told a charge of {command.amount}, {told}")


def _often(command: Command, times: int, expected: int) -> Faults:
    """Done: as often as expected. Refused: never. Unknown: at most as often."""
    if command.outcome == "done" and times < expected:
        yield Fault("P7", _name(command), "was acknowledged and has had no effect")
    elif command.outcome == "refused" and times:
        yield Fault("P7", _name(command), "was refused and has had an effect")
    elif times > max(expected, 1 if command.outcome == "unknown" else expected):
        yield Fault("P8", _name(command), f"has had its effect {times} times")
