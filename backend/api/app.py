"""The application object: routes, problems, frame. Made from `Services`; no globals."""

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from backend.api import access, commands, openapi, people, probes, views
from backend.api.frame import Frame
from backend.api.operation import Operation, route
from backend.api.problems import http_exception, unexpected
from backend.api.services import Services

HOT: Final[tuple[Operation, ...]] = (commands.authorise_job, commands.report_job)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *HOT,
    commands.release_job,
    commands.cancel_job,
    commands.enroll,
    commands.take_heartbeat,
    commands.tick_off_job,
    commands.refund_job,
    commands.change_queue,
    commands.change_queues,
    commands.act_on_cluster,
    commands.switch_database_over,
    access.log_in,
    access.log_out,
    access.show_me,
    access.change_password,
    access.list_operators,
    access.create_operator,
    access.change_operator,
    access.show_tokens,
    access.make_token,
    access.end_token,
    access.show_settings,
    access.change_setting,
    access.list_audit,
    people.import_users,  # before the user of any name
    people.make_user,
    people.change_user,
    people.rename_user_account,
    people.delete_user_account,
    people.configure_account,
    people.adjust_balance,
    people.set_balance,
    people.reverse_transfer,
    views.list_members,
    views.get_topology,
    views.list_cluster_events,
    views.list_users,
    views.show_user,
    views.list_user_transfers,
    views.list_user_jobs,
    views.list_jobs,
    views.list_decisions,  # before the job of any id
    views.show_job,
    views.list_queues,
    views.list_rules,
    views.list_transfers,
    views.stream_events,
    probes.live,
    probes.ready,
    probes.leader,
    probes.openapi_document,
)


def openapi_bytes() -> bytes:
    """The OpenAPI document of this version."""
    return openapi.encoded(OPERATIONS)


def build_app(services: Services, more: Sequence[BaseRoute] = ()) -> ASGIApp:
    """The server's application; `more` are routes of other interfaces, with rules of their own."""
    starlette = Starlette(
        routes=[*(route(operation, services) for operation in OPERATIONS), *more],
        exception_handlers={HTTPException: http_exception, Exception: unexpected},
    )
    starlette.router.redirect_slashes = False
    return Frame(starlette, HOT, services, lambda: services.agent.snapshot.generation)
