"""Run one batch on one session: begin, make what is missing, fold, commit. The loop that every store is driven by.

A batch that fails on its data runs again one by one, so that one bad command costs only itself an answer.
"""

from collections.abc import Awaitable, Callable, Sequence

from backend.intake import fold
from backend.intake.errors import BatchRejected, ConnectionFault, StoreFault
from backend.intake.model import Command, Missing, Policy
from backend.intake.store import Session

MAX_PROVISION_ROUNDS = 4

Provide = Callable[[Missing], Awaitable[None]]
Outcome = str | None | StoreFault


async def run(session: Session, commands: Sequence[Command], policy: Policy, provide: Provide) -> list[Outcome]:
    """The outcome of each command: its answer's JSON, `fold.CONFLICT`, or the fault. Raises ConnectionFault for the
    whole batch."""
    try:
        return [*await _transaction(session, commands, policy, provide)]
    except BatchRejected:
        pass  # some of it cannot be written: find out which
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            outcomes.append(await _alone(session, command, policy, provide))
        except ConnectionFault as fault:
            return [*outcomes, *[fault] * (len(commands) - len(outcomes))]
    return outcomes


async def _alone(session: Session, command: Command, policy: Policy, provide: Provide) -> Outcome:
    """One command by itself, tried again where it met another writer."""
    for last in (False, False, True):
        try:
            return (await _transaction(session, [command], policy, provide))[0]
        except BatchRejected as fault:
            if last:
                return fault
    raise AssertionError("unreachable")


async def _transaction(
    session: Session, commands: Sequence[Command], policy: Policy, provide: Provide
) -> list[fold.Result]:
    reads = fold.reads(commands)
    for _ in range(MAX_PROVISION_ROUNDS):
        rows = await session.begin(reads)
        missing = fold.missing(commands, rows, policy.create_users)
        if missing:
            await session.abort()
            await provide(missing)
        elif unlocked := fold.unlocked(commands, rows):
            await session.abort()
            reads.account_ids = sorted({*reads.account_ids, *unlocked})
        else:
            results, writes = fold.fold(commands, rows, policy)
            await session.commit(writes)
            return results
    raise BatchRejected("users or queues of this batch could not be made")
