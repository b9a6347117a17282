"""People log in: names and passwords, tokens that end, who may do what, what is noted of it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from backend.access import attempts, operators, service, tables
from backend.access.attempts import Attempts, Tally, wait_ms
from backend.access.errors import AccessError
from backend.access.passwords import Passwords, hash_secret
from backend.base.ids import uuid7
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.wire.access import (
    AuditList,
    Caller,
    ChangePassword,
    CreateOperator,
    CreateToken,
    LogIn,
    LogInAnswer,
    OperatorList,
    SetOperator,
    SetSetting,
    SettingList,
    TokenCreated,
    TokenList,
)
from backend.wire.money import Adjust, MoneyAnswer
from backend.wire.people import CreateUser, UserDetails, UserList
from tests.support.api import Api, eventually, scene

NOW = 1_795_000_000_000
PASSWORD = "correct horse battery"


async def hire(server: Api, name: str = "maria", role: str = "helpdesk", **more: int) -> LogInAnswer:
    """Somebody who may log in, logged in."""
    body = CreateOperator(name=name, full_name="Maria Berg", role=role, password=PASSWORD, **more)  # type: ignore[arg-type]
    await server.ask("POST", "/api/v1/operators", OperatorList, body)
    return await log_in(server, name)


async def log_in(server: Api, name: str = "maria", password: str = PASSWORD) -> LogInAnswer:
    return await server.ask("POST", "/api/v1/login", LogInAnswer, LogIn(name=name, password=password), role="provider")


def wrong(name: str = "maria") -> LogIn:
    return LogIn(name=name, password="wrong horse battery")


async def audited(server: Api, action: str) -> list[tuple[str, str]]:
    await server.services.looks.write()
    found = await server.ask("GET", f"/api/v1/audit?action={action}", AuditList)
    return [(entry.actor, entry.subject) for entry in found.entries]


def test_somebody_logs_in_works_under_their_name_and_logs_out(url: str) -> None:
    async def play(server: Api) -> None:
        answer = await hire(server)
        me = await server.ask("GET", "/api/v1/me", Caller, token=answer.token)
        assert (me.name, me.role, me.person, me.full_name) == ("maria", "helpdesk", True, "Maria Berg")
        assert me.expires_at == answer.expires_at > 0
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="anna"))
        body = Adjust(command_id=uuid7(), user_name="anna", amount=500)
        await server.ask("POST", "/api/v1/users/anna/adjust", MoneyAnswer, body, token=answer.token)
        assert ("helpdesk:maria", "anna") in await audited(server, "balance-adjusted")
        assert ("helpdesk:maria", "maria") in await audited(server, "logged-in")
        await server.ask("POST", "/api/v1/logout", Caller, token=answer.token)
        assert (await server.send("GET", "/api/v1/me", token=answer.token)).status_code == 401

    scene(url, play)


def test_wrong_names_and_passwords_are_refused_alike(url: str) -> None:
    async def play(server: Api) -> None:
        await hire(server)
        for body in (wrong(), wrong("nobody"), LogIn(name="helpdesk-1", password=PASSWORD)):
            refused = await server.refused("POST", "/api/v1/login", body, role=None)
            assert (refused.code, refused.detail) == ("login-refused", "")
        short = CreateOperator(name="jo", role="auditor", password="short")
        assert (await server.refused("POST", "/api/v1/operators", short)).code == "invalid"

    scene(url, play)


def test_guessing_is_slowed_down_and_nobody_is_locked_out(url: str) -> None:
    async def play(server: Api) -> None:
        await hire(server)  # from this address
        await hire(server, "jo")
        codes = [(await server.refused("POST", "/api/v1/login", wrong("root"), role=None)).code for _ in range(7)]
        assert codes[:5] == ["login-refused"] * 5
        assert codes[5] == "login-delayed"
        refused = await server.send("POST", "/api/v1/login", wrong("root"), role=None)
        assert int(refused.headers["retry-after"]) >= 1
        await log_in(server)  # a colleague behind the same address
        together = [server.send("POST", "/api/v1/login", wrong("jo"), role=None) for _ in range(12)]
        statuses = [response.status_code for response in await asyncio.gather(*together)]
        assert statuses.count(401) == 5
        assert statuses.count(429) == 7

    scene(url, play)


@pytest.mark.parametrize(
    ("found", "waits"),
    [
        (Attempts(), False),
        (Attempts(address=Tally(attempts.FREE - 1, NOW)), False),
        (Attempts(address=Tally(attempts.FREE, NOW)), True),
        (Attempts(account=Tally(attempts.FREE_ACCOUNT, NOW)), True),
        (Attempts(account=Tally(99, NOW), address=Tally(99, NOW), succeeded_at=NOW - 1000), False),
        (Attempts(pair=Tally(attempts.FREE, NOW), succeeded_at=NOW - 1000), True),
        (Attempts(address=Tally(99, NOW - attempts.WINDOW_MS)), False),
        (Attempts(address=Tally(99, NOW + attempts.AHEAD_MS)), True),
        (Attempts(address=Tally(99, NOW + attempts.AHEAD_MS + 1)), False),
        (Attempts(account=Tally(99, NOW + 3_600_000), pair=Tally(99, NOW + 3_600_000), succeeded_at=1), False),
    ],
)
def test_how_long_an_attempt_must_wait(found: Attempts, waits: bool) -> None:
    assert (wait_ms(found, NOW) > 0) is waits
    assert wait_ms(found, NOW) <= attempts.LONGEST_MS + attempts.AHEAD_MS


def test_a_clock_that_is_set_back_locks_nobody_out(url: str) -> None:
    """Failures that lie in the future count neither in the sums nor for the pair."""

    async def play(server: Api) -> None:
        await hire(server)
        for _ in range(5):
            assert (await server.refused("POST", "/api/v1/login", wrong(), role=None)).code == "login-refused"
        assert (await server.refused("POST", "/api/v1/login", wrong(), role=None)).code == "login-delayed"
        later = sa.update(tables.login_attempt).values(failed_at=tables.login_attempt.c.failed_at + 3_600_000)
        with server.services.database.connect(writing=True) as conn:
            conn.execute(later)
        await log_in(server)
        with server.services.database.connect(writing=True) as conn:
            conn.execute(later.values(failures=99, succeeded_at=0))
        codes = [(await server.refused("POST", "/api/v1/login", wrong("root"), role=None)).code for _ in range(6)]
        assert codes == ["login-refused"] * 5 + ["login-delayed"], "counted from one again"

    scene(url, play)


class SetMeanwhile(Passwords):
    """The same password is set anew, so many times, each time it was found right."""

    def __init__(self, database: Database, times: int) -> None:
        super().__init__()
        self.database = database
        self.times = times

    async def check(self, secret: str, kept: str) -> bool:
        right = await super().check(secret, kept)
        if right and self.times:
            self.times -= 1
            with self.database.connect(writing=True) as conn:
                conn.execute(sa.update(tables.operator).values(password_hash=hash_secret(secret)))
        return right


def test_a_password_that_is_set_again_while_it_is_checked_is_not_called_wrong(url: str) -> None:
    """An administrator whose answer was lost sets the same one once more."""

    async def play(server: Api) -> None:
        token = (await hire(server)).token
        change = ChangePassword(old=PASSWORD, new="another password")
        server.services.passwords = SetMeanwhile(server.services.database, 1)
        await log_in(server)
        server.services.passwords = SetMeanwhile(server.services.database, 99)
        assert (await server.send("POST", "/api/v1/me/password", change, token=token)).status_code == 401
        server.services.passwords = SetMeanwhile(server.services.database, 1)
        await server.ask("POST", "/api/v1/me/password", Caller, change, token=token)
        await log_in(server, password="another password")

    scene(url, play)


def test_whoever_is_disabled_or_gets_another_role_or_password_is_logged_out(url: str) -> None:
    async def play(server: Api) -> None:
        for change in (
            SetOperator(disabled=True),
            SetOperator(disabled=False, role="auditor", password=PASSWORD + "2"),
        ):
            name = f"m{change.role or ''}"
            token = (await hire(server, name)).token
            await server.ask("GET", "/api/v1/me", Caller, token=token)
            await server.ask("POST", f"/api/v1/operators/{name}", OperatorList, change)

            async def out(token: str = token) -> bool:
                return (await server.send("GET", "/api/v1/me", token=token)).status_code == 401

            await eventually(out)
        renamed = await log_in(server, "mauditor", PASSWORD + "2")
        assert renamed.role == "auditor"

    scene(url, play)


def test_somebody_changes_their_own_password_and_stays_logged_in_here_only(url: str) -> None:
    async def play(server: Api) -> None:
        here = (await hire(server)).token
        there = (await log_in(server)).token
        change = ChangePassword(old=PASSWORD, new="another horse")
        bad = await server.send(
            "POST", "/api/v1/me/password", ChangePassword(old="no", new="another horse"), token=here
        )
        assert bad.status_code == 401
        await server.ask("POST", "/api/v1/me/password", Caller, change, token=here)
        await server.ask("GET", "/api/v1/me", Caller, token=here)

        async def out() -> bool:
            return (await server.send("GET", "/api/v1/me", token=there)).status_code == 401

        await eventually(out)
        await log_in(server, password="another horse")
        program = await server.send("POST", "/api/v1/me/password", change, role="helpdesk")
        assert program.status_code == 403

    scene(url, play)


def test_a_name_is_one_persons_or_one_programs(url: str) -> None:
    async def play(server: Api) -> None:
        await hire(server)
        again = CreateOperator(name="MARIA", role="admin", password=PASSWORD)
        program = CreateOperator(name="helpdesk-1", role="helpdesk", password=PASSWORD)
        token = CreateToken(role="helpdesk", name="Maria")
        for path, body in (("operators", again), ("operators", program), ("tokens", token)):
            assert (await server.refused("POST", f"/api/v1/{path}", body)).code == "name-taken"

    scene(url, play)


def test_two_servers_give_one_name_to_a_person_and_a_program_at_once_and_one_of_them_gets_it(url: str) -> None:
    databases = [Database(url), Database(url)]
    migrate(databases[0])

    def person(conn: sa.Connection, name: str) -> None:
        body = CreateOperator(name=name, role="auditor", password=PASSWORD)
        operators.create_operator(conn, body, "hash", actor="test", role="admin")

    def program(conn: sa.Connection, name: str) -> None:
        service.create_token(conn, "auditor", name.upper(), "test")

    def attempt(number: int, name: str, start: threading.Barrier) -> bool:
        start.wait(20)
        try:
            with databases[number].connect(writing=True) as conn:
                (person, program)[number](conn, name)
        except AccessError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for round_ in range(10):
            start = threading.Barrier(2)
            asked = [threads.submit(attempt, number, f"name{round_}", start) for number in (0, 1)]
            assert sorted(one.result() for one in asked) == [False, True]
    for database in databases:
        database.close()


def test_somebody_who_may_administer_is_always_left(url: str) -> None:
    async def play(server: Api) -> None:
        await hire(server, "root", "admin")
        for change in (SetOperator(disabled=True), SetOperator(role="auditor")):
            refused = await server.refused("POST", "/api/v1/operators/root", change)
            assert refused.code == "invalid"
            assert "last one who may administer" in refused.detail
        await hire(server, "second", "admin")
        await server.ask("POST", "/api/v1/operators/root", OperatorList, SetOperator(disabled=True))
        assert (
            await server.refused("POST", "/api/v1/operators/nobody", SetOperator(disabled=True))
        ).code == "not-found"

    scene(url, play)


def test_tokens_are_made_listed_and_ended(url: str) -> None:
    async def play(server: Api) -> None:
        body = CreateToken(role="metrics", name="prometheus", lifetime_s=3600)
        token = (await server.ask("POST", "/api/v1/tokens", TokenCreated, body)).token
        listed = await server.ask("GET", "/api/v1/tokens", TokenList)
        (mine,) = [one for one in listed.tokens if one.name == "prometheus"]
        assert (mine.role, mine.person, mine.revoked_at) == ("metrics", False, 0)
        assert mine.expires_at == mine.created_at + 3_600_000
        await server.ask("GET", "/api/v1/me", Caller, token=token)
        await server.ask("POST", f"/api/v1/tokens/{mine.token_id}/revoke", TokenList)

        async def out() -> bool:
            return (await server.send("GET", "/api/v1/me", token=token)).status_code == 401

        await eventually(out)
        assert (await server.refused("POST", f"/api/v1/tokens/{'0' * 16}/revoke")).code == "not-found"

    scene(url, play)


def test_limits_are_told_before_and_enforced(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/settings", SettingList, SetSetting(key="helpdesk.limit-per-day", value="900"))
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="anna"))
        token = (await hire(server, limit_each=600)).token
        me = await server.ask("GET", "/api/v1/me", Caller, token=token)
        assert (me.limit_each, me.limit_day, me.moved_today) == (600, 900, 0)

        async def give(amount: int) -> str:
            body = Adjust(command_id=uuid7(), user_name="anna", amount=amount)
            found = await server.ask("POST", "/api/v1/users/anna/adjust", MoneyAnswer, body, token=token)
            return found.code

        assert [await give(amount) for amount in (601, 600, 301, -300)] == [
            "adjustment-limit-reached",
            "",
            "daily-limit-reached",
            "",
        ]
        me = await server.ask("GET", "/api/v1/me", Caller, token=token)
        assert me.moved_today == 900
        admin = await server.ask("GET", "/api/v1/me", Caller)
        assert (admin.limit_each, admin.limit_day) == (None, None)

    scene(url, play)


def test_who_looks_at_a_person_and_who_is_refused_is_noted_once(url: str) -> None:
    async def play(server: Api) -> None:
        details = UserDetails(card_number="4711")
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="anna", details=details))
        for _ in range(3):
            await server.ask("GET", "/api/v1/users/anna", UserList, role="auditor")
            await server.ask("GET", "/api/v1/users?query=471", UserList, role="helpdesk")
            body = Adjust(command_id=uuid7(), user_name="anna", amount=1)
            assert (await server.refused("POST", "/api/v1/users/anna/adjust", body, role="auditor")).code == "forbidden"
        assert await audited(server, "user-opened") == [("auditor:auditor-1", "anna")]
        assert await audited(server, "people-searched") == [("helpdesk:helpdesk-1", "471")]
        assert await audited(server, "refused") == [("auditor:auditor-1", "adjust_balance")]
        assert (await server.refused("GET", "/api/v1/audit", role="helpdesk")).code == "forbidden"
        page = await server.ask("GET", "/api/v1/audit?limit=2", AuditList, role="auditor")
        older = await server.ask("GET", f"/api/v1/audit?before={page.entries[-1].audit_id}", AuditList)
        assert page.entries[0].audit_id > page.entries[1].audit_id > older.entries[0].audit_id
        found = await server.ask("GET", "/api/v1/audit?query=ANN", AuditList)
        assert all("anna" in f"{entry.subject} {entry.detail}" for entry in found.entries)
        assert {entry.action for entry in found.entries} == {"user-created", "user-opened", "refused"}
        assert (await server.ask("GET", "/api/v1/audit?query=%25", AuditList)).entries == ()

    scene(url, play)


def test_secret_settings_are_not_told(url: str) -> None:
    async def play(server: Api) -> None:
        key = "auth.webservices.auth-token"
        await server.ask("POST", "/api/v1/settings", SettingList, SetSetting(key=key, value="swordfish"))
        response = await server.send("GET", "/api/v1/settings")
        assert "swordfish" not in response.text
        found = {one.key: one for one in (await server.ask("GET", "/api/v1/settings", SettingList)).settings}
        assert (found[key].value, found["ledger.currency"].fixed) == ("set", True)
        bad = SetSetting(key="users.initial-credit", value="much")
        assert (await server.refused("POST", "/api/v1/settings", bad)).code == "invalid"

    scene(url, play)
