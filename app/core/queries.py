"""What the console asks for beside the feed: people, and pages of older jobs. Each answer says who gave it and when.

Only reading: asking twice, or a second server, changes nothing.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from backend.client.client import ApiClient
from backend.client.errors import NoServer, ServerProblem
from backend.wire.messages import JobList, JobView, Ledger, TransferList, TransferView, UserList, UserView

TIMEOUT_S: Final = 5.0
FOUND_LIMIT: Final = 50
PERSON_ROWS: Final = 50
PAGE_ROWS: Final = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A value with its origin: which server, and when on the monotonic clock."""

    value: T
    endpoint: str
    at: float


@dataclass(frozen=True, slots=True)
class Person:
    """One user with the newest jobs and transfers."""

    user: UserView
    jobs: tuple[JobView, ...]
    transfers: tuple[TransferView, ...]
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failed request for people: what, why, and whether asking again may help."""

    title: str
    text: str
    again: bool
    denied: bool = False


async def find_users(client: ApiClient, text: str, limit: int = FOUND_LIMIT) -> Read[UserList]:
    """People whose login, name, e-mail or card begins with the text."""
    query: dict[str, str | int] = {"query": text, "limit": limit}
    answer = await client.call("GET", "users", None, UserList, timeout_s=TIMEOUT_S, query=query)
    return Read(answer, client.current, time.monotonic())


async def read_person(client: ApiClient, name: str) -> Read[Person]:
    """A person with recent jobs and transfers. Raises ServerProblem "not-found" when the name is gone."""
    path = f"users/{quote(name, safe='')}"
    rows: dict[str, str | int] = {"limit": PERSON_ROWS}
    found, jobs, transfers = await asyncio.gather(
        client.call("GET", path, None, UserList, timeout_s=TIMEOUT_S),
        client.call("GET", f"{path}/jobs", None, JobList, timeout_s=TIMEOUT_S, query=rows),
        client.call("GET", f"{path}/transfers", None, TransferList, timeout_s=TIMEOUT_S, query=rows),
    )
    person = Person(found.users[0], jobs.jobs, transfers.transfers, found.ledger)
    return Read(person, client.current, time.monotonic())


async def older_jobs(client: ApiClient, before: str) -> Read[JobList]:
    """The page of jobs that follows the job `before`, newest first."""
    query: dict[str, str | int] = {"limit": PAGE_ROWS, "before": before}
    answer = await client.call("GET", "jobs", None, JobList, timeout_s=TIMEOUT_S, query=query)
    return Read(answer, client.current, time.monotonic())


def explain(error: Exception) -> Trouble:
    """A failure in words for the person in front of the screen."""
    match error:
        case NoServer():
            return Trouble("No server answers", str(error), again=True)
        case ServerProblem() if error.problem.code == "forbidden":
            text = "The access token’s role does not allow to see this. An administrator can make another token."
            return Trouble("Not allowed", text, again=False, denied=True)
        case ServerProblem() if error.problem.code == "unauthenticated":
            text = "The cluster does not accept the access token. Set another one under Console › Connection."
            return Trouble("Not signed in", text, again=False, denied=True)
        case ServerProblem() if error.problem.code == "not-found":
            return Trouble("Not found", "Nobody of that name is known any more.", again=False)
        case ServerProblem():
            return Trouble("The server refused", str(error), again=False)
        case _:
            return Trouble("Something went wrong", f"{type(error).__name__}: {error}", again=True)
