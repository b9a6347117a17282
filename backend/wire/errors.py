"""Stable error codes that cross the wire.

A code is what programs test, a title is what people read. Expected refusals (an empty account, a disabled printer)
travel as *values* inside an answer with one of the `REFUSALS`; everything else is an RFC 9457 problem with one of
the `PROBLEMS`. A code is never renamed; docs/COMPATIBILITY.md lists them and a test keeps the two in step.
"""

from typing import Final

import msgspec

REFUSALS: Final[dict[str, str]] = {
    "account-limit-reached": "The account does not cover this job",
    "printer-disabled": "Printing on this queue is switched off",
    "user-disabled": "Printing is switched off for this user",
    "user-unknown": "There is no user of that name",
    "account-unknown": "There is no such account",
    "superseded": "A newer command for this job has already been taken",
    "job-unknown": "There is no such job",
    "job-not-held": "This job is not held",
    "held-for-release": "This job waits to be released",
    "canceled-by-operator": "This job was canceled by the help desk",
    "hold-expired": "This job was not released in time",
    "amount-invalid": "That amount is not valid here",
    "adjustment-limit-reached": "That is more than you may move at once",
    "daily-limit-reached": "That would be more than you may move in a day",
    "refund-exceeds-charge": "That is more than is left of what this job was charged",
    "transfer-unknown": "There is no such transfer",
    "not-reversible": "A transfer of this kind cannot be undone",
    "already-reversed": "This transfer has been undone already",
}

PROBLEMS: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "The request body cannot be read"),
    "version-unsupported": (400, "This message version is not understood"),
    "unauthenticated": (401, "A valid access token is needed"),
    "login-refused": (401, "Name or password is wrong"),
    "forbidden": (403, "This token's role does not allow that"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "That method is not offered here"),
    "command-conflict": (409, "This command id was used with other content"),
    "enrolment-refused": (409, "This enrolment token is not valid or was used with another secret"),
    "name-taken": (409, "That name is in use"),
    "too-large": (413, "The request body is too large"),
    "unsupported-media-type": (415, "Send application/json"),
    "invalid": (422, "The request does not fit the contract"),
    "login-delayed": (429, "Too many log-ins failed; wait a moment"),
    "internal": (500, "Something went wrong in the server"),
    "unavailable": (503, "This server cannot serve now; ask another one"),
    "outcome-unknown": (503, "The outcome is not known; ask again with the same command id"),
    "overloaded": (503, "Too much is waiting here; ask another server"),
    "draining": (503, "This server is being drained; ask another one"),
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details. `code` is one of `PROBLEMS`; `type` is `urn:inkeeper:problem:CODE`."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


def problem(code: str, detail: str = "") -> Problem:
    """The problem for a code; raises KeyError for a code that is not in the contract."""
    status, title = PROBLEMS[code]
    return Problem(type=f"urn:inkeeper:problem:{code}", title=title, status=status, code=code, detail=detail)
