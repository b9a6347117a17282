"""The help desk's day through the API: prices of many queues, refunds, undoing, ticking off, and who may not."""

from typing import Any

import msgspec
import pytest

from backend.base.ids import uuid7
from backend.wire.access import AuditList, SetSetting, SettingList
from backend.wire.base import Message
from backend.wire.jobs import AuthoriseAnswer, JobActionAnswer, JobList, ReleaseJob, ReportAnswer, TickOff
from backend.wire.money import (
    Adjust,
    ConfigureAccount,
    MoneyAnswer,
    RefundJob,
    ReverseTransfer,
    SetBalance,
    TransferList,
)
from backend.wire.people import CreateUser, DeleteUser, RenameUser, SetUser, UserDeleted, UserDetails, UserList
from backend.wire.pricing import MediaCost, PageCost, SimpleCost, StandardCost, with_version
from backend.wire.printers import HeartbeatAnswer, QueueList, RuleList, SetQueue, SetQueues
from tests.support.api import Api, authorise, eventually, heartbeat, report, scene

ROW = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2500, color_duplex=2400)
TABLE = StandardCost(default=ROW, media=(MediaCost(media="a3", cost=ROW),), grayscale_printer=True)


async def printed(server: Api, impressions: int = 3, of: int = 3) -> str:
    """A job of anna's, charged at 0.05 a page."""
    await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
    job = authorise("anna", of)
    await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, job, role="provider")
    body = report(job, impressions)
    await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, body, role="provider")
    return job.job_id


async def money(server: Api, path: str, body: Message) -> MoneyAnswer:
    return await server.ask("POST", f"/api/v1/{path}", MoneyAnswer, body, role="helpdesk")


async def balance(server: Api) -> int:
    return (await server.ask("GET", "/api/v1/users/anna", UserList)).users[0].balance


async def transfers(server: Api) -> TransferList:
    return await server.ask("GET", "/api/v1/users/anna/transfers", TransferList, role="helpdesk")


def test_a_job_is_refunded_and_the_refund_undone(url: str) -> None:
    async def play(server: Api) -> None:
        job_id = await printed(server)
        body = RefundJob(command_id=uuid7(), pages=2, comment="toner")
        first = await money(server, f"jobs/{job_id}/refund", body)
        assert (first.amount, first.balance) == (1000, -500)
        assert await money(server, f"jobs/{job_id}/refund", body) == first
        (job,) = (await server.ask("GET", f"/api/v1/jobs/{job_id}", JobList)).jobs
        assert (job.charged, job.refunded, job.printed) == (1500, 1000, 3)
        refused = await money(server, f"jobs/{job_id}/refund", RefundJob(command_id=uuid7(), amount=501))
        assert refused.code == "refund-exceeds-charge"
        path = f"users/anna/transfers/{first.sequence}/reverse"
        undone = await money(server, path, ReverseTransfer(command_id=uuid7(), comment="it was right"))
        assert (undone.amount, undone.balance) == (-1000, -1500)
        again = await money(server, path, ReverseTransfer(command_id=uuid7()))
        assert again.code == "already-reversed"
        newest, before, *_ = (await transfers(server)).transfers
        assert (newest.code, newest.earlier, newest.actor) == ("reversal", first.sequence, "helpdesk:helpdesk-1")
        assert (before.code, before.reversed, newest.reversed) == ("refund", True, False)

    scene(url, play)


def test_what_does_not_exist_cannot_be_refunded_or_undone(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="anna"))
        unknown = await money(server, f"jobs/{uuid7()}/refund", RefundJob(command_id=uuid7()))
        assert unknown.code == "job-unknown"
        missing = await money(server, "users/anna/transfers/7/reverse", ReverseTransfer(command_id=uuid7()))
        assert missing.code == "transfer-unknown"
        body = ReverseTransfer(command_id=uuid7())
        assert (await server.refused("POST", "/api/v1/users/eve/transfers/7/reverse", body)).code == "not-found"

    scene(url, play)


def test_a_job_that_was_looked_at_is_ticked_off(url: str) -> None:
    async def play(server: Api) -> None:
        job_id = await printed(server, impressions=9, of=3)
        listed = await server.ask("GET", "/api/v1/jobs?attention=1", JobList, role="helpdesk")
        assert [job.job_id for job in listed.jobs] == [job_id]
        body = TickOff(command_id=uuid7(), comment="nine it was")
        await server.ask("POST", f"/api/v1/jobs/{job_id}/tick-off", JobActionAnswer, body, role="helpdesk")
        assert not (await server.ask("GET", "/api/v1/jobs?attention=1", JobList)).jobs

    scene(url, play)


def test_many_queues_get_a_price_at_once_or_none_and_every_rule_is_kept(url: str) -> None:
    async def play(server: Api) -> None:
        beat = heartbeat("a", "b", "c")
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, beat, role="provider")
        queues = (await server.ask("GET", "/api/v1/queues", QueueList)).queues
        first, second, third = (queue.queue_id for queue in queues)
        lost = SetQueues(queue_ids=(first, 999), change=SetQueue(cost=TABLE))
        assert (await server.refused("POST", "/api/v1/queues", lost)).code == "not-found"
        both = SetQueues(queue_ids=(first, second), change=SetQueue(cost=TABLE, hold_jobs=True))
        changed = await server.ask("POST", "/api/v1/queues", QueueList, both)
        assert [(queue.name, queue.cost.version, queue.hold_jobs) for queue in changed.queues] == [
            ("a", 2, True),
            ("b", 2, True),
        ]
        await server.ask("POST", "/api/v1/queues", QueueList, both)  # the same again is no new version
        await server.ask("POST", f"/api/v1/queues/{first}", QueueList, SetQueue(cost_per_impression=70))
        kept = await server.ask("GET", f"/api/v1/queues/{first}/rules", RuleList, role="helpdesk")
        assert [rule.cost.version for rule in kept.rules] == [3, 2, 1]
        assert kept.rules[0].cost == SimpleCost(per_impression=70, version=3)
        assert [bool(rule.actor) for rule in kept.rules] == [True, True, False]
        query = "/api/v1/audit?action=queue-changed&subject=b"
        (noted,) = (await server.ask("GET", query, AuditList)).entries  # the same again is noted no second time
        noted_of = msgspec.json.decode(noted.detail, type=dict[str, list[Any]])
        assert (noted_of["hold_jobs"], [msgspec.json.decode(rule)["model"] for rule in noted_of["cost"]]) == (
            [False, True],
            ["simple", "standard"],
        )
        never = await server.ask("GET", f"/api/v1/queues/{third}/rules", RuleList)
        assert [rule.cost for rule in never.rules] == [SimpleCost(per_impression=500)]

        async def told() -> bool:
            answer = await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, beat, role="provider")
            return answer.queues[1].cost == with_version(TABLE, 2)

        await eventually(told)

    scene(url, play)


def test_who_is_unknown_is_refused_where_the_settings_say_so(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
        setting = SetSetting(key="users.create-at-first-print", value="false")
        await server.ask("POST", "/api/v1/settings", SettingList, setting)

        async def refused() -> bool:
            body = authorise(uuid7())
            answer = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, body, role="provider")
            return (answer.decision, answer.code) == ("denied", "user-unknown")

        await eventually(refused)

    scene(url, play)


def test_an_overdraft_follows_the_setting_until_it_is_somebodys_own(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="anna"))
        setting = SetSetting(key="users.default-overdraft", value="700")
        await server.ask("POST", "/api/v1/settings", SettingList, setting)
        (anna,) = (await server.ask("GET", "/api/v1/users/anna", UserList)).users
        assert (anna.overdraft, anna.overdraft_mode) == (700, "default")
        own = ConfigureAccount(command_id=uuid7(), user_name="anna", overdraft=900, restricted=True)
        await server.ask("POST", "/api/v1/users/anna/account", MoneyAnswer, own)
        (anna,) = (await server.ask("GET", "/api/v1/users/anna", UserList)).users
        assert (anna.overdraft, anna.overdraft_mode, anna.restricted) == (900, "individual", True)

    scene(url, play)


def test_details_are_changed_and_a_card_is_one_persons(url: str) -> None:
    async def play(server: Api) -> None:
        card = UserDetails(card_number=" 4711 ", full_name="Anna Müller", alias="UNI\\AM17")
        made = await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="UNI\\Anna", details=card))
        anna = made.users[0]
        assert (anna.name, anna.card_number, anna.alias) == ("anna", "4711", "am17")
        second = CreateUser(name="bob", details=UserDetails(card_number2="4711"))
        assert (await server.refused("POST", "/api/v1/users", second)).code == "name-taken"
        assert (await server.refused("POST", "/api/v1/users", CreateUser(name="anna"))).code == "name-taken"
        off = SetUser(details=UserDetails(disabled=True, office="B 12"))
        (anna,) = (await server.ask("POST", "/api/v1/users/anna", UserList, off)).users
        assert (anna.disabled, anna.office, anna.card_number) == (True, "B 12", "4711")
        bad = SetUser(details=UserDetails(email="a\nb"))
        assert (await server.refused("POST", "/api/v1/users/anna", bad)).code == "invalid"
        assert (await server.refused("POST", "/api/v1/users/eve", off)).code == "not-found"

    scene(url, play)


def test_a_user_is_renamed_and_deleted_and_what_was_moved_stays(url: str) -> None:
    async def play(server: Api) -> None:
        job_id = await printed(server)
        await server.ask("POST", "/api/v1/queues/1", QueueList, SetQueue(hold_jobs=True))
        waits = authorise("anna")
        held = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, waits, role="provider")
        assert held.decision == "held"
        await money(server, "users/anna/adjust", Adjust(command_id=uuid7(), user_name="anna", amount=10_000))
        await server.ask("POST", "/api/v1/users", UserList, CreateUser(name="bob"))
        taken = RenameUser(new_name="BOB")
        assert (await server.refused("POST", "/api/v1/users/anna/rename", taken)).code == "name-taken"
        renamed = await server.ask("POST", "/api/v1/users/anna/rename", UserList, RenameUser(new_name="UNI\\Ann"))
        assert [(user.name, user.balance) for user in renamed.users] == [("ann", 8500)]
        assert (await server.refused("POST", "/api/v1/users/anna/rename", taken)).code == "not-found"
        left = await server.ask("POST", "/api/v1/users/ann/delete", UserDeleted, DeleteUser(redact=True))
        assert (left.account_name, left.balance) == (f"deleted-{left.account_id}", 8500)
        assert (await server.refused("POST", "/api/v1/users/ann/delete", DeleteUser())).code == "not-found"
        (job,) = (await server.ask("GET", f"/api/v1/jobs/{job_id}", JobList)).jobs
        assert (job.user_name, job.title, job.charged) == (left.account_name, "", 1500)
        release = ReleaseJob(command_id=uuid7())
        await server.ask("POST", f"/api/v1/jobs/{waits.job_id}/release", JobActionAnswer, release, role="helpdesk")
        again = msgspec.structs.replace(waits, command_id=uuid7(), attempt=2)
        goes = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, again, role="provider")
        assert (goes.decision, goes.code) == ("denied", "user-unknown")  # and nobody new was made for it
        assert (await server.ask("GET", "/api/v1/users?query=an", UserList)).users == ()
        noted = (await server.ask("GET", "/api/v1/audit?limit=50", AuditList)).entries
        told = [(entry.action, entry.subject, entry.detail, entry.actor) for entry in noted]
        assert ("user-renamed", "anna", "ann", "admin:admin-1") in told
        assert ("user-deleted", "ann", "redacted", "admin:admin-1") in told

    scene(url, play)


def test_nobody_is_deleted_while_money_is_reserved(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
        job = authorise("anna")
        await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, job, role="provider")
        refused = await server.refused("POST", "/api/v1/users/anna/delete", DeleteUser())
        assert (refused.code, "being printed" in refused.detail) == ("invalid", True)
        await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, report(job, 3), role="provider")
        await server.ask("POST", "/api/v1/users/anna/delete", UserDeleted, DeleteUser())

    scene(url, play)


def attempts(job_id: str) -> list[tuple[str, str, Any]]:
    """Everything that looks at anna or moves her money."""
    command: dict[str, Any] = {"command_id": uuid7()}
    mine = command | {"user_name": "anna"}
    return [
        ("GET", "users", None),
        ("GET", "users/anna", None),
        ("GET", "users/anna/transfers", None),
        ("GET", "users/anna/jobs", None),
        ("GET", f"jobs/{job_id}", None),
        ("GET", "jobs?user=anna", None),
        ("GET", "transfers", None),
        ("POST", "users/anna", SetUser(details=UserDetails(notes="x"))),
        ("POST", "users/anna/rename", RenameUser(new_name="eve")),
        ("POST", "users/anna/delete", DeleteUser()),
        ("POST", "users/anna/account", ConfigureAccount(**mine, overdraft=10**6)),
        ("POST", "users/anna/adjust", Adjust(**mine, amount=10**6)),
        ("POST", "users/anna/balance", SetBalance(**mine, balance=10**6)),
        ("POST", "users/anna/transfers/1/reverse", ReverseTransfer(**command)),
        ("POST", f"jobs/{job_id}/refund", RefundJob(**command)),
    ]


@pytest.mark.parametrize("role", ["metrics", "provider", "auditor"])
def test_a_wrong_role_neither_reads_nor_moves_anothers_money(url: str, role: Any) -> None:
    async def play(server: Api) -> None:
        job_id = await printed(server)
        before, rows = await balance(server), len((await transfers(server)).transfers)
        for method, path, body in attempts(job_id):
            response = await server.send(method, f"/api/v1/{path}", body, role=role)
            may_read = role == "auditor" and method == "GET"
            assert response.status_code == (200 if may_read else 403), (path, response.text)
            assert may_read or "anna" not in response.text
        assert (await balance(server), len((await transfers(server)).transfers)) == (before, rows)

    scene(url, play)
