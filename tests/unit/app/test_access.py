"""Who may log in, tokens, the audit log, settings and users, in words."""

import asyncio

import pytest

from app.core.access import (
    MEANINGS,
    as_typed,
    duration_words,
    limit_words,
    operator_lines,
    setting_line,
    to_store,
    token_line,
    value_words,
)
from app.core.audit import audit_line
from app.core.costs import AmountError
from app.core.pages import PAGES, shown_to
from app.core.queries import read_rights
from app.core.users import Import, standing, summary, touched, troubles_csv, until_ms
from backend.access.settings import KNOWN
from backend.wire.access import AuditEntry, Caller, OperatorList, OperatorView, Role, SettingView, TokenView
from backend.wire.cluster import Plan
from backend.wire.people import ImportTrouble, UserDetails, UserView
from tests.support.console_world import LEDGER, NOW_MS

ANNA = OperatorView(
    name="anna", full_name="Anna Berg", role="helpdesk", disabled=False, limit_each=-1, limit_day=0, created_at=NOW_MS
)


@pytest.mark.parametrize(
    ("role", "pages"),
    [
        ("admin", tuple(PAGES)),
        ("auditor", ("live", "people", "print_log", "history", "audit")),
        ("helpdesk", ("live", "people", "print_log", "history")),
        (None, ("live", "people", "print_log", "history")),
    ],
)
def test_each_role_sees_its_pages(role: Role | None, pages: tuple[str, ...]) -> None:
    assert shown_to(role) == pages


def test_every_setting_that_the_server_knows_has_a_meaning() -> None:
    assert set(MEANINGS) == set(KNOWN)


def test_limits_say_where_they_come_from() -> None:
    words = [
        limit_words(limit, default, LEDGER) for limit, default in ((-1, 0), (-1, 50_000), (0, 50_000), (20_000, 0))
    ]
    assert words == ["no limit, default", "5.00 EUR, default", "no limit", "2.00 EUR"]
    found = OperatorList(operators=(ANNA,), default_limit_each=100_000, default_limit_day=0, ledger=LEDGER)
    (line,) = operator_lines(found, NOW_MS)
    assert [cell.text for cell in line.cells[2:7]] == ["Help desk", "yes", "10.00 EUR, default", "no limit", "never"]


def test_a_token_that_ended_is_not_valid() -> None:
    view = TokenView(token_id="1", role="helpdesk", name="kiosk", person=False, created_at=NOW_MS)
    ends = {"expires_at": NOW_MS - 1}, {"revoked_at": NOW_MS}, {"expires_at": NOW_MS + 1}
    changed = [TokenView(**{**{name: getattr(view, name) for name in view.__struct_fields__}, **end}) for end in ends]
    words = [token_line(token, NOW_MS).cells[0].text for token in (view, *changed)]
    assert words == ["Valid", "Expired", "Revoked", "Valid"]


def test_a_refusal_in_the_audit_log_stands_out() -> None:
    entry = AuditEntry(audit_id=7, at=NOW_MS, actor="helpdesk:anna", role="helpdesk", action="refused", subject="x")
    who, what = audit_line(entry, NOW_MS, LEDGER).cells[1], audit_line(entry, NOW_MS, LEDGER).cells[3]
    assert (who.text, what.text, what.tone) == ("anna", "Refused", "warning")
    local = AuditEntry(audit_id=8, at=NOW_MS, actor="command line:0", role="admin", action="token-created", subject="x")
    assert audit_line(local, NOW_MS, LEDGER).cells[1].text == "command line:0"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("helpdesk.limit-per-day", "0", "no limit"),
        ("users.initial-credit", "12500", "1.25 EUR"),
        ("jobs.held-timeout-s", "0", "for ever"),
        ("jobs.held-timeout-s", "5400", "90 minutes"),
        ("users.default-restricted", "true", "yes"),
        ("a-newer-servers", "x", "x"),
    ],
)
def test_values_in_words(key: str, value: str, words: str) -> None:
    view = SettingView(key=key, value=value, default=value)
    assert value_words(view, value, LEDGER) == words
    assert setting_line(view, LEDGER).cells[1].text == words


def test_secrets_are_never_shown_and_amounts_are_typed_in_decimals() -> None:
    secret = SettingView(key="health.api.key", value="set", default="", secret=True)
    assert (value_words(secret, "set", LEDGER), as_typed(secret, LEDGER)) == ("is set", "")
    assert as_typed(SettingView(key="users.initial-credit", value="15000", default="0"), LEDGER) == "1.50"
    assert to_store("users.initial-credit", "1,5", LEDGER) == "15000"
    with pytest.raises(AmountError):
        to_store("users.initial-credit", "-1", LEDGER)
    assert to_store("jobs.held-timeout-s", " 60 ", LEDGER) == "60"
    assert duration_words(1) == "1 second"


def test_a_users_standing_and_what_was_touched() -> None:
    user = UserView(name="mira", full_name="Mira", restricted=True, available=0, email="m@x")
    assert standing(user, NOW_MS) == ("No credit left", "warning")
    off = UserView(name="mira", disabled_until=NOW_MS + 86_400_000)
    assert standing(off, NOW_MS)[0].startswith("Off until 2026-")
    assert touched(user, {"full_name": "Mira ", "email": "new@x"}) == UserDetails(email="new@x")
    assert until_ms("1970-01-02") == 86_400_000
    assert until_ms(" ") == 0
    with pytest.raises(ValueError, match="soon"):
        until_ms("soon")


def test_what_came_of_an_import() -> None:
    told = Import(total=4, done=4, created=2, troubles=[ImportTrouble(row=3, name="=x", text="no")])
    assert summary(told, True) == ("warning", "2 would be created, 0 would be changed, 0 unchanged, 1 refused.")
    assert summary(Import(total=9, done=5, updated=5, stopped=True), False) == (
        "warning",
        "Stopped after 5 of 9 rows: 0 created, 5 changed, 0 unchanged.",
    )
    assert troubles_csv(told.troubles) == "line,name,why\r\n3,'=x,no\r\n"


class Asked:
    """A server that tells a role and notes what it was asked."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.paths: list[str] = []

    async def call(self, method: str, path: str, *_: object, **__: object) -> Caller | Plan:
        self.paths.append(f"{method} {path}")
        return Caller(role=self.role, name="x") if path == "me" else Plan(action="resume", subject="")


@pytest.mark.parametrize(("role", "asks"), [("helpdesk", 1), ("auditor", 1), ("admin", 2)])
def test_nobody_is_refused_only_for_being_asked_what_they_may(role: Role, asks: int) -> None:
    """A refusal is written down; the console must not make some by itself."""
    client = Asked(role)
    rights = asyncio.run(read_rights(client))  # type: ignore[arg-type]
    assert rights is not None
    assert (len(client.paths), rights.allowed) == (asks, role == "admin")
