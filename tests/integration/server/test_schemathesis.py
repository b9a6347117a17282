"""The API against its own document: what fits the document, and what does not, gets an answer that the document tells
of, and never a fault of the server's.

The same examples each time, so that a failure comes again; `make test-long` tries many more.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.access.model import ROLES
from backend.api.app import OPERATIONS, openapi_bytes
from backend.wire.access import Role
from tests.support.app_server import AppServer

ENDLESS = "/api/v1/events"  # goes on for ever when it is allowed
HARMFUL = {"/api/v1/cluster/actions", "/api/v1/cluster/database/switchover"}  # would stop what is asked
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SECRET = "the-provider-made-this-secret-before-it-asked"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(Path(tmp_path_factory.mktemp("server"))) as found:
        yield found


@pytest.fixture(scope="module")
def tokens(server: AppServer) -> dict[Role, str]:
    """A token of each role."""
    found = {role: server.command("token", "create", "--role", role, "--name", f"{role}-1") for role in ROLES}
    body = {"token": found["provider"], "secret": SECRET, "name": "print1"}
    assert httpx.post(f"{server.url}/api/v1/enroll", json=body).status_code == 200
    return found | {"provider": SECRET}


def explore(server: AppServer, tokens: dict[Role, str], mode: GenerationMode, examples: int) -> int:
    """Try each operation with so many examples; how many answers were looked at."""
    rules = {(operation.method, operation.path): operation.roles for operation in OPERATIONS}
    schema = schemathesis.openapi.from_dict(json.loads(openapi_bytes()))
    looked = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # an error has none, and so fails the test
        if operation.path == ENDLESS:
            continue
        allowed = rules[operation.method.upper(), operation.path]  # type: ignore[index]
        roles = sorted(allowed or ROLES) if operation.path not in HARMFUL else ["auditor"]
        role: Role = "admin" if "admin" in roles else roles[0]  # type: ignore[assignment]
        cases = operation.as_strategy(generation_mode=mode)
        looked += _try(server, cases, {"Authorization": f"Bearer {tokens[role]}"}, examples)
    return looked


def _try(server: AppServer, cases: SearchStrategy[Case[Any]], headers: dict[str, str], examples: int) -> int:
    """Ask with so many cases; how many were asked."""
    asked = 0

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case: Case[Any]) -> None:
        nonlocal asked
        response = case.call(base_url=server.url, headers=headers)
        case.validate_response(response, checks=CHECKS)
        asked += 1

    with contextlib.suppress(Unsatisfiable):  # what takes nothing cannot be given anything wrong
        ask()
    return asked


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_its_document_says(
    server: AppServer, tokens: dict[Role, str], mode: GenerationMode
) -> None:
    assert explore(server, tokens, mode, examples=3) > len(OPERATIONS) // 2


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_its_document_says_to_many(
    server: AppServer, tokens: dict[Role, str], mode: GenerationMode
) -> None:
    assert explore(server, tokens, mode, examples=100) > 50 * len(OPERATIONS)
