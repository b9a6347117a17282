"""`inkeeper-server cluster database-switchover`: hand the database's primary over, on any machine that has the
settings, also while no server runs."""

import argparse
import asyncio

from backend.base import cli
from backend.base.cli import Failure
from backend.cluster import plan
from backend.cluster.database_switchover import perform
from backend.cluster.patroni import Patroni, PatroniError, addresses
from backend.db.engine import Database, DatabaseSettings
from backend.wire.cluster import Plan

ACTION = "database-switchover"


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The word below `cluster`."""
    parser = verbs.add_parser(ACTION, help="make a standby the database's primary, through Patroni")
    parser.add_argument("--to", default="", metavar="NODE", help="by its name in Patroni; else the synchronous standby")
    parser.add_argument("--dry-run", action="store_true", help="only tell what it would do")


def run(options: argparse.Namespace, database: Database, settings: DatabaseSettings, person: str) -> int:
    """Tell the plan, and do it unless it is blocked or a dry run."""
    try:
        found = asyncio.run(_perform(options, database, settings, person))
    except PatroniError as error:
        raise Failure(f"{ACTION}: {error}") from error
    print(plan.text(found))
    if found.blocked:
        raise Failure(f"{ACTION}: {plan.against(found)}")
    print("done" if found.done else "this was a dry run: nothing was done")
    return cli.EXIT_OK


async def _perform(options: argparse.Namespace, database: Database, settings: DatabaseSettings, person: str) -> Plan:
    patroni = Patroni(() if database.is_sqlite else addresses(settings.patroni, database.url.hosts))
    try:
        return await perform(database, patroni, options.to, person, dry_run=options.dry_run)
    finally:
        await patroni.close()
