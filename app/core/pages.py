"""The console's pages: what they are called, and which role may see which. Pure.

A page that a role may not see is not shown to it at all; the server refuses it in any case.
"""

from dataclasses import dataclass
from typing import Final, Literal

from backend.wire.access import Role

Page = Literal[
    "live", "people", "print_log", "history", "queues", "users", "operators", "tokens", "audit", "settings"
]  # fmt: skip

EVERYBODY: Final[frozenset[Role]] = frozenset({"admin", "helpdesk", "auditor", "metrics", "provider"})
ADMIN: Final[frozenset[Role]] = frozenset({"admin"})


@dataclass(frozen=True, slots=True)
class PageSpec:
    """`title` heads the page, `short` stands in the rail below its picture; `group` is where in the rail."""

    title: str
    short: str
    roles: frozenset[Role] = EVERYBODY
    group: Literal["day", "house"] = "day"


PAGES: Final[dict[Page, PageSpec]] = {
    "live": PageSpec("Live view", "Live"),
    "people": PageSpec("People", "People"),
    "print_log": PageSpec("Print log", "Print log"),
    "history": PageSpec("History", "History"),
    "queues": PageSpec("Queues", "Queues", ADMIN, "house"),
    "users": PageSpec("Users", "Users", ADMIN, "house"),
    "operators": PageSpec("Operators", "Operators", ADMIN, "house"),
    "tokens": PageSpec("Access tokens", "Tokens", ADMIN, "house"),
    "audit": PageSpec("Audit log", "Audit", ADMIN | {"auditor"}, "house"),
    "settings": PageSpec("Settings", "Settings", ADMIN, "house"),
}


def shown_to(role: Role | None) -> tuple[Page, ...]:
    """The pages of a role, in their order; while it is not known those that everybody has."""
    return tuple(page for page, spec in PAGES.items() if spec.roles == EVERYBODY or role in spec.roles)
