"""The JSON API on SQLite and PostgreSQL: a job's way, people, queues, and every refusal as a problem."""

import msgspec
import pytest

from backend.access.service import create_enrolment
from backend.access.settings import write_setting
from backend.base.ids import uuid7
from backend.people.model import UserChange
from backend.people.service import create_user
from backend.wire.access import Role
from backend.wire.base import GENERATION_HEADER, VERSION
from backend.wire.cluster import Topology
from backend.wire.jobs import AuthoriseAnswer, JobList, ReportAnswer
from backend.wire.money import Adjust, MoneyAnswer, TransferList
from backend.wire.people import UserList
from backend.wire.pricing import SimpleCost
from backend.wire.printers import Enroll, EnrollAnswer, HeartbeatAnswer, MemberList, QueueList, SetQueue
from tests.support.api import SECRET, Api, authorise, eventually, heartbeat, report, scene


async def charge(server: Api, user: str = "anna", impressions: int = 3) -> str:
    """Print one job to its end; its id."""
    wanted = authorise(user, impressions)
    answer = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, wanted, role="provider")
    assert answer.decision == "authorised"
    done = await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, report(wanted), role="provider")
    assert done.charged == impressions * 500
    return wanted.job_id


def test_a_job_is_charged_and_everybody_sees_it(url: str) -> None:
    async def play(server: Api) -> None:
        beat = await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
        assert [policy.name for policy in beat.queues] == ["office"]
        assert beat.queues[0].cost == SimpleCost(per_impression=500)
        assert [member.url for member in beat.members] == ["http://server-1"]
        job_id = await charge(server, "DOMAIN\\Anna")

        users = await server.ask("GET", "/api/v1/users?query=an", UserList, role="helpdesk")
        assert [(user.name, user.balance, user.print_impressions) for user in users.users] == [("anna", -1500, 3)]
        transfers = await server.ask("GET", "/api/v1/users/ANNA@realm/transfers", TransferList, role="auditor")
        assert [(row.kind, row.amount, row.balance) for row in transfers.transfers] == [
            ("posted", -1500, -1500),
            ("pending", -1500, 0),
        ]
        older = await server.ask("GET", "/api/v1/users/anna/transfers?before=2", TransferList)
        assert [row.kind for row in older.transfers] == ["pending"]
        everybody = await server.ask("GET", "/api/v1/transfers", TransferList)
        assert {row.user_name for row in everybody.transfers} == {"anna"}
        for path in ("/api/v1/users/anna/jobs", "/api/v1/jobs", f"/api/v1/jobs/{job_id}"):
            jobs = await server.ask("GET", path, JobList)
            assert [(job.job_id, job.state, job.queue, job.provider) for job in jobs.jobs] == [
                (job_id, "completed", "office", "print1")
            ]
        queues = await server.ask("GET", "/api/v1/queues", QueueList)
        assert [(queue.name, queue.jobs, queue.impressions) for queue in queues.queues] == [("office", 1, 3)]

    scene(url, play)


def test_jobs_page_from_the_newest(url: str) -> None:
    async def play(server: Api) -> None:
        ids = sorted([await charge(server) for _ in range(5)])
        first = await server.ask("GET", "/api/v1/jobs?limit=2", JobList)
        assert [job.job_id for job in first.jobs] == ids[:2:-1]
        rest = await server.ask("GET", f"/api/v1/jobs?before={ids[3]}", JobList)
        assert [job.job_id for job in rest.jobs] == ids[2::-1]

    scene(url, play)


def test_the_same_command_gives_the_same_answer_and_other_content_is_a_conflict(url: str) -> None:
    async def play(server: Api) -> None:
        wanted = authorise()
        answers = [await server.send("POST", "/api/v1/jobs/authorise", wanted, role="provider") for _ in range(2)]
        assert answers[0].content == answers[1].content
        other = msgspec.structs.replace(wanted, title="another")
        found = await server.refused("POST", "/api/v1/jobs/authorise", other, role="provider")
        assert found.code == "command-conflict"

    scene(url, play)


def test_the_help_desk_adjusts_a_balance(url: str) -> None:
    async def play(server: Api) -> None:
        await charge(server)
        body = Adjust(command_id=uuid7(), user_name="Anna", amount=20_000, comment="paid in cash")
        done = await server.ask("POST", "/api/v1/users/anna/adjust", MoneyAnswer, body, role="helpdesk")
        assert (done.code, done.balance) == ("", 18_500)
        again = await server.ask("POST", "/api/v1/users/anna/adjust", MoneyAnswer, body, role="helpdesk")
        assert again == done
        transfers = await server.ask("GET", "/api/v1/users/anna/transfers?limit=1", TransferList)
        assert (transfers.transfers[0].actor, transfers.transfers[0].comment) == ("helpdesk:helpdesk-1", "paid in cash")
        unknown = Adjust(command_id=uuid7(), user_name="nobody", amount=1)
        refused = await server.ask("POST", "/api/v1/users/nobody/adjust", MoneyAnswer, unknown)
        assert refused.code == "user-unknown"
        found = await server.refused("POST", "/api/v1/users/somebody/adjust", unknown)
        assert found.code == "invalid"

    scene(url, play)


def test_a_queue_gets_a_new_price_with_a_new_version(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
        queue_id = (await server.ask("GET", "/api/v1/queues", QueueList)).queues[0].queue_id
        change = SetQueue(cost_per_impression=200, disabled=True, offline_policy="hold")
        changed = await server.ask("POST", f"/api/v1/queues/{queue_id}", QueueList, change)
        queue = changed.queues[0]
        assert queue.cost == SimpleCost(per_impression=200, version=2)
        assert (queue.disabled, queue.offline_policy) == (True, "hold")
        refused = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, authorise(), role="provider")
        assert (refused.decision, refused.code) == ("denied", "printer-disabled")

        async def told() -> bool:
            beat = await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")
            return (
                beat.queues[0].cost == SimpleCost(per_impression=200, version=2)
                and beat.queues[0].offline_policy == "hold"
            )

        await eventually(told)
        assert (await server.refused("POST", "/api/v1/queues/999", change)).code == "not-found"

    scene(url, play)


def test_an_enrolment_token_works_for_one_secret_and_answers_it_the_same_for_ever(url: str) -> None:
    async def play(server: Api) -> None:
        database = server.services.database
        token = await database.write(create_enrolment, "print2", "test")
        body = Enroll(token=token, secret="s" * 40, name="whatever", host="h")
        first = await server.ask("POST", "/api/v1/enroll", EnrollAnswer, body)
        assert first.name == "print2"
        assert await server.ask("POST", "/api/v1/enroll", EnrollAnswer, body) == first
        thief = msgspec.structs.replace(body, secret="t" * 40)
        assert (await server.refused("POST", "/api/v1/enroll", thief, role=None)).code == "enrolment-refused"
        beat = await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat(), token="s" * 40)
        assert beat.generation == 1
        # The print server is set up anew: the same provider, and its old secret ends within the tokens' staleness.
        again = await database.write(create_enrolment, "print2", "test")
        fresh = Enroll(token=again, secret="u" * 40, name="print2")
        assert (await server.ask("POST", "/api/v1/enroll", EnrollAnswer, fresh)).provider_id == first.provider_id

        async def old_secret_is_refused() -> bool:
            return (await server.send("POST", "/api/v1/heartbeat", heartbeat(), token="s" * 40)).status_code == 401

        await eventually(old_secret_is_refused, 15)

    scene(url, play)


def test_people_are_found_as_somebody_types(url: str) -> None:
    async def play(server: Api) -> None:
        people = [
            ("amueller", "Anna Müller", "a.m@uni.example", "100"),
            ("bob", "Bob Annan", "", ""),
            ("carl", "Carl", "", ""),
        ]
        for name, full_name, email, card in people:
            details = UserChange(full_name=full_name, email=email, card_number=card)
            await server.services.database.write(create_user, name, details, internal=False, actor="t", role="admin")

        async def names(query: str) -> list[str]:
            return [user.name for user in (await server.ask("GET", f"/api/v1/users?query={query}", UserList)).users]

        assert await names("ann") == ["amueller", "bob"]
        assert await names("mull") == ["amueller"]
        assert await names("ANN mü") == ["amueller"]
        assert await names("a.m@") == ["amueller"]
        assert await names("100") == ["amueller"]
        assert await names("nobody") == []
        everybody = await server.ask("GET", "/api/v1/users?limit=1&offset=1", UserList)
        assert ([user.name for user in everybody.users], everybody.total) == (["bob"], 3)
        assert (await server.refused("GET", "/api/v1/users/nobody")).code == "not-found"

    scene(url, play)


def test_a_new_user_starts_with_the_credit_that_a_transfer_tells_of(url: str) -> None:
    async def play(server: Api) -> None:
        for key, value in (("users.initial-credit", "1000"), ("users.default-restricted", "true")):
            await server.services.database.write(write_setting, key, value, "t", "admin")
        refused = await server.ask(
            "POST", "/api/v1/jobs/authorise", AuthoriseAnswer, authorise("new", 3), role="provider"
        )
        assert (refused.code, refused.balance, refused.available) == ("account-limit-reached", 1000, 1000)
        assert "15" in refused.message
        await charge(server, "new", 2)
        rows = (await server.ask("GET", "/api/v1/users/new/transfers", TransferList)).transfers
        assert [(row.code, row.amount, row.balance) for row in rows][-1] == ("initial-credit", 1000, 1000)
        assert rows[0].balance == 0

    scene(url, play)


def test_the_topology_tells_who_is_there(url: str) -> None:
    async def play(server: Api) -> None:
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat("office"), role="provider")

        async def settled() -> Topology | None:
            seen = await server.ask("GET", "/api/v1/topology", Topology)
            return seen if seen.health == "ok" else None

        seen = await eventually(settled)
        assert seen is not None
        assert seen.verdict == "All is well: 1 server, 1 print server, 1 tracked queue."
        assert (seen.servers[0].leader, seen.term, seen.generation) == (True, 1, 1)
        assert seen.providers[0].server == "server-1"
        assert seen.databases[0].engine == url.partition(":")[0]
        members = await server.ask("GET", "/api/v1/members", MemberList, role="provider")
        assert [(member.name, member.state) for member in members.members] == [("server-1", "serving")]

    scene(url, play)


def test_queues_that_vanish_are_kept_as_not_seen(url: str) -> None:
    async def play(server: Api) -> None:
        for names in (("office", "lab"), ("lab",)):
            await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, heartbeat(*names), role="provider")
        queues = {queue.name: queue for queue in (await server.ask("GET", "/api/v1/queues", QueueList)).queues}
        assert (queues["office"].seen_at, queues["office"].tracked) == (0, False)
        assert queues["lab"].seen_at > 0
        assert queues["lab"].tracked

    scene(url, play)


async def _problems(server: Api) -> None:
    """Every refusal is a problem with the right code, and carries the generation."""
    for method, path, body, code in (
        ("GET", "/api/v1/nothing", None, "not-found"),
        ("GET", "/", None, "not-found"),
        ("DELETE", "/api/v1/users", None, "method-not-allowed"),
        ("GET", "/api/v1/jobs/authorise", None, "invalid"),  # no job is called that
        ("POST", "/api/v1/heartbeat", b"{", "malformed"),
        ("POST", "/api/v1/heartbeat", b'{"queues": 3}', "invalid"),
        ("POST", "/api/v1/heartbeat", b"\xff\xfe", "malformed"),
        ("POST", "/api/v1/heartbeat", b'{"v": 2}', "version-unsupported"),
        ("POST", "/api/v1/heartbeat", b" " * ((1 << 20) + 1), "too-large"),
        ("POST", "/api/v1/jobs/authorise", b"{}", "invalid"),
        ("POST", "/api/v1/jobs/authorise", b"nonsense", "malformed"),
        ("GET", "/api/v1/users?limit=0", None, "invalid"),
        ("GET", "/api/v1/users?limit=many", None, "invalid"),
        ("GET", "/api/v1/jobs?before=x", None, "invalid"),
        ("GET", "/api/v1/users/a%00b", None, "not-found"),
        ("GET", "/api/v1/users/%00", None, "not-found"),
        ("GET", f"/api/v1/users?offset={10**30}", None, "invalid"),
        ("GET", "/api/v1/users?limit=5&limit=6&query=%00%ff", None, ""),
        ("GET", "/api/v1/jobs/x", None, "invalid"),
    ):
        role: Role = "provider" if body is not None else "admin"
        if not code:
            assert (await server.send(method, path, body, role=role)).status_code == 200
            continue
        found = await server.refused(method, path, body, role=role)
        assert found.code == code, (method, path)
    response = await server.send("DELETE", "/api/v1/queues/1")
    assert response.headers["allow"] == "POST"
    assert response.headers[GENERATION_HEADER] == "1"
    for path in ("/api/v1/heartbeat", "/api/v1/jobs/report"):
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "text/plain"}
        plain = await server.http.post(path, content=b"{}", headers=headers)
        assert (plain.status_code, plain.json()["code"]) == (415, "unsupported-media-type")
    head = await server.http.head("/health/live")
    assert head.status_code == 200


def test_every_refusal_is_a_problem(url: str) -> None:
    scene(url, _problems)


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_a_message_of_another_version_is_refused_on_the_hot_routes_too(url: str, version: int) -> None:
    async def play(server: Api) -> None:
        body = msgspec.structs.replace(authorise(), v=version)
        found = await server.refused("POST", "/api/v1/jobs/authorise", body, role="provider")
        assert found.code == "version-unsupported"

    scene(url, play)


def test_odd_texts_and_numbers_of_one_provider_hinder_nobody(url: str) -> None:
    async def play(server: Api) -> None:
        odd = heartbeat("of\x00fice", "\ud7ff", "x" * 255)
        odd = msgspec.structs.replace(odd, host="h\x00", disk_free_bytes=10**30, oldest_unsent_s=1e300)
        await server.ask("POST", "/api/v1/heartbeat", HeartbeatAnswer, odd, role="provider")
        queues = await server.ask("GET", "/api/v1/queues", QueueList)
        assert {queue.name for queue in queues.queues} == {"of\ufffdfice", "\ud7ff", "x" * 255}
        await server.ask("GET", "/api/v1/topology", Topology)
        huge = SetQueue(cost_per_impression=1)
        assert (await server.refused("POST", f"/api/v1/queues/{10**30}", huge)).code == "invalid"
        strange = msgspec.structs.replace(authorise("an\x00na"), title="\x00", host="\x00")
        answer = await server.ask("POST", "/api/v1/jobs/authorise", AuthoriseAnswer, strange, role="provider")
        assert answer.decision == "authorised"
        jobs = await server.ask("GET", "/api/v1/users/anna/jobs", JobList)
        assert len(jobs.jobs) == 1

    scene(url, play)
