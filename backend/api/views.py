"""Operations that only read."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.types import Scope

from backend.access.model import ANYBODY, PROVIDER, VIEWERS, Principal
from backend.api.operation import Stream, operation
from backend.api.problems import ApiProblem
from backend.api.reading import authenticate, header
from backend.api.services import Services
from backend.api.stream import EventStream
from backend.cluster import history
from backend.jobs.queries import Chosen, choose_jobs, get_job, newest_jobs
from backend.people.lists import EVERYBODY, Filter, Sort, list_people
from backend.people.queries import account_of, get_user, newest_transfers, transfers_of
from backend.printers.service import rules_of
from backend.wire.base import UUID_PATTERN, Millis, Name, Uuid
from backend.wire.cluster import ClusterEventList, Topology
from backend.wire.jobs import DecisionList, JobList, JobState
from backend.wire.money import TransferList
from backend.wire.names import map_user_name
from backend.wire.people import UserList
from backend.wire.printers import MemberList, QueueList, RuleList

Limit = Annotated[int, Meta(ge=1, le=500)]
Offset = Annotated[int, Meta(ge=0, le=2**31)]
QueueId = Annotated[int, Meta(ge=1, le=2**53)]
EventId = Annotated[str, Meta(pattern=r"^$|^\d{1,19}\.\d{1,19}$")]


class UserQuery(msgspec.Struct, frozen=True):
    """`query`: beginnings of words of name, full name, email or card number; "" for everybody. `filter` leaves the
    others out: those whose printing is off, who are restricted, whose balance is below zero."""

    query: Annotated[str, Meta(max_length=255)] = ""
    limit: Limit = 50
    offset: Offset = 0
    sort: Sort = "name"
    order: Literal["asc", "desc"] = "asc"
    filter: Literal["", "disabled", "restricted", "negative"] = ""


class TransferQuery(msgspec.Struct, frozen=True):
    """`before`: only transfers with a lower sequence; 0 from the newest."""

    limit: Limit = 50
    before: Offset = 0


class HistoryQuery(msgspec.Struct, frozen=True):
    """`after`: only what came after the event of this id; "" for the newest. `before`: only what came before one."""

    limit: Limit = 50
    after: EventId = ""
    before: EventId = ""


class LimitQuery(msgspec.Struct, frozen=True):
    limit: Limit = 50


class JobQuery(msgspec.Struct, frozen=True):
    """`before`: only jobs older than this one; "" from the newest."""

    limit: Limit = 50
    before: Annotated[str, Meta(pattern=f"^$|{UUID_PATTERN}")] = ""


class JobsQuery(msgspec.Struct, frozen=True):
    """`attention`: 1 for those that the help desk must look at. `queue` is a queue's name on any print server. Rare
    states and a queue's jobs are looked for among the 20,000 jobs before `before`.
    `since` and `until` bound when a job was first seen by its print server, in milliseconds; 0: not."""

    limit: Limit = 50
    before: Annotated[str, Meta(pattern=f"^$|{UUID_PATTERN}")] = ""
    state: JobState | Literal[""] = ""
    attention: Annotated[int, Meta(ge=0, le=1)] = 0
    queue: Annotated[str, Meta(max_length=255)] = ""
    user: Annotated[str, Meta(max_length=255)] = ""
    provider: Annotated[str, Meta(max_length=255)] = ""
    since: Millis = 0
    until: Millis = 0


@operation("GET", "/api/v1/members", roles=ANYBODY)
async def list_members(services: Services, who: Principal) -> MemberList:
    """The cluster's servers, also those that are away."""
    snapshot = services.agent.snapshot
    return MemberList(generation=snapshot.generation, members=snapshot.listed())


@operation("GET", "/api/v1/topology", roles=VIEWERS, without_database=True)
async def get_topology(services: Services, who: Principal) -> Topology:
    """The live picture of servers, databases, print servers and queues, with a verdict in one sentence.

    While the database is away: what Patroni tells of it, and all else as it was last known, with its age.
    """
    return await services.picture.topology()


@operation("GET", "/api/v1/cluster/events", roles=VIEWERS)
async def list_cluster_events(services: Services, who: Principal, query: HistoryQuery) -> ClusterEventList:
    """The cluster's history: the newest events, or those after an event's id, or before one."""
    found = await services.database.run(history.read, query.after, query.limit, query.before)
    return ClusterEventList(events=found)


@operation("GET", "/api/v1/users", roles=VIEWERS)
async def list_users(services: Services, who: Principal, query: UserQuery) -> UserList:
    """Users, sorted and filtered. At most 1000 matches of a query are counted: a total of 1000 means 1000 or more."""
    if query.query:
        services.looks.looked(who, "people-searched", query.query)
    page = await services.database.run(
        list_people,
        query.query,
        query.limit,
        query.offset,
        sort=query.sort,
        descending=query.order == "desc",
        chosen=_CHOSEN[query.filter],
    )
    return UserList(users=page.users, total=page.total, ledger=services.ledger, as_of=page.now)


_CHOSEN: Final[dict[str, Filter]] = {
    "": EVERYBODY,
    "disabled": Filter(disabled=True),
    "restricted": Filter(restricted=True),
    "negative": Filter(negative=True),
}


@operation("GET", "/api/v1/users/{name}", roles=VIEWERS, errors=("not-found",))
async def show_user(services: Services, who: Principal, name: Name) -> UserList:
    """One user by exact name, in any of its spellings."""
    found = await services.database.run(get_user, map_user_name(name))
    if found is None:
        raise ApiProblem("not-found", f"there is no user {name}")
    services.looks.looked(who, "user-opened", found[0].name)
    return UserList(users=(found[0],), total=1, ledger=services.ledger, as_of=found[1])


@operation("GET", "/api/v1/users/{name}/transfers", roles=VIEWERS, errors=("not-found",))
async def list_user_transfers(services: Services, who: Principal, name: Name, query: TransferQuery) -> TransferList:
    """A user's transfers, newest first."""
    account_id = await _account(services, who, name)
    found = await services.database.run(transfers_of, account_id, query.limit, query.before)
    return TransferList(transfers=found, ledger=services.ledger)


@operation("GET", "/api/v1/users/{name}/jobs", roles=VIEWERS, errors=("not-found",))
async def list_user_jobs(services: Services, who: Principal, name: Name, query: JobQuery) -> JobList:
    """A user's jobs, newest first."""
    account_id = await _account(services, who, name)
    found = await services.database.run(newest_jobs, query.limit, query.before, account_id)
    return JobList(jobs=found, ledger=services.ledger)


@operation("GET", "/api/v1/jobs", roles=VIEWERS)
async def list_jobs(services: Services, who: Principal, query: JobsQuery) -> JobList:
    """Jobs, newest first: all, or those in a state, of a queue, of a user, or that the help desk must look at."""
    chosen = Chosen(
        state=query.state,
        attention=bool(query.attention),
        queue=query.queue,
        provider=query.provider,
        since=query.since,
        until=query.until,
    )
    if query.user:
        services.looks.looked(who, "user-opened", map_user_name(query.user))
        account_id = await services.database.run(account_of, map_user_name(query.user))
        if account_id is None:
            return JobList(jobs=(), ledger=services.ledger)
        chosen = msgspec.structs.replace(chosen, account_id=account_id)
    found = await services.database.run(choose_jobs, query.limit, query.before, chosen)
    return JobList(jobs=found, ledger=services.ledger)


@operation("GET", "/api/v1/jobs/decisions", roles=PROVIDER)
async def list_decisions(services: Services, who: Principal) -> DecisionList:
    """What was decided of the asking provider's jobs and is not yet carried out."""
    return DecisionList(decisions=await services.desk.decided(who.provider_id))


@operation("GET", "/api/v1/jobs/{job_id}", roles=VIEWERS, errors=("not-found",))
async def show_job(services: Services, who: Principal, job_id: Uuid) -> JobList:
    """One job."""
    found = await services.database.run(get_job, job_id)
    if found is None:
        raise ApiProblem("not-found", "there is no such job")
    return JobList(jobs=(found,), ledger=services.ledger)


@operation("GET", "/api/v1/queues", roles=VIEWERS)
async def list_queues(services: Services, who: Principal) -> QueueList:
    """All queues of all print servers, tracked or not."""
    return QueueList(queues=await services.picture.queues(), ledger=services.ledger)


@operation("GET", "/api/v1/queues/{queue_id}/rules", roles=VIEWERS, errors=("not-found",))
async def list_rules(services: Services, who: Principal, queue_id: QueueId) -> RuleList:
    """The cost rules that a queue has had, newest first."""
    return RuleList(rules=await services.database.run(rules_of, queue_id), ledger=services.ledger)


@operation("GET", "/api/v1/transfers", roles=VIEWERS)
async def list_transfers(services: Services, who: Principal, query: LimitQuery) -> TransferList:
    """The newest transfers of all accounts."""
    return TransferList(
        transfers=await services.database.run(newest_transfers, query.limit), ledger=services.ledger
    )  # fmt: skip


@operation("GET", "/api/v1/events", roles=VIEWERS, errors=("overloaded",))
async def stream_events(services: Services, who: Principal, scope: Scope) -> Stream:
    """Live events as server-sent events: `jobs`, `topology`, and `reset` when everything must be loaded anew.

    The header Last-Event-ID resumes a stream at any server of the cluster. A comment comes at least each 5 seconds.
    """
    if services.leaving:
        raise ApiProblem("draining")
    subscription, first = await services.hub.subscribe(header(scope, b"last-event-id").decode("latin-1"))

    async def still_allowed() -> bool:
        try:
            await authenticate(scope, services.tokens, VIEWERS)
        except ApiProblem:
            return False
        return not services.leaving

    return Stream(EventStream(services.hub, subscription, first, still_allowed))


async def _account(services: Services, who: Principal, name: str) -> int:
    mapped = map_user_name(name)
    account_id = await services.database.run(account_of, mapped)
    if account_id is None:
        raise ApiProblem("not-found", f"there is no user {name}")
    services.looks.looked(who, "user-opened", mapped)
    return account_id
