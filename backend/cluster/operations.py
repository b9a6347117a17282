"""Actions on the cluster: drain, undrain, switchover, pause, resume, remove. A function of a connection, so that API
and command line do the same, on any machine that reaches the database, also while servers are dead.

An action writes down what is *wanted*; the members do it at their next heartbeat. The cluster's row is locked
meanwhile, so that two people cannot drain the last two servers at once.

Invariant: what was done stands in the history and in the audit log, with who did it, in the same transaction.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from backend.access.audit import write_audit
from backend.cluster import history, plan
from backend.cluster.model import Snapshot
from backend.cluster.service import read_snapshot
from backend.cluster.tables import cluster, member, term
from backend.wire.cluster import ClusterAction, Plan


def perform(
    conn: sa.Connection,
    wanted: ClusterAction,
    actor: str,
    role: str,
    heartbeat_s: float,
    grace_s: float,
    corrected: Any = None,
) -> Plan:
    """Do it unless it is a dry run, or blocked and not forced. `corrected` gives the snapshot with better ages."""
    conn.execute(sa.select(cluster.c.one).with_for_update())
    snapshot: Snapshot = read_snapshot(conn, heartbeat_s)
    if corrected is not None:
        snapshot = corrected(snapshot)
    found = plan.make(wanted, snapshot, grace_s)
    refused = found.blocked and not (wanted.force and found.steps)
    if wanted.dry_run or refused:
        return found
    if found.steps:
        _do(conn, found, snapshot, actor)
        write_audit(conn, actor, role, f"cluster-{found.action}", found.subject, "forced" if found.blocked else "")
    return msgspec.structs.replace(found, done=True)


def _do(conn: sa.Connection, found: Plan, snapshot: Snapshot, actor: str) -> None:
    name, on = found.subject, member.c.name == found.subject
    lead = snapshot.lease.term
    if found.action == "drain":
        conn.execute(sa.update(member).where(on).values(wanted="draining"))
        history.record(conn, "member-draining", name, actor=actor, term=lead, cause="wanted")
    elif found.action == "undrain":
        conn.execute(sa.update(member).where(on).values(wanted="serving"))
        history.record(conn, "member-undrained", name, actor=actor, term=lead, cause="wanted")
    elif found.action == "switchover":
        chosen = plan.target(snapshot, name)
        assert chosen is not None  # the plan would have no steps
        held = (term.c.term == snapshot.lease.term, term.c.holder == snapshot.lease.holder)
        conn.execute(sa.update(term).where(*held).values(given_to=chosen.process))
        detail = {"from": snapshot.lease.member_name}
        history.record(conn, "switchover-wanted", name, actor=actor, term=lead, cause="wanted", detail=detail)
    elif found.action == "remove":
        conn.execute(sa.delete(member).where(on))
        history.record(conn, "member-removed", name, actor=actor, term=lead, cause="wanted")
    else:
        pause = found.action == "pause"
        conn.execute(sa.update(cluster).values(paused=pause))
        kind: history.Kind = "cluster-paused" if pause else "cluster-resumed"
        history.record(conn, kind, "cluster", actor=actor, term=lead, cause="wanted")
