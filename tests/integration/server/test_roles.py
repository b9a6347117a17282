"""Every route and every role: what the table of operations says is what happens."""

from typing import Any

import pytest

from backend.access.model import ROLES
from backend.api.app import OPERATIONS
from backend.api.operation import Operation
from backend.base.ids import uuid7
from backend.wire.access import AuditList
from tests.support.api import Api, scene

GUARDED = [operation for operation in OPERATIONS if operation.roles is not None]


def asked(operation: Operation) -> tuple[str, Any]:
    """A path and body that get past the door; what they do behind it is no matter here."""
    path = (
        operation.path.replace("{job_id}", uuid7())
        .replace("{name}", "nobody")
        .replace("{queue_id}", "1")
        .replace("{sequence}", "1")
        .replace("{token_id}", "0" * 16)
    )
    return path, b"{}" if operation.method == "POST" else None


def test_every_role_may_do_exactly_what_the_table_says_and_what_was_refused_is_noted(url: str) -> None:
    async def play(server: Api) -> None:
        expected: set[tuple[str, str]] = set()
        for operation in GUARDED:
            if operation.name == "stream_events":
                continue  # goes on for ever when it is allowed: test_events
            path, body = asked(operation)
            for role in ROLES:
                response = await server.send(operation.method, path, body, role=role)
                allowed = operation.roles is not None and role in operation.roles
                refused = response.status_code == 403 and "may not do that" in response.text
                assert refused is not allowed, (operation.name, role, response.text)
                assert response.status_code != 500
                if refused:
                    expected.add((role, operation.name))
        await server.services.looks.write()
        noted: set[tuple[str, str]] = set()
        before = 0
        while page := (
            await server.ask("GET", f"/api/v1/audit?action=refused&limit=500&before={before}", AuditList)
        ).entries:
            noted |= {(entry.role, entry.subject) for entry in page}
            before = page[-1].audit_id
        assert noted == expected

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
