"""What the console asks for beside the feed: people, pages of older jobs and events, and what becomes of the cluster.
Each answer says who gave it and when.

Reading may be asked for twice, or of a second server, and changes nothing. The one thing that changes something, `act`,
is sent once; where its answer is lost that is told (`NoServer.in_doubt`), and nobody asks again by himself.
"""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from app.core.commands import ABOUT_JOBS, command, job_ending, money_ending
from app.core.desk import Choice
from app.core.operations import Verb
from app.core.outbox import Ending, Entry
from app.core.reducer import Rights
from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.wire.access import Caller, ChangePassword, LogIn, LogInAnswer
from backend.wire.base import Ledger
from backend.wire.cluster import ClusterAction, ClusterEvent, ClusterEventList, DatabaseSwitchover, Plan
from backend.wire.jobs import JobActionAnswer, JobList, JobView
from backend.wire.money import MoneyAnswer, TransferList, TransferView
from backend.wire.people import UserList, UserView
from backend.wire.printers import QueueList, QueueView, SetQueue

TIMEOUT_S: Final = 5.0
LOG_IN_S: Final = 6.0
FOUND_LIMIT: Final = 50
PERSON_ROWS: Final = 50
PAGE_ROWS: Final = 100
HISTORY_ROWS: Final = 200
CHOSEN_ROWS: Final = 500
ACT_S: Final = 10.0
DATABASE_ACT_S: Final = 45.0
"""The server itself waits 30 s for Patroni."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A value with its origin: which server, and when on the monotonic clock."""

    value: T
    endpoint: str
    at: float


@dataclass(frozen=True, slots=True)
class Person:
    """One user with the newest transfers, and the newest jobs of the asked kind."""

    user: UserView
    jobs: tuple[JobView, ...]
    transfers: tuple[TransferView, ...]
    ledger: Ledger
    choice: Choice = "all"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failed request for people: what, why, and whether asking again may help. `signed_out`: not before somebody has
    logged in again."""

    title: str
    text: str
    again: bool
    denied: bool = False
    signed_out: bool = False


async def find_users(client: ApiClient, text: str, limit: int = FOUND_LIMIT) -> Read[UserList]:
    """People whose login, name, e-mail or card begins with the text."""
    query: dict[str, str | int] = {"query": text, "limit": limit}
    answer = await client.call("GET", "users", None, UserList, timeout_s=TIMEOUT_S, query=query)
    return Read(answer, client.current, time.monotonic())


async def read_person(client: ApiClient, name: str, choice: Choice = "all") -> Read[Person]:
    """A person with recent jobs and transfers. Raises ServerProblem "not-found" when the name is gone."""
    path = f"users/{quote(name, safe='')}"
    rows: dict[str, str | int] = {"limit": PERSON_ROWS}
    jobs_path, jobs_rows = (f"{path}/jobs", rows) if choice == "all" else ("jobs", {**_kind(choice), "user": name})
    found, jobs, transfers = await asyncio.gather(
        client.call("GET", path, None, UserList, timeout_s=TIMEOUT_S),
        client.call("GET", jobs_path, None, JobList, timeout_s=TIMEOUT_S, query=jobs_rows),
        client.call("GET", f"{path}/transfers", None, TransferList, timeout_s=TIMEOUT_S, query=rows),
    )
    person = Person(found.users[0], jobs.jobs, transfers.transfers, found.ledger, choice)
    return Read(person, client.current, time.monotonic())


async def older_jobs_of(client: ApiClient, name: str, before: str) -> tuple[JobView, ...]:
    """The page of a person's jobs that follows the job `before`, newest first."""
    query: dict[str, str | int] = {"limit": PAGE_ROWS, "before": before}
    path = f"users/{quote(name, safe='')}/jobs"
    return (await client.call("GET", path, None, JobList, timeout_s=TIMEOUT_S, query=query)).jobs


async def older_transfers_of(client: ApiClient, name: str, before: int) -> tuple[TransferView, ...]:
    """The page of a person's transfers before the one of this sequence, newest first."""
    query: dict[str, str | int] = {"limit": PAGE_ROWS, "before": before}
    path = f"users/{quote(name, safe='')}/transfers"
    return (await client.call("GET", path, None, TransferList, timeout_s=TIMEOUT_S, query=query)).transfers


async def older_jobs(client: ApiClient, before: str) -> Read[JobList]:
    """The page of jobs that follows the job `before`, newest first."""
    query: dict[str, str | int] = {"limit": PAGE_ROWS, "before": before}
    answer = await client.call("GET", "jobs", None, JobList, timeout_s=TIMEOUT_S, query=query)
    return Read(answer, client.current, time.monotonic())


async def chosen_jobs(client: ApiClient, choice: Choice) -> Read[JobList]:
    """The jobs that wait, or that the help desk must look at, newest first, at most CHOSEN_ROWS."""
    answer = await client.call("GET", "jobs", None, JobList, timeout_s=TIMEOUT_S, query=_kind(choice))
    return Read(answer, client.current, time.monotonic())


def _kind(choice: Choice) -> dict[str, str | int]:
    """The query of the jobs that wait, or that are to be looked at."""
    kind: dict[str, str | int] = {"state": "held"} if choice == "held" else {"attention": 1}
    return {"limit": CHOSEN_ROWS, **kind}


async def carry_out(client: ApiClient, entry: Entry) -> Ending:
    """Send a command of the outbox under the id that it has: asked again it is the same command. Raises ServerProblem,
    NoServer (it may have been done)."""
    body = command(entry)
    if entry.verb in ABOUT_JOBS:
        return job_ending(await client.call("POST", entry.path, body, JobActionAnswer, timeout_s=TIMEOUT_S))
    return money_ending(await client.call("POST", entry.path, body, MoneyAnswer, timeout_s=TIMEOUT_S))


async def log_in(client: ApiClient, name: str, password: str) -> LogInAnswer:
    """A personal token for a name and a password. Asked of one server at a time: a wrong password that is tried at two
    servers counts twice. Raises ServerProblem, NoServer."""
    body = LogIn(name=name, password=password)
    try:
        return await client.call("POST", "login", body, LogInAnswer, timeout_s=LOG_IN_S, idempotent=False)
    except NoServer as error:
        if not error.in_doubt or len(client.servers) < 2:
            raise
    # The first one that was asked is silent; it stands last now. A second token is of no harm.
    return await client.call("POST", "login", body, LogInAnswer, timeout_s=LOG_IN_S, idempotent=False)


async def log_out(client: ApiClient) -> Caller:
    """End this token on the servers."""
    return await client.call("POST", "logout", None, Caller, timeout_s=TIMEOUT_S)


async def change_password(client: ApiClient, old: str, new: str) -> Caller:
    """Raises ServerProblem, NoServer (`in_doubt` where it may have been done)."""
    body = ChangePassword(old=old, new=new)
    return await client.call("POST", "me/password", body, Caller, timeout_s=LOG_IN_S, idempotent=False)


async def read_caller(client: ApiClient) -> Caller:
    """Who is logged in, with the limits as they stand."""
    return await client.call("GET", "me", None, Caller, timeout_s=TIMEOUT_S)


async def change_queue(client: ApiClient, queue_id: int, change: SetQueue) -> QueueView:
    """Set what is given; the queue as it is now. Each value is absolute, so it may be asked for twice. Raises
    ServerProblem, NoServer (it may have been done)."""
    answer = await client.call("POST", f"queues/{queue_id}", change, QueueList, timeout_s=TIMEOUT_S)
    return answer.queues[0]


async def newest_events(client: ApiClient) -> tuple[ClusterEvent, ...]:
    """The newest events of the cluster's history, in the order of their commits."""
    query: dict[str, str | int] = {"limit": HISTORY_ROWS}
    answer = await client.call("GET", "cluster/events", None, ClusterEventList, timeout_s=TIMEOUT_S, query=query)
    return answer.events


async def older_events(client: ApiClient, before: str) -> tuple[ClusterEvent, ...]:
    """The page of events that come before this one."""
    query: dict[str, str | int] = {"limit": HISTORY_ROWS, "before": before}
    answer = await client.call("GET", "cluster/events", None, ClusterEventList, timeout_s=TIMEOUT_S, query=query)
    return answer.events


# ---------------------------------------------------------------- actions on the cluster


async def read_rights(client: ApiClient) -> Rights | None:
    """What this token may do: to jobs and money, by its role; to the cluster, asked by a dry run, which does nothing.
    None where no server told.

    The dry run is left out for roles that are known not to be allowed it: a refusal is written down as one.
    """
    try:
        rights = await _desk_rights(client, Rights(False, _NO_ADMIN))
        if rights.caller is not None and rights.caller.role != "admin":
            return rights
        cluster = await _cluster_rights(client)
        return replace(rights, allowed=cluster.allowed, reason=cluster.reason)
    except NoServer:
        return None


_NO_ADMIN: Final = "this access token’s role does not allow it; it takes the role admin"


async def _cluster_rights(client: ApiClient) -> Rights:
    try:
        await ask_plan(client, "resume", "")
    except ServerProblem as error:
        if error.problem.code == "forbidden":
            return Rights(False, _NO_ADMIN)
        return Rights(False, f"this server does not offer it ({error.problem.title.lower()})")
    return Rights(True)


async def _desk_rights(client: ApiClient, rights: Rights) -> Rights:
    """Who asks, and why they may not move money and jobs."""
    try:
        caller = await read_caller(client)
    except ServerProblem as error:
        return replace(rights, desk=f"this server does not offer it ({error.problem.title.lower()})")
    if caller.role in ("admin", "helpdesk"):
        return replace(rights, caller=caller)
    text = f"the role {caller.role} does not allow it; it takes the role helpdesk or admin"
    return replace(rights, caller=caller, desk=text)


async def ask_plan(client: ApiClient, verb: Verb, subject: str) -> Plan:
    """The dry run. Raises ServerProblem, NoServer."""
    path, body = _command(verb, subject, dry_run=True, force=False)
    return await client.call("POST", path, body, Plan, timeout_s=TIMEOUT_S)


async def act(client: ApiClient, verb: Verb, subject: str, force: bool) -> Plan:
    """Ask for it, once. Raises ServerProblem, NoServer (`in_doubt` where it may have been done)."""
    path, body = _command(verb, subject, dry_run=False, force=force)
    timeout_s = DATABASE_ACT_S if verb == "database-switchover" else ACT_S
    return await client.call("POST", path, body, Plan, timeout_s=timeout_s, idempotent=False)


def _command(verb: Verb, subject: str, *, dry_run: bool, force: bool) -> tuple[str, ClusterAction | DatabaseSwitchover]:
    if verb == "database-switchover":
        return "cluster/database/switchover", DatabaseSwitchover(to=subject, dry_run=dry_run)
    return "cluster/actions", ClusterAction(action=verb, subject=subject, dry_run=dry_run, force=force)


def explain(error: Exception) -> Trouble:
    """A failure in words for the person in front of the screen."""
    match error:
        case NoServer():
            return Trouble("No server answers", str(error), again=True)
        case ServerProblem() if error.problem.code == "forbidden":
            text = "The access token’s role does not allow to see this. An administrator can make another token."
            return Trouble("Not allowed", text, again=False, denied=True)
        case ServerProblem() if error.problem.code == "unauthenticated":
            text = "The log-in has ended, or the access token is not accepted. Log in under Console › Connection."
            return Trouble("Not signed in", text, again=False, denied=True, signed_out=True)
        case ServerProblem() if error.problem.code == "not-found":
            return Trouble("Not found", "Nobody of that name is known any more.", again=False)
        case ServerProblem():
            return Trouble("The server refused", str(error), again=False)
        case _:
            return Trouble("Something went wrong", f"{type(error).__name__}: {error}", again=True)
