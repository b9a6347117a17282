"""Every route and every role: what the table of operations says is what happens."""

from typing import Any

import pytest

from backend.access.model import ROLES
from backend.api.app import OPERATIONS
from backend.api.operation import Operation
from backend.base.ids import uuid7
from tests.support.api import Api, scene

GUARDED = [operation for operation in OPERATIONS if operation.roles is not None]


def asked(operation: Operation) -> tuple[str, Any]:
    """A path and body that get past the door; what they do behind it is no matter here."""
    path = operation.path.replace("{job_id}", uuid7()).replace("{name}", "nobody").replace("{queue_id}", "1")
    return path, b"{}" if operation.method == "POST" else None


def test_every_role_may_do_exactly_what_the_table_says(url: str) -> None:
    async def play(server: Api) -> None:
        for operation in GUARDED:
            if operation.name == "stream_events":
                continue  # goes on for ever when it is allowed: test_events
            path, body = asked(operation)
            for role in ROLES:
                response = await server.send(operation.method, path, body, role=role)
                allowed = operation.roles is not None and role in operation.roles
                assert (response.status_code == 403) is not allowed, (operation.name, role, response.text)
                assert response.status_code != 500

    scene(url, play)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer ik_unknown", f"Bearer {'x' * 600}"])
def test_nobody_gets_in_without_a_valid_token(url: str, header: str) -> None:
    async def play(server: Api) -> None:
        for operation in GUARDED:
            path, body = asked(operation)
            headers = {"Authorization": header} if header else {}
            if body is not None:
                headers["Content-Type"] = "application/json"
            response = await server.http.request(operation.method, path, content=body, headers=headers)
            assert response.status_code == 401, operation.name
            assert response.headers["www-authenticate"] == "Bearer"

    scene(url, play)
