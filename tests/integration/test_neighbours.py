"""The neighbours themselves, without Inkeeper: what tests stand on must hold before anything is concluded from them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import psycopg
import pytest

from tests.support.cupsd import PrivateCupsd
from tests.support.postgresql import Postgres
from tests.support.printer import IppPrinter
from tests.support.processes import Failed, Process, alive, session_members, wait_until
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A PDF of three empty A4 pages."""
    path = tmp_path / "three pages.pdf"
    with pikepdf.new() as pdf:
        for _ in range(3):
            pdf.add_blank_page(page_size=(595, 842))
        pdf.save(path)
    return path


@pytest.fixture
def printer(scratch: Path) -> Iterator[IppPrinter]:
    with IppPrinter(scratch / "printer") as printer:
        yield printer


@pytest.fixture
def cupsd(scratch: Path) -> Iterator[PrivateCupsd]:
    with PrivateCupsd(scratch / "cups") as cupsd:
        yield cupsd


def test_a_document_printed_by_lp_comes_out_of_the_printer(
    cupsd: PrivateCupsd, printer: IppPrinter, document: Path
) -> None:
    cupsd.add_queue("Office", printer.uri)
    job_id = cupsd.lp("Office", document, user="zoë", copies=2, title="Größe", options=["sides=two-sided-long-edge"])
    job = cupsd.wait_for_state(job_id)
    assert (job.state, job.user_name, job.title) == ("completed", "zoë", "Größe")

    (printout,) = printer.printouts()
    assert printout.complete
    assert (printout.user_name, printout.title, printout.copies) == ("zoë", "Größe", 2)
    # CUPS pads three pages to four: a collated copy begins on a new sheet.
    assert (printout.pages, printout.impressions, printout.sheets) == (4, 8, 4)
    with pikepdf.open(printout.document) as kept:
        assert len(kept.pages) == 4


def test_a_slow_printer_can_be_seen_half_way(cupsd: PrivateCupsd, printer: IppPrinter, document: Path) -> None:
    cupsd.add_queue("Slow", printer.uri)
    printer.behave(impression_s=0.3)
    job_id = cupsd.lp("Slow", document)
    half = wait_until(printer.printouts, 30, "the document to be begun")
    assert not half[0].complete
    cupsd.wait_for_state(job_id)
    assert printer.wait_for_printouts(1)[0].impressions == 3


def test_a_killed_cupsd_runs_its_job_again_and_leaves_nothing_when_stopped(
    cupsd: PrivateCupsd, printer: IppPrinter, document: Path
) -> None:
    cupsd.add_queue("Crash", printer.uri)
    printer.behave(impression_s=0.4)
    job_id = cupsd.lp("Crash", document)
    wait_until(printer.printouts, 30, "the document to be begun")
    first_life = cupsd.process.pid
    uuid = cupsd.job(job_id).job_uuid
    cupsd.kill9()
    assert session_members(first_life), "the backend should live on as an orphan"
    cupsd.start()
    assert cupsd.wait_for_state(job_id).job_uuid == uuid
    assert len(printer.printouts()) == 2, "cupsd prints it twice when nobody stops it"
    cupsd.stop()
    assert not session_members(first_life)


def test_queues_are_changed_by_root_alone(cupsd: PrivateCupsd) -> None:
    cupsd.add_raw_queue("Raw", "file:///dev/null")
    assert cupsd.device_uri("Raw") == "file:///dev/null"
    with pytest.raises(Failed, match=r"Unauthorized|Forbidden"):
        cupsd.set_device_uri("Raw", "file:///tmp/elsewhere", server=f"127.0.0.1:{cupsd.port}")
    assert cupsd.device_uri("Raw") == "file:///dev/null"


def test_a_program_ends_with_what_it_started(tmp_path: Path) -> None:
    script = "sleep 300 & sleep 300 & echo ready; wait"
    with Process("shell", ["sh", "-c", script], log=tmp_path / "log") as shell:
        shell.wait_for_line("^ready$")
        shell.kill9()
        orphans = session_members(shell.pid)
        assert len(orphans) == 2
    assert not any(alive(pid) for pid in orphans)


def test_a_strangers_process_with_a_used_number_is_not_touched(tmp_path: Path) -> None:
    ours = Process("ours", ["true"], log=tmp_path / "log").start()
    ours.wait_for_end()
    with Process("stranger", ["sleep", "300"], log=tmp_path / "log") as stranger:
        ours.sessions.append(stranger.pid)  # as when the number of our ended session is given to a new process
        assert ours.leftovers() == []
        ours.stop()
        assert stranger.running


def test_a_program_that_ends_early_says_why(tmp_path: Path) -> None:
    process = Process("broken", ["sh", "-c", "echo no such thing; exit 3"], log=tmp_path / "log")
    with pytest.raises(Failed, match=r"ended with 3 before(.|\n)*no such thing"), process:
        process.wait_for_line("never written")


# ---------------------------------------------------------------- PostgreSQL


def test_each_test_has_a_database_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (n integer)")
        (where,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    assert str(where).startswith(f"test_{os.getpid()}_")


def test_postgresql_comes_back_from_a_power_cut(scratch: Path, postgres_template: Path) -> None:
    with Postgres(scratch / "pg", template=postgres_template, fsync=True) as server:
        server.execute("CREATE TABLE kept (n integer)")
        server.execute("INSERT INTO kept VALUES (1)")
        server.kill9()
        assert not server.answers()
        server.start()
        assert server.execute("SELECT n FROM kept") == [(1,)]


def test_a_synchronous_standby_has_what_was_committed(scratch: Path, postgres_template: Path) -> None:
    with Postgres(scratch / "a", template=postgres_template) as primary, primary.make_standby(scratch / "b", "b") as b:
        primary.wait_for_standbys("b")
        primary.set_synchronous_standbys("b")
        primary.execute("CREATE TABLE kept (n integer)")
        primary.execute("INSERT INTO kept VALUES (7)")
        primary.kill9()
        b.promote()
        assert b.execute("SELECT n FROM kept") == [(7,)]


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_the_proxy_cuts_around_a_commit(
    postgres: Postgres, postgres_url: str, when: str, rows: int, pipelined: bool
) -> None:
    database = postgres_url.rpartition("/")[2]
    postgres.execute("CREATE TABLE kept (n integer)", database)
    with TcpProxy(postgres.port) as proxy:
        connection = psycopg.connect(postgres.url(database, proxy.port), autocommit=True)
        connection.execute("SELECT 1")
        (proxy.cut_before_commit if when == "before" else proxy.cut_after_commit)()
        with pytest.raises(psycopg.OperationalError):
            _insert(connection, pipelined)
        assert proxy.fired.wait(10)
        with psycopg.connect(postgres.url(database, proxy.port)) as second:
            assert second.execute("SELECT count(*) FROM kept").fetchone() == (rows,)
        connection.close()


def _insert(connection: "psycopg.Connection[tuple[object, ...]]", pipelined: bool) -> None:
    if pipelined:
        with connection.pipeline():
            connection.execute("BEGIN")
            connection.execute("INSERT INTO kept VALUES (1)")
            connection.execute("COMMIT", prepare=True)
    else:
        with connection.transaction():
            connection.execute("INSERT INTO kept VALUES (1)")


def test_the_proxy_freezes_cuts_and_refuses(postgres: Postgres) -> None:
    with TcpProxy(postgres.port) as proxy:
        connection = psycopg.connect(postgres.url(port=proxy.port), autocommit=True)
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        proxy.refuse()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url(port=proxy.port))
        proxy.accept()
        with psycopg.connect(postgres.url(port=proxy.port)) as again:
            proxy.cut_after_bytes(20)
            with pytest.raises(psycopg.OperationalError):
                again.execute("SELECT repeat('x', 1000)")
        proxy.freeze()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.url(port=proxy.port), connect_timeout=2)
        proxy.thaw()
