"""Probes for load balancers, cluster services and people: no token, nothing told but the state."""

import asyncio

import msgspec

from backend.api.operation import Raw, operation
from backend.api.problems import ApiProblem
from backend.api.services import Services

READY_WITHIN_S = 1.0


class Probe(msgspec.Struct, frozen=True):
    """`status` is "ok"; `detail` says more for people."""

    status: str
    detail: str = ""


@operation("GET", "/health/live", roles=None)
async def live(services: Services) -> Probe:
    """The process runs and its event loop turns."""
    await asyncio.sleep(0)
    return Probe(status="ok")


@operation("GET", "/health/ready", roles=None, errors=("draining",))
async def ready(services: Services) -> Probe:
    """This server can serve: its database answers within a second, commands are taken, it is not being drained."""
    if services.leaving:
        raise ApiProblem("draining")
    if not await services.database.answers(READY_WITHIN_S):
        raise ApiProblem("unavailable", "the database does not answer")
    if not services.intake.ready:
        raise ApiProblem("unavailable", "commands are not taken yet")
    return Probe(status="ok")


@operation("GET", "/health/leader", roles=None)
async def leader(services: Services) -> Probe:
    """200 on the server that leads the cluster, 503 on the others."""
    if not services.agent.leads:
        raise ApiProblem("unavailable", "this server does not lead")
    return Probe(status="ok", detail=f"term {services.agent.term}")


@operation("GET", "/api/v1/openapi.json", roles=None)
async def openapi_document(services: Services) -> Raw:
    """This document."""
    return Raw(services.openapi)
