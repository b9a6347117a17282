"""Run one batch on one session: begin, make what is missing, fold, commit. The loop that every store is driven by.

A batch that fails on its data runs again one by one, so that one bad command costs only itself an answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from backend.intake import fold
from backend.intake.errors import BatchRejected, ConnectionFault, StoreFault
from backend.intake.model import Command, Missing, Policy
from backend.intake.store import Session
from backend.wire.jobs import Authorise, Report

MAX_PROVISION_ROUNDS = 4

Provide = Callable[[Missing], Awaitable[Mapping[str, str] | None]]
"""Makes what is missing; of the names that are somebody's alias it makes nothing, and tells whose: alias -> user."""
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
    looked_up: set[str] = set()
    for _ in range(MAX_PROVISION_ROUNDS):
        rows = await session.begin(reads)
        missing = fold.missing(commands, rows, policy.create_users)
        if not policy.create_users and (names := fold.unknown(commands, rows) - looked_up):
            missing = msgspec.structs.replace(missing, names=tuple(sorted(names)))
            looked_up |= names
        if missing:
            await session.abort()
            if aliases := await provide(missing):
                commands = [_of_owner(command, aliases) for command in commands]
                reads = msgspec.structs.replace(fold.reads(commands), account_ids=reads.account_ids)
        elif unlocked := fold.unlocked(commands, rows):
            await session.abort()
            reads.account_ids = sorted({*reads.account_ids, *unlocked})
        else:
            results, writes = fold.fold(commands, rows, policy)
            await session.commit(writes)
            return results
    raise BatchRejected("users or queues of this batch could not be made")


def _of_owner(command: Command, aliases: Mapping[str, str]) -> Command:
    """The command as it is about the user whose alias it names; what it was asked with stays its fingerprint."""
    body = command.body
    if isinstance(body, Authorise | Report) and body.user_name in aliases:
        body = msgspec.structs.replace(body, user_name=aliases[body.user_name])
        return msgspec.structs.replace(command, body=body)
    return command
