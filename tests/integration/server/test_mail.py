"""Mail about what happened to the cluster, through a real SMTP conversation: once for each event, lost for none."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.base.settings import SettingsError
from backend.cluster import history, service
from backend.cluster.model import MemberRow, Snapshot
from backend.db.engine import Database
from backend.db.migrate import migrate
from backend.notices.mail import Mailer, MailSettings
from backend.notices.model import MAX_TRIES
from backend.notices.notifier import Notifier
from backend.notices.tables import notice, notice_cursor
from tests.support.app_server import AppServer
from tests.support.processes import run, wait_until
from tests.support.smtp import SmtpSink

MEMBER = MemberRow("one", "p", "http://192.0.2.1:9191", "serving", "1", 0)
SNAPSHOT = Snapshot(cluster_id="c", generation=1, members=(MEMBER,))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    found = Database(url)
    migrate(found)
    yield found
    found.close()


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as found:
        yield found


def settings(sink: SmtpSink, **more: object) -> MailSettings:
    values: dict[str, object] = {"server": sink.address, "sender": "ik@a.test", "to": "admin@a.test", "starttls": False}
    return MailSettings(**{**values, **more})  # type: ignore[arg-type]


class Leader:
    """A process that took the lease, and its notifier."""

    def __init__(self, database: Database, process: str, found: MailSettings) -> None:
        self.database, self.process = database, process
        with database.connect(writing=True) as conn:
            seen = service.read_lease(conn)
            term = service.take_over(conn, seen.term, seen.beat, process, process)
        assert term is not None
        self.term = term
        self.notifier = Notifier(database, process, Mailer(found), lambda: SNAPSHOT)

    def tend(self) -> None:
        asyncio.run(self.notifier.tend(self.term))

    def record(self, kind: history.Kind = "member-gone", subject: str = "two") -> None:
        with self.database.connect(writing=True) as conn:
            history.record(conn, kind, subject, term=self.term, cause="no sign of life")

    def due_now(self) -> None:
        """Let the pause after a failure be over."""
        with self.database.connect(writing=True) as conn:
            conn.execute(notice.update().values(next_at=0))


def test_one_mail_for_each_event_that_is_worth_one(database: Database, sink: SmtpSink) -> None:
    leader = Leader(database, "p1", settings(sink, to="admin@a.test, helpdesk@a.test"))
    leader.record(subject="before anybody asked for mail")
    leader.tend()
    leader.record()
    leader.record("cluster-paused", "cluster")
    leader.record("redundancy-lost", "db-2")
    for _ in range(3):
        leader.tend()
    assert sink.subjects() == [
        "[Inkeeper] Redundancy is lost: db-2",
        "[Inkeeper] Server two is gone; only one server is left",
    ]
    first = sink.mails[0]
    assert (first["From"], first["To"]) == ("ik@a.test", "admin@a.test, helpdesk@a.test")
    assert first["Auto-Submitted"] == "auto-generated"
    assert "no sign of life" in first.get_content()
    assert leader.notifier.sent_count == 2
    assert len(set(sink.ids())) == 2


def test_a_new_leader_sends_what_was_not_sent_and_nothing_again(database: Database, sink: SmtpSink) -> None:
    first = Leader(database, "p1", settings(sink))
    first.tend()
    first.record(subject="a")
    first.tend()
    first.record(subject="b")
    sink.mood = "refuse"
    first.tend()
    sink.mood = "take"
    second = Leader(database, "p2", settings(sink))
    second.due_now()
    second.tend()
    first.record(subject="c")
    first.tend()  # it does not know yet that it leads no more
    assert [subject.split()[2] for subject in sink.subjects() if "gone" in subject] == ["a", "b"]
    second.tend()
    assert [subject.split()[2] for subject in sink.subjects() if "gone" in subject] == ["a", "b", "c"]
    assert len(sink.ids()) == len(set(sink.ids()))


def test_a_leader_that_dies_before_it_noted_the_sending_is_repeated_under_the_same_id(
    database: Database, sink: SmtpSink
) -> None:
    first = Leader(database, "p1", settings(sink))
    first.tend()
    first.record()
    sink.mood = "take and hang up"  # as good as dead after it: that it was taken is not known
    first.tend()
    assert len(sink.mails) == 1
    sink.mood = "take"
    second = Leader(database, "p2", settings(sink))
    second.due_now()
    second.tend()
    gone = [mail["Message-ID"] for mail in sink.mails if "is gone" in mail["Subject"]]
    assert len(gone) == 2
    assert len(set(gone)) == 1


def test_a_mail_server_that_is_away_is_tried_again_with_growing_pauses(
    database: Database, sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    leader = Leader(database, "p1", settings(sink))
    leader.tend()
    leader.record()
    sink.mood = "refuse"
    for _ in range(3):
        leader.tend()
    assert sink.tries == 1  # the pause is not over
    for _ in range(2):
        leader.due_now()
        leader.tend()
    assert sink.tries == 3
    assert leader.notifier.waiting.count == 1
    assert "451" in leader.notifier.trouble
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    sink.mood = "take"
    leader.due_now()
    leader.tend()
    assert len(sink.mails) == 1
    leader.tend()
    assert (leader.notifier.waiting.count, leader.notifier.trouble) == (0, "")


def test_an_old_mail_is_an_error_in_the_log_once(
    database: Database, sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    leader = Leader(database, "p1", settings(sink))
    leader.tend()
    leader.record()
    sink.mood = "refuse"
    leader.tend()
    with database.connect(writing=True) as conn:
        conn.execute(notice.update().values(created_at=notice.c.created_at - 3_600_000))
    for _ in range(2):
        leader.tend()
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert leader.notifier.waiting.oldest_s > 3000


def test_it_is_given_up_after_many_tries(database: Database, sink: SmtpSink) -> None:
    leader = Leader(database, "p1", settings(sink))
    leader.tend()
    leader.record()
    sink.mood = "refuse"
    leader.tend()
    with database.connect(writing=True) as conn:
        conn.execute(notice.update().values(tries=MAX_TRIES - 1, next_at=0))
    leader.tend()
    sink.mood = "take"
    leader.due_now()
    leader.tend()
    assert (sink.mails, leader.notifier.waiting.count) == ([], 0)


def test_starttls_and_log_in(database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key, password = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "password"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, *subject])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with SmtpSink(context, ("ik", "a-secret-word")) as sink:
        found = settings(sink, starttls=True, ca=str(cert), user="ik", password_file=str(password))
        password.write_text("a-wrong-word\n")
        leader = Leader(database, "p1", found)
        leader.tend()
        leader.record()
        leader.tend()
        assert "535" in leader.notifier.trouble
        assert "a-wrong-word" not in caplog.text
        password.write_text("a-secret-word\n")
        second = Leader(database, "p2", found)
        second.due_now()
        second.tend()
        assert sum("is gone" in subject for subject in sink.subjects()) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"server": "mail.test"}, "host:port"),
        ({"sender": "nobody"}, "sender"),
        ({"to": ""}, "to:"),
        ({"user": "ik"}, "password_file"),
        ({"server": "mail.test:25", "user": "ik", "password_file": "/dev/null"}, "starttls"),
        ({"starttls": True, "ca": "/none.pem"}, "ca: /none.pem"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(
    sink: SmtpSink, change: dict[str, object], word: str
) -> None:
    with pytest.raises(SettingsError, match=word):
        Mailer(settings(sink, **change))


def test_the_death_of_a_leader_is_told_by_the_next(tmp_path: Path, postgres_url: str, sink: SmtpSink) -> None:
    """Real servers: a failover and a lost server, one mail each."""
    section = f'\n[mail]\nserver = "{sink.address}"\nsender = "ik@a.test"\nto = "admin@a.test"\nstarttls = false\n'
    one, two = (
        AppServer(tmp_path, database_url=postgres_url, name=name, more=section) for name in ("one", "two")
    )  # fmt: skip
    with one, two:
        wait_until(lambda: "leads now" in one.process.written(), 60, "the first to lead")
        wait_until(lambda: cursor(postgres_url), 60, "the history to be followed")
        one.process.kill9()
        wait_until(lambda: len(sink.mails) >= 2, 90, "the mails")
    assert sink.subjects() == [
        "[Inkeeper] Failover: two leads now",
        "[Inkeeper] Server one is gone; only one server is left",
    ]


def cursor(url: str) -> str:
    database = Database(url)
    try:
        with database.connect() as conn:
            return conn.scalar(sa.select(notice_cursor.c.event)) or ""
    finally:
        database.close()
