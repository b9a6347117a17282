"""processJob is a real job; batch imports go on in the background and every server tells how far they are."""

import threading
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.access.audit import find_audit
from backend.access.service import create_token
from backend.jobs.tables import job as job_table
from backend.operations.tables import task
from tests.integration.compat.conftest import TOKEN, Site
from tests.integration.compat.test_methods import fault
from tests.integration.compat.test_money import units
from tests.support.processes import wait_until


def jobs_of(site: Site, user: str) -> list[tuple[str, int, int, int, str]]:
    columns = (job_table.c.state, job_table.c.charged, job_table.c.impressions, job_table.c.sheets, job_table.c.title)
    with site.database.connect() as conn:
        rows = conn.execute(sa.select(*columns).where(job_table.c.user_name == user).order_by(job_table.c.created_at))
        return [tuple(row) for row in rows]


def test_a_job_is_charged_by_the_queue_or_at_its_cost(site: Site, user: str) -> None:
    api = site.proxy()
    api.setPrinterCostSimple(TOKEN, "print-1", "Zebra", 0.05)
    where = f"user={user},server=print-1,printer=Zebra"
    assert api.processJob(TOKEN, where) is True
    assert api.processJob(TOKEN, f'{where},total-pages=4,duplex=TRUE,"document-name=a, ""b"""') is True
    assert api.processJob(TOKEN, f"{where},total-pages=3,cost=1,time=20240229T120000,comment=x") is True
    assert jobs_of(site, user) == [
        ("completed", 500, 1, 1, ""),
        ("completed", 2000, 4, 2, 'a, "b"'),
        ("completed", 10_000, 3, 3, ""),
    ]
    assert units(site, user) == -12_500
    assert api.getUserProperties(TOKEN, user, ["print-stats.job-count", "print-stats.page-count"]) == ["3", "8"]


def test_a_key_makes_it_once(site: Site, user: str) -> None:
    api = site.proxy()
    details = f"user={user},server=print-1,printer=Zebra,total-pages=2,cost=0.5,job-id=key of {user}"
    done: list[bool] = []

    def send() -> None:
        done.append(site.proxy().processJob(TOKEN, details))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True] * 6
    assert api.processJob(TOKEN, details) is True
    assert "other details" in fault(api.processJob, TOKEN, details.replace("cost=0.5", "cost=0.6")).faultString
    assert units(site, user) == -5000
    assert len(jobs_of(site, user)) == 1


@pytest.mark.parametrize(
    ("details", "code"),
    [
        ("server=print-1,printer=Zebra", 259),
        ("user=@x,server=print-1,printer=Zebra", 259),
        ("user=a,printer=Zebra", 281),
        ("user=a,server=print-1", 282),
        ("user=a,server=print-1,printer=nothing", 283),
        ("user=a,server=print-1,printer=Zebra,total-page=3", 257),
        ("user=a,server=print-1,printer=Zebra,shared-account=lab", 257),
        ('user=a,server=print-1,"printer=Zebra', 257),
    ],
)
def test_a_job_is_refused(site: Site, details: str, code: int) -> None:
    assert fault(site.proxy().processJob, TOKEN, details).faultCode == code


def test_nobody_unknown_is_charged_where_users_are_not_made_by_printing(
    site: Site, user: str, new_name: Callable[[], str]
) -> None:
    api, key = site.proxy(), "users.create-at-first-print"
    api.setUserProperty(TOKEN, user, "username-alias", f"also-{user}")
    api.setConfigValue(TOKEN, key, "false")
    try:
        wait_until(lambda: refused_as_unknown(site, new_name()), 15, "the setting was in force")
        assert api.processJob(TOKEN, f"user=also-{user},server=print-1,printer=Zebra,cost=1") is True
    finally:
        api.setConfigValue(TOKEN, key, "true")
        wait_until(lambda: not refused_as_unknown(site, new_name()), 15, "unknown users were made again")
    assert units(site, user) == -10_000


def refused_as_unknown(site: Site, name: str) -> bool:
    try:
        site.proxy().processJob(TOKEN, f"user={name},server=print-1,printer=Zebra")
    except xmlrpc.client.Fault as error:
        return error.faultCode == 262
    return False


# ---------------------------------------------------------------- imports


def ended(site: Site) -> str:
    """The message of the task that was begun last, once it has ended."""
    api = site.proxy()
    wait_until(lambda: api.getTaskStatus()["completed"], 90, "the task to end")
    status = api.getTaskStatus(TOKEN)
    assert status["completed"] is True
    return str(status["message"])


def test_users_are_imported_in_the_background(
    site: Site, user: str, new_name: Callable[[], str], tmp_path: Path
) -> None:
    api, new, other = site.proxy(), new_name(), new_name()
    file = tmp_path / "users.tsv"
    file.write_text(
        f"{user}\t2.50\tY\tAnn\tann@x\n{new}\t1\tN\tBob\t\t\t\tcard-{new}\n{other}\tmuch\n{other}\t\t\t\t\t\t\tcard-{new}\n"
    )
    assert api.batchImportUsers(TOKEN, str(file), True) is True
    lines = ended(site).splitlines()
    assert lines[-1] == "1 created, 1 changed, 0 unchanged, 2 refused"
    assert [line.partition(":")[0] for line in lines[:-1]] == ["Line 3", "Line 4"]
    assert api.getTaskStatus()["message"] == lines[-1]
    assert api.getUserProperties(TOKEN, user, ["balance", "restricted", "full-name"]) == ["2.5", "true", "Ann"]
    assert api.getUserProperties(TOKEN, new, ["balance", "card-number"]) == ["1.0", f"card-{new}"]
    assert api.batchImportUsers(TOKEN, str(file), True) is True
    assert ended(site).splitlines()[-1] == "0 created, 0 changed, 2 unchanged, 2 refused"
    assert units(site, user) == 25_000


def test_without_create_and_of_cards(site: Site, user: str, new_name: Callable[[], str], tmp_path: Path) -> None:
    api, new = site.proxy(), new_name()
    file = tmp_path / "cards.txt"
    file.write_text(f"{user}\tnew-{user}\t1234\n{new}\tnew-{new}\n")
    assert api.batchImportUserCardIdNumbers(TOKEN, str(file), True) is True
    assert ended(site) == "0 created, 1 changed, 1 unchanged, 0 refused"
    assert api.lookUpUserNameByCardNo(TOKEN, f"new-{user}") == user
    assert api.batchImportUsers(TOKEN, str(file), False) is True
    assert "refused" in ended(site)
    assert api.isUserExists(TOKEN, new) is False


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("users.tsv", "whole path"),
        ("{folder}/nothing.tsv", "cannot be read"),
        ("{folder}/secret.toml", "must end with"),
        ("{folder}/link.tsv", "must end with"),
        ("{folder}", "must end with"),
    ],
)
def test_only_lists_are_read(site: Site, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "secret.toml").write_text("password")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "secret.toml")
    refused = fault(site.proxy().batchImportUsers, TOKEN, name.format(folder=tmp_path), True)
    assert says in refused.faultString


def test_a_file_that_is_no_list_ends_the_task(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(b"m\xfcller\n")
    assert site.proxy().batchImportUsers(TOKEN, str(file), True) is True
    assert "The file was refused, line 1 is neither UTF-8" in ended(site)


def test_one_at_a_time_and_broken_off_is_told(site: Site, tmp_path: Path) -> None:
    api = site.proxy()
    file = tmp_path / "none.csv"
    file.write_text("")
    ended(site)
    now = {"kind": "batchImportUsers", "actor": "x", "completed": False, "message": "500 of 900 users"}
    with site.database.connect(writing=True) as conn:
        stamp = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        if conn.dialect.name == "postgresql":
            stamp = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        at = conn.exec_driver_sql(stamp).scalar_one()
        task_id = conn.execute(
            sa.insert(task).values(**now, started_at=at, updated_at=at).returning(task.c.task_id)
        ).scalar_one()
    assert api.getTaskStatus() == {"completed": False, "message": "500 of 900 users"}
    assert "under way" in fault(api.batchImportUsers, TOKEN, str(file), True).faultString
    with site.database.connect(writing=True) as conn:
        conn.execute(sa.update(task).where(task.c.task_id == task_id).values(updated_at=at - 120_000))
    status = api.getTaskStatus()
    assert status["completed"] is True
    assert "broken off" in status["message"]
    assert api.batchImportUsers(TOKEN, str(file), True) is True
    assert ended(site) == "0 created, 0 changed, 0 unchanged, 0 refused"


def test_who_may_and_who_is_told(site: Site, tmp_path: Path) -> None:
    with site.database.connect(writing=True) as conn:
        token = create_token(conn, "auditor", "an auditor of tests", "test")
    api = site.proxy()
    assert "may not call" in fault(api.batchImportUsers, token, "/x.csv", True).faultString
    assert "may not call" in fault(api.processJob, token, "user=a").faultString
    assert isinstance(api.getTaskStatus(token)["completed"], bool)
    assert "not valid" in fault(api.getTaskStatus, "a wrong token").faultString


# ---------------------------------------------------------------- backups


def test_a_backup_is_made_in_the_background_and_the_newest_are_kept(site: Site, user: str) -> None:
    folder = site.server.config.parent / "backups"
    folder.mkdir(exist_ok=True)
    others = ["inkeeper-20010101T000000Z.zip", "inkeeper-20020101T000000Z.zip", "by-hand.zip"]
    for name in others:
        (folder / name).touch()
    assert site.proxy().performOnlineBackup(TOKEN) is True
    assert "was made" in ended(site)
    there = sorted(found.name for found in folder.iterdir())
    new = there[-1]
    assert there == ["by-hand.zip", others[1], new]
    assert ended(site).startswith(f"The backup {new} was made, ")
    assert "sound" in site.server.command("restore", "--check", str(folder / new))
    with site.database.connect() as conn:
        (noted,) = find_audit(conn, action="backup-made", subject=new)
    assert noted.actor == "xmlrpc"
