"""Errors on the wire: RFC 9457 problem details, one table from exception to code.

Invariant: a client never sees an exception's text that was not written for people; what is not expected is one opaque
`internal`, and the log has the rest.
"""

from collections.abc import Sequence

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from backend.access.errors import (
    EnrolmentRefused,
    LastAdministrator,
    OperatorNameTaken,
    OperatorUnknown,
    PasswordTooShort,
    TokenNameTaken,
    TokenUnknown,
)
from backend.access.passwords import TooBusy
from backend.access.settings import SettingInvalid
from backend.cluster.events import TooManySubscribers
from backend.db.errors import DatabaseAway, DatabaseRefused, WriteConflict
from backend.intake.errors import IntakeError
from backend.people.errors import AliasTaken, CardTaken, NameTaken, UserBusy, UserUnknown
from backend.printers.errors import QueueUnknown
from backend.wire.errors import Problem, problem

MEDIA_TYPE = "application/problem+json"
Headers = Sequence[tuple[bytes, bytes]]

_STATUS_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}
_WRITTEN_FOR_PEOPLE: tuple[tuple[type[Exception], str], ...] = (
    (DatabaseAway, "unavailable"),
    (DatabaseRefused, "unavailable"),
    (WriteConflict, "name-taken"),
    (EnrolmentRefused, "enrolment-refused"),
    (OperatorUnknown, "not-found"),
    (OperatorNameTaken, "name-taken"),
    (TokenNameTaken, "name-taken"),
    (TokenUnknown, "not-found"),
    (LastAdministrator, "invalid"),
    (PasswordTooShort, "invalid"),
    (TooBusy, "overloaded"),
    (SettingInvalid, "invalid"),
    (NameTaken, "name-taken"),
    (CardTaken, "name-taken"),
    (AliasTaken, "name-taken"),
    (UserBusy, "invalid"),
    (UserUnknown, "not-found"),
    (QueueUnknown, "not-found"),
    (TooManySubscribers, "overloaded"),
)


class ApiProblem(Exception):
    """Raised by an operation to answer with this problem."""

    def __init__(self, code: str, detail: str = "", retry_s: int = 0) -> None:
        super().__init__(f"{code}: {detail}")
        self.problem = problem(code, detail)
        self.retry_s = retry_s


def expected(error: Exception) -> Problem | None:
    """The problem that an exception stands for, None for one that nobody expected."""
    if isinstance(error, ApiProblem):
        return error.problem
    if isinstance(error, IntakeError):
        return problem(error.code, str(error) if error.code != "internal" else "")
    for kind, code in _WRITTEN_FOR_PEOPLE:
        if isinstance(error, kind):
            return problem(code, "" if kind is WriteConflict else str(error))
    return None


def extra_headers(found: Problem) -> list[tuple[bytes, bytes]]:
    """What HTTP wants beside the problem."""
    if found.status == 401:
        return [(b"www-authenticate", b"Bearer")]
    return [(b"retry-after", b"1")] if found.status == 503 else []


def http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, method not offered) as problems, with their headers (Allow)."""
    if not isinstance(error, HTTPException):
        return unexpected(request, error)
    code = _STATUS_CODES.get(error.status_code, "internal" if error.status_code >= 500 else "malformed")
    found = problem(code)
    return Response(msgspec.json.encode(found), found.status, dict(error.headers or {}), MEDIA_TYPE)


def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours. It is logged where it is caught last, by `frame.Frame`."""
    found = problem("internal")
    return Response(msgspec.json.encode(found), found.status, media_type=MEDIA_TYPE)


async def send_problem(send: Send, found: Problem, retry_s: int = 0) -> None:
    """The same for plain ASGI callables; `retry_s`: when to try again."""
    headers = extra_headers(found)
    if retry_s:
        headers.append((b"retry-after", b"%d" % retry_s))
    await send_json(send, found.status, msgspec.json.encode(found), headers, MEDIA_TYPE.encode())


async def send_json(
    send: Send, status: int, content: bytes, headers: Headers = (), media_type: bytes = b"application/json"
) -> None:
    """One answer in two ASGI messages."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", b"%d" % len(content)),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
