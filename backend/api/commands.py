"""Operations that change something."""

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from backend.access.model import ADMIN, MONEY, PROVIDER, Principal
from backend.api.operation import Raw, operation
from backend.api.problems import ApiProblem
from backend.api.services import Services
from backend.cluster.database_switchover import perform as switch_over
from backend.cluster.operations import perform
from backend.cluster.patroni import PatroniError, PatroniSilent
from backend.intake.model import Body, Cancel, Limits, Refund, Release, Tick
from backend.printers.service import enroll_provider, set_queue, set_queues
from backend.wire.base import Uuid
from backend.wire.cluster import ClusterAction, DatabaseSwitchover, Plan
from backend.wire.jobs import (
    Authorise,
    AuthoriseAnswer,
    CancelJob,
    JobActionAnswer,
    ReleaseJob,
    Report,
    ReportAnswer,
    TickOff,
)
from backend.wire.money import MoneyAnswer, RefundJob
from backend.wire.names import map_user_name
from backend.wire.printers import Enroll, EnrollAnswer, Heartbeat, HeartbeatAnswer, QueueList, SetQueue, SetQueues

HEARTBEAT_S = 2.0
QueueId = Annotated[int, Meta(ge=1, le=2**53)]
_mapped = lru_cache(maxsize=65_536)(map_user_name)


async def submit_job(services: Services, who: Principal, body: Authorise | Report) -> bytes:
    """Hand a command about a job to the one door; its answer as JSON. Raises IntakeError."""
    name = _mapped(body.user_name)
    if name != body.user_name:
        body = msgspec.structs.replace(body, user_name=name)
    return await services.intake.submit(body, actor=who.actor, provider_id=who.provider_id)


@operation(
    "POST", "/api/v1/jobs/authorise", roles=PROVIDER, errors=("command-conflict", "overloaded", "outcome-unknown")
)
async def authorise_job(services: Services, who: Principal, body: Authorise) -> AuthoriseAnswer | Raw:
    """May this job print? Reserves its price. A refusal is an answer with a `code`, not a problem."""
    return Raw(await submit_job(services, who, body))


@operation("POST", "/api/v1/jobs/report", roles=PROVIDER, errors=("command-conflict", "overloaded", "outcome-unknown"))
async def report_job(services: Services, who: Principal, body: Report) -> ReportAnswer | Raw:
    """What was printed. Taken at any time, from any term, once per revision."""
    return Raw(await submit_job(services, who, body))


@operation(
    "POST",
    "/api/v1/jobs/{job_id}/release",
    roles=MONEY,
    errors=("command-conflict", "overloaded", "outcome-unknown"),
)
async def release_job(services: Services, who: Principal, job_id: Uuid, body: ReleaseJob) -> JobActionAnswer | Raw:
    """Let a held job print. A refusal is an answer with a `code`, not a problem."""
    return await _act(services, who, Release(command_id=body.command_id, job_id=job_id))


@operation(
    "POST", "/api/v1/jobs/{job_id}/cancel", roles=MONEY, errors=("command-conflict", "overloaded", "outcome-unknown")
)
async def cancel_job(services: Services, who: Principal, job_id: Uuid, body: CancelJob) -> JobActionAnswer | Raw:
    """Cancel a job that waits, or have its print server stop one that prints. A refusal is an answer with a `code`."""
    return await _act(services, who, Cancel(command_id=body.command_id, job_id=job_id, reason=body.reason))


@operation(
    "POST",
    "/api/v1/jobs/{job_id}/tick-off",
    roles=MONEY,
    errors=("command-conflict", "overloaded", "outcome-unknown"),
)
async def tick_off_job(services: Services, who: Principal, job_id: Uuid, body: TickOff) -> JobActionAnswer | Raw:
    """Somebody has looked at a job's charge: it leaves the list of those to look at, until there is a new reason."""
    return Raw(await give(services, who, Tick(command_id=body.command_id, job_id=job_id, comment=body.comment)))


@operation(
    "POST", "/api/v1/jobs/{job_id}/refund", roles=MONEY, errors=("command-conflict", "overloaded", "outcome-unknown")
)
async def refund_job(services: Services, who: Principal, job_id: Uuid, body: RefundJob) -> MoneyAnswer | Raw:
    """Give back what a job was charged: all that is left of it, an amount, or the part for some of its pages."""
    asked = Refund(
        command_id=body.command_id, job_id=job_id, amount=body.amount, pages=body.pages, comment=body.comment
    )
    return Raw(await give(services, who, asked))


async def give(services: Services, who: Principal, body: Body) -> bytes:
    """What the one door answers to somebody who does it by hand."""
    limits = Limits(each=who.limit_each, day=who.limit_day)
    return await services.intake.submit(body, actor=who.actor, role=who.role, limits=limits)


async def _act(services: Services, who: Principal, body: Release | Cancel) -> Raw:
    answer = await give(services, who, body)
    services.desk.note()
    return Raw(answer)


@operation("POST", "/api/v1/enroll", roles=None, errors=("enrolment-refused", "name-taken", "draining"))
async def enroll(services: Services, body: Enroll) -> EnrollAnswer:
    """Make the provider's own secret its access token, against a one-time enrolment token.

    The same token with the same secret gets the same answer again.
    """
    if services.refusing:
        raise ApiProblem("draining")
    provider_id, name = await services.database.write(enroll_provider, body)
    snapshot = services.agent.snapshot
    return EnrollAnswer(
        provider_id=provider_id, name=name, generation=snapshot.generation, members=snapshot.listed()
    )  # fmt: skip


@operation("POST", "/api/v1/heartbeat", roles=PROVIDER)
async def take_heartbeat(services: Services, who: Principal, body: Heartbeat) -> HeartbeatAnswer:
    """A provider lives; what it needs to go on alone comes back."""
    policies = await services.heartbeats.take(who, body)
    snapshot = services.agent.snapshot
    return HeartbeatAnswer(
        generation=snapshot.generation,
        members=snapshot.listed(),
        queues=policies,
        heartbeat_s=HEARTBEAT_S,
        ledger=services.ledger,
    )


@operation("POST", "/api/v1/queues", roles=ADMIN, errors=("not-found",))
async def change_queues(services: Services, who: Principal, body: SetQueues) -> QueueList:
    """Change many queues alike: all of them or, where one is not there, none. The changed ones come back."""
    await services.database.write(set_queues, body.queue_ids, body.change, actor=who.actor, role=who.role)
    wanted = set(body.queue_ids)
    changed = tuple(queue for queue in await services.picture.queues() if queue.queue_id in wanted)
    return QueueList(queues=changed, ledger=services.ledger)


@operation("POST", "/api/v1/cluster/actions", roles=ADMIN)
async def act_on_cluster(services: Services, who: Principal, body: ClusterAction) -> Plan:
    """Drain, undrain, switch over, pause, resume or remove: what it does and what speaks against it.

    With `dry_run` nothing is done; what is blocked is done with `force` only, and `done` tells.
    """
    agent = services.agent
    return await services.database.write(
        perform, body, who.actor, who.role, agent.snapshot.heartbeat_s, agent.drain_grace_s, agent.seen
    )


@operation("POST", "/api/v1/cluster/database/switchover", roles=ADMIN, errors=("outcome-unknown",))
async def switch_database_over(services: Services, who: Principal, body: DatabaseSwitchover) -> Plan:
    """Make a standby the database's primary, through Patroni. What is blocked, or a dry run, is only told."""
    try:
        return await switch_over(services.database, services.patroni, body.to, who.actor, dry_run=body.dry_run)
    except PatroniSilent as error:
        raise ApiProblem("outcome-unknown", str(error)) from error
    except PatroniError as error:
        raise ApiProblem("unavailable", str(error)) from error


@operation("POST", "/api/v1/queues/{queue_id}", roles=ADMIN, errors=("not-found",))
async def change_queue(services: Services, who: Principal, queue_id: QueueId, body: SetQueue) -> QueueList:
    """Set a queue's price, switch it off or on, let its jobs wait for a release, choose what it does while no server
    answers and what a run comes to that nobody can tell of."""
    await services.database.write(set_queue, queue_id, body, actor=who.actor, role=who.role)
    return QueueList(queues=await services.picture.queues(queue_id), ledger=services.ledger)
