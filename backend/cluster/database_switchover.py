"""A planned change of the primary: what would happen, what speaks against it (pure), and doing it through Patroni.

No request fails meanwhile: the pools and the intake let work wait until the next primary answers, which takes two or
three seconds.
"""

from typing import Final

import msgspec
import sqlalchemy as sa

from backend.cluster import history
from backend.cluster.databases import Facts, read_facts
from backend.cluster.patroni import Patroni, PatroniMember, Seen, is_safe
from backend.db.engine import Database
from backend.wire.cluster import Objection, Plan

ACTION: Final = "database-switchover"
FAR_BEHIND_BYTES = 16 * 1024 * 1024
BEHIND_BYTES = 1024 * 1024


def plan(seen: Seen | None, facts: Facts, to: str) -> Plan:
    """What a switchover to `to` ("": to the synchronous standby) would do."""
    if facts.engine == "sqlite":
        return _refused(to, "the database is one SQLite file: there is nothing to switch to")
    if seen is None:
        return _refused(to, "no Patroni answers: see [database] patroni")
    leader = seen.cluster.leader
    if leader is None:
        return _refused(to, "the database cluster has no primary now")
    candidate = _candidate(seen, to)
    if candidate is None:
        known = ", ".join(member.name for member in seen.cluster.members)
        return _refused(to, f"there is no node {to}; there are {known}" if to else "no standby can take over")
    return Plan(
        action=ACTION,
        subject=candidate.name,
        steps=(
            f"{leader.name} finishes what it has begun and stops taking writes",
            f"{candidate.name} becomes the primary; writes wait meanwhile, for two or three seconds",
            f"{leader.name} follows {candidate.name} as a standby",
        ),
        objections=(*_blocking(seen, leader, candidate, to), *_to_be_known(seen, candidate)),
    )


async def perform(database: Database, patroni: Patroni, to: str, actor: str, *, dry_run: bool) -> Plan:
    """Do it, unless it is a dry run or something blocks it. Raises DatabaseError, PatroniError."""
    found = plan(await patroni.look(fresh=True), await database.run(read_facts), to)
    if dry_run or found.blocked:
        return found
    seen = await patroni.look()
    leader = seen.cluster.leader.name if seen is not None and seen.cluster.leader is not None else ""

    def write_down(conn: sa.Connection) -> None:
        history.record(conn, ACTION, found.subject, actor=actor, detail={"before": leader})

    await database.write(write_down)
    said = await patroni.switchover(leader, found.subject)
    return msgspec.structs.replace(found, steps=(*found.steps, said), done=True)


def _refused(to: str, text: str) -> Plan:
    return Plan(action=ACTION, subject=to, objections=(Objection(blocks=True, text=text),))


def _candidate(seen: Seen, to: str) -> PatroniMember | None:
    if to:
        return next((member for member in seen.cluster.members if member.name == to), None)
    fit = [member for member in seen.cluster.members if not member.leads and member.well and member.failover_allowed]
    return min(fit, key=lambda member: (not member.synchronous, member.lag_bytes or 0), default=None)


def _blocking(seen: Seen, leader: PatroniMember, candidate: PatroniMember, to: str) -> list[Objection]:
    name = candidate.name
    reasons = {
        f"{name} is the primary already": candidate is leader,
        f"{name} is {candidate.state}, not streaming": not candidate.well,
        f"{name} is set never to become the primary (nofailover)": not candidate.failover_allowed,
        "there is no synchronous standby, and only one may take over": seen.config.synchronous
        and not any(member.synchronous for member in seen.cluster.members),
        f"{name} is not the synchronous standby, and only that may take over": seen.config.synchronous
        and any(member.synchronous for member in seen.cluster.members)
        and not candidate.synchronous
        and candidate is not leader,
        f"how far {name} is behind is not known": not candidate.leads and candidate.lag_bytes is None,
        f"{name} is {(candidate.lag_bytes or 0) // 2**20} MB behind": (candidate.lag_bytes or 0) > FAR_BEHIND_BYTES,
        "Patroni is paused: name the node": seen.cluster.paused and not to,
    }
    return [Objection(blocks=True, text=text) for text, holds in reasons.items() if holds]


def _to_be_known(seen: Seen, candidate: PatroniMember) -> list[Objection]:
    lag_bytes = candidate.lag_bytes or 0
    behind = f"{candidate.name} is {lag_bytes // 1024} kB behind: writes wait until it has them"
    ill = [member for member in seen.cluster.members if not member.well]
    reasons = {
        behind: BEHIND_BYTES < lag_bytes <= FAR_BEHIND_BYTES,
        "Patroni is paused: nothing takes over by itself afterwards": seen.cluster.paused,
        f"Patroni {seen.version} can lose acknowledged commits: upgrade it": not is_safe(seen.version),
        f"only {len(seen.cluster.members)} nodes: no second standby is left": len(seen.cluster.members) < 3,
        **{f"{member.name} is {member.state}": member is not candidate for member in ill},
    }
    return [Objection(blocks=False, text=text) for text, holds in reasons.items() if holds]
