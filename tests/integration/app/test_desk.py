"""Releasing and canceling from the console over a real server, also one that is killed or frozen while the desk works:
what is said of a job is what the ledger then shows."""

import signal
from collections.abc import Iterable, Iterator

import pytest
from PySide6.QtCore import QItemSelectionModel
from pytestqt.qtbot import QtBot

from app.core.outbox import Added, Record
from app.core.outbox_file import OutboxError, OutboxFile
from app.core.profiles import Profile
from app.qt.session import Session
from app.views.cancel import CancelDialog
from app.views.jobs import JobsPanel
from app.views.window import MainWindow
from backend.wire.jobs import Authorise, JobActionAnswer
from backend.wire.printers import QueueReport, SetQueue
from tests.integration.app.conftest import DEADLINE_MS
from tests.support.console_cluster import Cluster
from tests.support.console_system import PlayedProvider, System
from tests.support.console_world import job


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("system")) as made:
        made.server.shared = True
        made.add_person("mira", "Mira Novak", 10.0)
        yield made


@pytest.fixture(scope="module")
def provider(system: System) -> PlayedProvider:
    queues = [QueueReport(name=name, tracked=True, printer_state="idle") for name in ("hold", "free")]
    made = system.add_provider("print-01", queues)
    system.change_queue("hold", SetQueue(hold_jobs=True))
    return made


@pytest.fixture
def jobs(window: MainWindow, session: Session, system: System, qtbot: QtBot) -> JobsPanel:
    connect(session, system, system.helpdesk, qtbot)
    return window.live.jobs


def connect(session: Session, system: System, token: str, qtbot: QtBot) -> None:
    session.open(Profile((system.url,), token))
    qtbot.waitUntil(lambda: session.store.state.connection.phase == "live", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)


def select(jobs: JobsPanel, *asked: Authorise, qtbot: QtBot) -> None:
    """Choose these jobs' rows, once they are there."""
    model, choice = jobs.model, jobs.table.selectionModel()
    qtbot.waitUntil(lambda: all(model.row_of(one.job_id) >= 0 for one in asked), timeout=DEADLINE_MS)
    choice.clearSelection()
    rows = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    for one in asked:
        choice.select(model.index(model.row_of(one.job_id), 0), rows)


def state(jobs: JobsPanel, asked: Authorise) -> str:
    return str(jobs.model.index(jobs.model.row_of(asked.job_id), 0).data())


def opened(jobs: JobsPanel) -> CancelDialog:
    assert isinstance(jobs.dialog, CancelDialog)
    return jobs.dialog


def told(jobs: JobsPanel) -> str:
    return jobs.told.accessibleName() if jobs.told.isVisible() else ""


def test_a_held_job_is_released_and_prints(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    held = system.authorise(provider, "hold", "mira", "Essay", 4)
    jobs._actions["jobs_held"].trigger()
    select(jobs, held, qtbot=qtbot)
    row = jobs.model.row_of(held.job_id)
    assert [jobs.model.index(row, column).data() for column in (0, 5, 6)] == [
        "Held",
        "0.20 EUR",
        "Waits to be released",
    ]
    jobs._actions["release_jobs"].trigger()
    qtbot.waitUntil(lambda: told(jobs) == "Released: “Essay” of mira.", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: jobs.model.row_of(held.job_id) < 0, timeout=DEADLINE_MS)  # it waits no more
    (decision,) = [found for found in system.decisions(provider) if found.job_id == held.job_id]
    assert decision.decision == "release"
    assert system.ask_again(provider, held).decision == "authorised"
    jobs._actions["jobs_all"].trigger()
    qtbot.waitUntil(lambda: jobs.model.row_of(held.job_id) >= 0, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: state(jobs, held) == "Authorised", timeout=DEADLINE_MS)


def test_several_are_canceled_with_a_reason_after_a_question(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    first = system.authorise(provider, "hold", "mira", "One", 2)
    second = system.authorise(provider, "hold", "mira", "Two", 3)
    select(jobs, first, second, qtbot=qtbot)
    jobs._actions["cancel_jobs"].trigger()
    dialog = opened(jobs)
    assert "“One” of mira: 2 pages on hold, 0.10 EUR" in dialog.facts.text()
    assert dialog.close_button.isDefault()
    dialog.reject()
    assert {state(jobs, first), state(jobs, second)} == {"Held"}
    jobs._actions["cancel_jobs"].trigger()
    dialog = opened(jobs)
    dialog.reason.setText("wrong printer")
    dialog.act_button.click()
    assert jobs.dialog is None
    qtbot.waitUntil(lambda: told(jobs) == "2 canceled.", timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: {state(jobs, first), state(jobs, second)} == {"Canceled"}, timeout=DEADLINE_MS)
    reasons = {found.reason for found in system.decisions(provider) if found.job_id in (first.job_id, second.job_id)}
    assert reasons == {"This job was canceled by the help desk: wrong printer"}


def test_where_the_disk_fills_up_in_the_middle_it_is_said_how_many_were_sent(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = system.authorise(provider, "hold", "mira", "Early", 2)
    second = system.authorise(provider, "hold", "mira", "Late", 2)
    select(jobs, first, second, qtbot=qtbot)
    append, kept = OutboxFile.append, []

    def full(file: OutboxFile, records: Iterable[Record]) -> None:
        made = [record for record in records if isinstance(record, Added)]
        kept.extend(made)
        if made and len(kept) > 1:
            raise OutboxError("the outbox cannot be written: No space left on device")
        append(file, records)

    monkeypatch.setattr(OutboxFile, "append", full)
    jobs._actions["release_jobs"].trigger()
    said = "Only 1 of 2 were sent: the outbox cannot be written: No space left on device"
    qtbot.waitUntil(lambda: said in told(jobs), timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: "Held" in {state(jobs, first), state(jobs, second)}, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: "Released" in {state(jobs, first), state(jobs, second)}, timeout=DEADLINE_MS)


def test_what_is_to_be_looked_at_is_found(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    lost = system.authorise(provider, "free", "mira", "Lost end", 2)
    system.report(provider, lost, 2, "aborted", estimated=True, in_doubt=True)
    system.print_job(provider, "free", "mira", "Ordinary", 1)
    jobs._actions["jobs_look"].trigger()
    qtbot.waitUntil(lambda: jobs.model.rowCount() == 1, timeout=DEADLINE_MS)
    assert jobs.model.index(0, 3).data() == "Lost end"
    assert jobs.model.index(0, 6).data() == "estimated, print in doubt"


def test_a_server_killed_meanwhile_is_asked_again_and_the_job_is_released_once(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    held = system.authorise(provider, "hold", "mira", "Killed", 1)
    select(jobs, held, qtbot=qtbot)
    system.server.kill9()
    jobs._actions["release_jobs"].trigger()
    qtbot.waitUntil(lambda: told(jobs).startswith("Unknown whether “Killed” of mira was released"), timeout=DEADLINE_MS)
    (asked,) = jobs.desk.items
    system.server.start()
    system.server.wait_for_port(system.port, 60)
    qtbot.waitUntil(lambda: told(jobs) == "Released: “Killed” of mira.", timeout=DEADLINE_MS)
    assert [found.entry.command_id for found in jobs.desk.items] == [asked.entry.command_id]
    qtbot.waitUntil(lambda: state(jobs, held) == "Released", timeout=DEADLINE_MS)


def test_a_frozen_server_is_asked_again_under_the_same_id_and_does_it_once(
    jobs: JobsPanel, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    held = system.authorise(provider, "hold", "mira", "Frozen", 1)
    select(jobs, held, qtbot=qtbot)
    system.server.signal(signal.SIGSTOP)
    try:
        jobs._actions["release_jobs"].trigger()
        qtbot.waitUntil(lambda: told(jobs).startswith("Unknown"), timeout=DEADLINE_MS)
    finally:
        system.server.signal(signal.SIGCONT)
    qtbot.waitUntil(lambda: told(jobs) == "Released: “Frozen” of mira.", timeout=DEADLINE_MS)
    assert system.ask_again(provider, held).decision == "authorised"


def test_an_auditor_sees_why_it_may_not(
    window: MainWindow, session: Session, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    held = system.authorise(provider, "hold", "mira", "Watched", 1)
    connect(session, system, system.token("auditor", "looking"), qtbot)
    jobs = window.live.jobs
    select(jobs, held, qtbot=qtbot)
    action = jobs._actions["release_jobs"]
    assert not action.isEnabled()
    assert "role auditor does not allow it" in action.toolTip()
    assert not jobs.cancel_button.isEnabled()
    assert [entry.isEnabled() for entry in jobs.menu().actions()] == [False] * 4


def test_a_refusal_is_told_with_what_the_job_is_now(
    live: MainWindow, cluster: Cluster, session: Session, qtbot: QtBot
) -> None:
    """Somebody else was faster."""
    held = job(40, state="held", code="held-for-release", title="Fast", charged=0, cost=6000)
    answer = JobActionAnswer(code="job-not-held", message="This job is not held.", state="canceled")
    cluster.change(job_answer=answer)
    cluster.put_job(held)
    jobs = live.live.jobs
    qtbot.waitUntil(lambda: session.store.state.rights is not None, timeout=DEADLINE_MS)
    qtbot.waitUntil(lambda: jobs.model.row_of(held.job_id) >= 0, timeout=DEADLINE_MS)
    jobs.table.selectRow(jobs.model.row_of(held.job_id))
    jobs.release_button.click()
    wanted = "Not released: “Fast” of mira. This job is not held; it is canceled."
    qtbot.waitUntil(lambda: told(jobs) == wanted, timeout=DEADLINE_MS)


def test_no_answer_is_no_empty_list(live: MainWindow, cluster: Cluster, session: Session, qtbot: QtBot) -> None:
    jobs = live.live.jobs
    cluster.change(unavailable=["jobs"])
    jobs._actions["jobs_held"].trigger()
    qtbot.waitUntil(lambda: jobs.state_pane.accessibleName().startswith("No server answers"), timeout=DEADLINE_MS)
    cluster.change(unavailable=[])
    qtbot.waitUntil(lambda: jobs.state_pane.accessibleName().startswith("Nothing waits"), timeout=DEADLINE_MS)


def test_jobs_that_no_server_tells_are_no_loss_of_the_cluster(
    live: MainWindow, cluster: Cluster, session: Session, qtbot: QtBot
) -> None:
    """A server that answers 503 for the jobs only is a server still; the jobs come as soon as it tells them."""
    cluster.change(unavailable=["jobs"])
    read = session.store.state.topology_at
    session.reload()
    qtbot.waitUntil(lambda: session.store.state.topology_at > read, timeout=DEADLINE_MS)
    read = session.store.state.topology_at
    qtbot.waitUntil(lambda: session.store.state.topology_at > read, timeout=DEADLINE_MS)
    assert session.store.state.connection.phase == "live"
    new = job(60, title="After all")
    cluster.change(unavailable=[], jobs=[*cluster.world.jobs, new])
    qtbot.waitUntil(lambda: live.live.jobs.model.row_of(new.job_id) >= 0, timeout=DEADLINE_MS)


def test_an_administrator_sets_what_a_queue_holds(
    window: MainWindow, session: Session, system: System, provider: PlayedProvider, qtbot: QtBot
) -> None:
    connect(session, system, system.admin, qtbot)
    panel = window.live.topology
    queue_id = next(view.queue_id for view in system.queues() if view.name == "free")
    qtbot.waitUntil(lambda: f"queue:{queue_id}" in panel.scene.cards, timeout=DEADLINE_MS)
    window.operations.open("edit-queue", str(queue_id))
    dialog = window.operations.queue_dialog
    assert dialog is not None
    dialog.hold.setChecked(True)
    dialog.partial.setCurrentIndex(dialog.partial.findData("nothing"))
    dialog.save()
    qtbot.waitUntil(lambda: dialog.told.text().startswith("Changed"), timeout=DEADLINE_MS)
    dialog.reject()
    (found,) = [view for view in system.queues() if view.name == "free"]
    assert (found.hold_jobs, found.partial_charge, found.offline_policy) == (True, "nothing", "default")
    system.change_queue("free", SetQueue(hold_jobs=False))
