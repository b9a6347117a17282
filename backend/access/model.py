"""Who may do what: roles, and the person or program behind a token. Pure."""

from typing import Final, get_args

import msgspec

from backend.wire.access import Role

ROLES: Final[tuple[Role, ...]] = get_args(Role)

VIEWERS: Final[frozenset[Role]] = frozenset({"admin", "helpdesk", "auditor"})
MONEY: Final[frozenset[Role]] = frozenset({"admin", "helpdesk"})
ADMIN: Final[frozenset[Role]] = frozenset({"admin"})
AUDITORS: Final[frozenset[Role]] = frozenset({"admin", "auditor"})
METRICS: Final[frozenset[Role]] = frozenset({"metrics", "admin", "auditor"})
PROVIDER: Final[frozenset[Role]] = frozenset({"provider"})
ANYBODY: Final[frozenset[Role]] = frozenset(ROLES)


class Principal(msgspec.Struct, frozen=True):
    """Who holds a token. `provider_id` is 0 for everybody but providers; `expires_at` 0 means never. `person`: somebody
    logged in. `limit_each` and `limit_day` bound what they move at once and in a day, 0: nothing does."""

    role: Role
    name: str
    provider_id: int = 0
    expires_at: int = 0
    full_name: str = ""
    person: bool = False
    limit_each: int = 0
    limit_day: int = 0

    @property
    def actor(self) -> str:
        """How the ledger and the audit log name them."""
        return f"{self.role}:{self.name}"
