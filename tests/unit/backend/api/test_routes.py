"""The table of operations: each has a rule, the document tells all of them, and the committed copy is up to date."""

import json
from pathlib import Path

from starlette.routing import Route

from backend.access.model import ROLES
from backend.api.app import HOT, OPERATIONS, build_app, openapi_bytes
from backend.api.frame import Frame
from backend.api.operation import Endpoint
from backend.db.engine import Database
from backend.main import ServerSettings, make_services
from backend.wire.errors import PROBLEMS

REPOSITORY = Path(__file__).parents[4]
OPEN_TO_EVERYBODY = {
    "/api/v1/enroll",
    "/api/v1/login",
    "/api/v1/openapi.json",
    "/health/live",
    "/health/ready",
    "/health/leader",
}


def routes(tmp_path: Path) -> list[Route]:
    app = build_app(make_services(ServerSettings(), Database(f"sqlite:///{tmp_path / 'x.db'}")))
    assert isinstance(app, Frame)
    return [route for route in app.starlette.routes if isinstance(route, Route)]


def test_there_is_no_route_without_a_rule(tmp_path: Path) -> None:
    found = routes(tmp_path)
    assert len(found) == len(OPERATIONS)
    for route in found:
        assert isinstance(route.endpoint, Endpoint)
        roles = route.endpoint.operation.roles
        if roles is None:
            assert route.path in OPEN_TO_EVERYBODY
        else:
            assert roles
            assert roles <= set(ROLES)


def test_what_is_open_is_named_one_by_one() -> None:
    assert {operation.path for operation in OPERATIONS if operation.roles is None} == OPEN_TO_EVERYBODY


def test_the_hot_routes_are_operations_like_all_others() -> None:
    assert all(operation in OPERATIONS for operation in HOT)
    assert {operation.roles for operation in HOT} == {frozenset({"provider"})}


def test_names_and_errors_are_of_the_contract() -> None:
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        assert operation.summary
        assert set(operation.errors) <= set(PROBLEMS)


def test_the_committed_openapi_document_is_up_to_date() -> None:
    """When this fails: `python -m backend.api.openapi > docs/openapi.json`, and read the difference as a client
    would."""
    assert (REPOSITORY / "docs/openapi.json").read_bytes() == openapi_bytes()


def test_the_document_tells_every_operation_and_refers_to_nothing_missing() -> None:
    document = json.loads(openapi_bytes())
    assert document["openapi"].startswith("3.1")
    told = {(method.upper(), path) for path, entry in document["paths"].items() for method in entry}
    assert told == {(operation.method, operation.path) for operation in OPERATIONS}
    text = json.dumps(document)
    for name in {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"], name
