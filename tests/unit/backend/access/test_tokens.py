"""Tokens: stored as hashes, remembered briefly, gone when revoked; settings that are checked."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from backend.access import service
from backend.access.errors import EnrolmentRefused
from backend.access.model import ADMIN, Principal
from backend.access.remembered import MAX_KEPT, STALE_S
from backend.access.settings import KNOWN, SettingInvalid, read_settings, write_setting
from backend.access.tables import access_token, audit, enrolment
from backend.access.tokens import TokenCache
from backend.api.operation import Endpoint, operation
from backend.api.services import Services
from backend.base.clock import ManualClock
from backend.db.engine import Database
from backend.db.errors import DatabaseRefused
from backend.db.migrate import migrate
from backend.wire.access import SetSetting, SettingList


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'x.db'}")
    migrate(found)
    yield found
    found.close()


def test_a_token_is_told_once_and_stored_as_a_hash(database: Database) -> None:
    with database.connect(writing=True) as conn:
        token = service.create_token(conn, "helpdesk", "anna", "test")
        assert token.startswith("ik_")
        row = conn.execute(sa.select(access_token)).one()
        assert row.token_hash == service.hash_token(token)
        kept = [conn.execute(sa.select(table)).all() for table in (access_token, audit)]
        assert token not in repr(kept)
        assert service.find_principal(conn, service.hash_token(token)) == Principal("helpdesk", "anna")
        assert service.find_principal(conn, service.hash_token(token + "x")) is None
        conn.execute(sa.update(access_token).values(expires_at=1))
        assert service.find_principal(conn, service.hash_token(token)) is None


def test_a_principal_is_remembered_for_seconds_and_a_revoked_one_refused_after(database: Database) -> None:
    async def scene() -> None:
        clock = ManualClock()
        cache = TokenCache(database, clock)
        with database.connect(writing=True) as conn:
            token = service.create_token(conn, "admin", "a", "test")
        assert await cache.principal(token) == Principal("admin", "a")
        with database.connect(writing=True) as conn:
            conn.execute(sa.update(access_token).values(revoked_at=1))
        clock.advance(STALE_S - 0.1)
        assert await cache.principal(token) is not None
        clock.advance(0.2)
        assert await cache.principal(token) is None
        assert MAX_KEPT > 0

    asyncio.run(scene())


def count_look_ups(database: Database) -> list[int]:
    """How many tokens each statement asked for, from now on."""
    sizes: list[int] = []

    def note(conn: object, cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        if "FROM access_token" in statement:
            sizes.append(len(parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    return sizes


def test_many_who_come_at_once_share_look_ups_and_renew_each_other(database: Database) -> None:
    async def scene() -> None:
        clock = ManualClock()
        cache = TokenCache(database, clock)
        with database.connect(writing=True) as conn:
            tokens = [service.create_token(conn, "helpdesk", f"user{n}", "test") for n in range(300)]
        sizes = count_look_ups(database)
        asked = [cache.principal(token) for token in (*tokens, *tokens, "ik_made_up")]
        found = await asyncio.gather(*asked)
        assert [who.name for who in found if who] == [f"user{n}" for n in range(300)] * 2
        assert found[-1] is None
        assert sizes == [301], "one statement, each token once"
        clock.advance(STALE_S - 1)
        await asyncio.gather(*[cache.principal(token) for token in tokens[:200]])  # still known, and so of use
        clock.advance(1.5)
        assert await cache.principal(tokens[0]) == Principal("helpdesk", "user0")
        assert sizes == [301, 200], "who asks first renews what was used"
        await asyncio.gather(*[cache.principal(token) for token in tokens[:200]])
        assert len(sizes) == 2
        await cache.principal(tokens[-1])
        assert len(sizes) == 3, "what nobody had used was not renewed"

    asyncio.run(scene())


def test_what_was_revoked_is_not_renewed(database: Database) -> None:
    async def scene() -> None:
        clock = ManualClock()
        cache = TokenCache(database, clock)
        with database.connect(writing=True) as conn:
            stays, goes = (service.create_token(conn, "admin", name, "test") for name in ("stays", "goes"))
        for token in (stays, goes):
            await cache.principal(token)
        clock.advance(1)
        await cache.principal(goes)
        with database.connect(writing=True) as conn:
            conn.execute(sa.update(access_token).where(access_token.c.name == "goes").values(revoked_at=1))
        clock.advance(STALE_S)
        assert await cache.principal(stays) is not None
        assert await cache.principal(goes) is None

    asyncio.run(scene())


def test_what_was_found_before_the_server_stood_still_lets_nobody_in(database: Database) -> None:
    async def scene() -> None:
        clock = ManualClock()

        class StandsStill(Database):
            """The token is ended, and a minute passes, between a look-up and its answer."""

            async def run(self, work: Any, *args: Any, **kwargs: Any) -> Any:
                found = await super().run(work, *args, **kwargs)
                if clock.monotonic_s() == 0:
                    with self.connect(writing=True) as conn:
                        conn.execute(sa.update(access_token).values(revoked_at=1))
                    clock.advance(60)
                return found

        with database.connect(writing=True) as conn:
            token = service.create_token(conn, "admin", "a", "test")
        slow = StandsStill(database.url)
        assert await TokenCache(slow, clock).principal(token) is None
        assert clock.monotonic_s() == 60
        slow.close()

    asyncio.run(scene())


def test_a_token_that_ends_while_the_body_comes_does_nothing(database: Database) -> None:
    """Whoever keeps a request open, its last byte in hand, cannot use it once they are logged out."""

    async def scene() -> None:
        clock = ManualClock()
        with database.connect(writing=True) as conn:
            token = service.create_token(conn, "admin", "a", "test")
        done: list[SetSetting] = []
        sent: list[Any] = []

        async def change(services: Services, who: Principal, body: SetSetting) -> SettingList:
            done.append(body)
            return SettingList(settings=())

        services: Any = SimpleNamespace(tokens=TokenCache(database, clock), refusing=False)
        endpoint = Endpoint(operation("POST", "/x", roles=ADMIN)(change), services)
        ends = [False]

        async def receive() -> dict[str, Any]:
            if ends[0]:
                with database.connect(writing=True) as conn:
                    conn.execute(sa.update(access_token).values(revoked_at=1))
                clock.advance(STALE_S)
            return {"type": "http.request", "body": b'{"key": "a.b", "value": "c"}'}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json"), (b"authorization", f"Bearer {token}".encode())]
        scope = {"headers": headers, "path": "/x"}
        await endpoint(scope, receive, send)
        assert (sent[0]["status"], len(done)) == (200, 1)
        ends[0] = True
        await endpoint(scope, receive, send)
        assert (sent[2]["status"], len(done)) == (401, 1)

    asyncio.run(scene())


def test_an_away_database_lets_nobody_in_and_is_asked_again(database: Database) -> None:
    async def scene() -> None:
        cache = TokenCache(database, ManualClock())
        with database.connect(writing=True) as conn:
            token = service.create_token(conn, "admin", "a", "test")
            conn.exec_driver_sql("ALTER TABLE access_token RENAME TO hidden")
        for _ in range(2):
            with pytest.raises(DatabaseRefused):
                await cache.principal(token)
        with database.connect(writing=True) as conn:
            conn.exec_driver_sql("ALTER TABLE hidden RENAME TO access_token")
        assert await cache.principal(token) is not None

    asyncio.run(scene())


def test_an_enrolment_expires_but_its_answer_does_not(database: Database) -> None:
    with database.connect(writing=True) as conn:
        used, unused = (service.create_enrolment(conn, name, "test") for name in ("p", "q"))
        found = service.check_enrolment(conn, used, "secret-1")
        assert (found.provider_name, found.provider_id) == ("p", 0)
        service.complete_enrolment(conn, found, 7, "host")
        conn.execute(sa.update(enrolment).values(expires_at=1))
        assert service.check_enrolment(conn, used, "secret-1").provider_id == 7
        assert service.find_principal(conn, service.hash_token("secret-1")) == Principal("provider", "p", 7)
        with pytest.raises(EnrolmentRefused, match="another secret"):
            service.check_enrolment(conn, used, "secret-2")
        with pytest.raises(EnrolmentRefused, match="expired"):
            service.check_enrolment(conn, unused, "secret-3")
        with pytest.raises(EnrolmentRefused, match="not known"):
            service.check_enrolment(conn, "ik_made_up", "secret-3")


def test_a_secret_serves_one_provider_only(database: Database) -> None:
    with database.connect(writing=True) as conn:
        first = service.check_enrolment(conn, service.create_enrolment(conn, "p", "t"), "secret-1")
        service.complete_enrolment(conn, first, 1, "")
        with pytest.raises(EnrolmentRefused, match="in use"):
            service.check_enrolment(conn, service.create_enrolment(conn, "q", "t"), "secret-1")


def test_settings_have_defaults_are_checked_and_secrets_stay_out_of_the_audit(database: Database) -> None:
    with database.connect(writing=True) as conn:
        assert read_settings(conn, *KNOWN) == {key: known.default for key, known in KNOWN.items()}
        assert read_settings(conn, "not.there") == {}
        write_setting(conn, "health.api.key", "very-secret", "anna", "admin")
        write_setting(conn, "health.api.key", "more-secret", "anna", "admin")
        write_setting(conn, "printers.default-cost", "150", "anna", "admin")
        write_setting(conn, "somebody.elses", "value", "anna", "admin")
        found = read_settings(conn, "health.api.key", "printers.default-cost", "somebody.elses")
        assert found == {"health.api.key": "more-secret", "printers.default-cost": "150", "somebody.elses": "value"}
        assert "secret" not in repr(conn.execute(sa.select(audit)).all())
        for key, value in (
            ("printers.default-cost", "-1"),
            ("printers.default-cost", "0.05"),
            ("users.default-restricted", "yes"),
            ("", "x"),
            (" x", "x"),
            ("x" * 256, "x"),
        ):
            with pytest.raises(SettingInvalid):
                write_setting(conn, key, value, "anna", "admin")
