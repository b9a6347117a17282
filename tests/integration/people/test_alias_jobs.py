"""A job that comes under somebody's alias is that person's: printed, charged and asked for again."""

from backend.base.ids import uuid7
from backend.people.model import UserChange
from backend.people.service import create_user
from backend.wire.jobs import AuthoriseAnswer, JobList, ReportAnswer
from backend.wire.people import UserList
from tests.support.api import Api, authorise, report, scene


def test_a_job_under_an_alias_is_its_owners(url: str) -> None:
    async def play(server: Api) -> None:
        change = UserChange(alias="a.smith")
        await server.services.database.write(create_user, "anna", change, internal=False, actor="t", role="admin")
        job = authorise("CAMPUS\\A.Smith", 3, uuid7())
        path = "/api/v1/jobs/authorise"
        asked = await server.ask("POST", path, AuthoriseAnswer, job, role="provider")
        assert (asked.decision, asked.cost) == ("authorised", 1500)
        assert await server.ask("POST", path, AuthoriseAnswer, job, role="provider") == asked
        told = await server.ask("POST", "/api/v1/jobs/report", ReportAnswer, report(job), role="provider")
        late = await server.ask(
            "POST", "/api/v1/jobs/report", ReportAnswer, report(authorise("a.smith", 2)), role="provider"
        )
        assert (told.charged, told.balance, late.balance) == (1500, -1500, -2500)
        users = await server.ask("GET", "/api/v1/users", UserList)
        assert [(user.name, user.balance, user.print_jobs) for user in users.users] == [("anna", -2500, 2)]
        jobs = await server.ask("GET", "/api/v1/users/anna/jobs", JobList)
        assert {job.user_name for job in jobs.jobs} == {"anna"}

    scene(url, play)
