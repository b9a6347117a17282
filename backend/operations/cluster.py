"""`inkeeper-server cluster …`: the same actions as by the API, through the database, on any machine that has the
settings, also while no server runs."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from backend.base import cli
from backend.base.cli import Failure
from backend.cluster import history, operations, plan
from backend.cluster.agent import ClusterSettings
from backend.cluster.model import MemberRow, Snapshot, state_of
from backend.cluster.service import read_snapshot
from backend.cluster.topology import duration_text
from backend.db.engine import Database
from backend.db.errors import DatabaseAway
from backend.operations import database as database_command
from backend.wire.cluster import ClusterAction, ClusterEvent, ClusterVerb

FOLLOW_S = 0.5
VERBS: tuple[tuple[ClusterVerb, str, str], ...] = (
    ("drain", "NAME", "send a server's clients to the others, and keep it empty until it is undrained"),
    ("undrain", "NAME", "let a drained server serve again"),
    ("switchover", "", "hand leadership over, to the server that is named or to the one that is best"),
    ("pause", "", "remove no members and change no DNS until `resume`; printing and leases go on"),
    ("resume", "", "end a pause"),
    ("remove", "NAME", "forget a server that is gone"),
)

Run = Callable[[argparse.Namespace, Database, ClusterSettings, str], int]


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The words below `cluster`; each sets `cluster_run`, to be called as a `Run`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="ACTION")
    status = verbs.add_parser("status", help="the servers as the database knows them")
    status.set_defaults(cluster_run=run_status)
    events = verbs.add_parser("events", help="what happened to the cluster, oldest first")
    events.add_argument("--limit", type=int, default=50, metavar="N", help="the newest N (default 50)")
    events.add_argument("--follow", action="store_true", help="go on with what happens until Ctrl-C")
    events.set_defaults(cluster_run=run_events)
    for verb, subject, words in VERBS:
        action = verbs.add_parser(verb, help=words)
        if subject:
            action.add_argument("name", metavar=subject, help="the server's name")
        elif verb == "switchover":
            action.add_argument("--to", dest="name", default="", metavar="NAME", help="who is to lead")
        action.add_argument("--dry-run", action="store_true", help="only tell what it would do")
        action.add_argument("--force", action="store_true", help="do it in spite of what speaks against it")
        action.set_defaults(cluster_run=run_action)
    database_command.add_parser(verbs)


def run_status(options: argparse.Namespace, database: Database, settings: ClusterSettings, person: str) -> int:
    """One line for the cluster, one for each server."""
    with database.connect() as conn:
        snapshot = read_snapshot(conn, settings.heartbeat_s)
    print(status_text(snapshot))
    return cli.EXIT_OK


def run_action(options: argparse.Namespace, database: Database, settings: ClusterSettings, person: str) -> int:
    """Tell the plan, and do it unless it is blocked or a dry run."""
    name = getattr(options, "name", "")
    wanted = ClusterAction(action=options.verb, subject=name, dry_run=options.dry_run, force=options.force)
    with database.connect(writing=True) as conn:
        found = operations.perform(conn, wanted, person, "admin", settings.heartbeat_s, settings.drain_grace_s)
    print(plan.text(found))
    if found.blocked and not found.done:
        hint = " (--force does it all the same)" if found.steps else ""
        raise Failure(f"{options.verb}: {plan.against(found)}{hint}")
    print("this was a dry run: nothing was done" if options.dry_run else "done")
    return cli.EXIT_OK


def run_events(options: argparse.Namespace, database: Database, settings: ClusterSettings, person: str) -> int:
    """The newest events, and those to come."""
    after = ""
    while True:
        try:
            with database.connect() as conn:
                found = history.read(conn, after, max(1, min(options.limit, 500)) if not after else 500)
        except DatabaseAway as error:
            if not options.follow:
                raise
            print(f"inkeeper-server: {error}; trying again", file=sys.stderr)
            found = ()
        for event in found:
            print(event_text(event), flush=True)
        after = found[-1].event_id if found else after or "0.0"
        if not options.follow:
            return cli.EXIT_OK
        time.sleep(FOLLOW_S)


def status_text(snapshot: Snapshot) -> str:
    """The cluster for a terminal."""
    lead = next((row.name for row in snapshot.members if row.process == snapshot.lease.holder), "nobody")
    paused = ", PAUSED" if snapshot.paused else ""
    lines = [f"cluster {snapshot.cluster_id}: {lead} leads, term {snapshot.lease.term}{paused}"]
    lines += [_member_text(row, snapshot) for row in snapshot.members]
    return "\n".join(lines)


def _member_text(row: MemberRow, snapshot: Snapshot) -> str:
    state = state_of(row, snapshot.heartbeat_s)
    said = "drained" if state == "draining" and row.state == "drained" else state
    wanted = " (to drain)" if row.wanted == "draining" and state == "gone" else ""
    ago = duration_text(row.age_ms / 1000)
    return f"  {row.name:<20} {said + wanted:<10} {row.url:<32} {row.program_version:<12} {ago} ago, load {row.load}"


def event_text(event: ClusterEvent) -> str:
    """One line of the history."""
    at = datetime.fromtimestamp(event.at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    parts = [f"{at}Z  {event.kind:<18} {event.subject}"]
    parts += [event.cause] if event.cause else []
    parts += [f"term {event.term}"] if event.term else []
    parts += [f"away {event.away_ms / 1000:.1f} s"] if event.away_ms is not None else []
    parts += [f"by {event.actor}"] if event.actor != history.SYSTEM else []
    return ", ".join(parts)
