"""Pictures of the console, drawn without a screen from a real server with a few people, print servers and jobs.

`python -m scripts.pictures` writes every view in both schemes and two sizes to build/pictures and those for the
documents to docs/images. With `--server URL --token-file FILE` the pictures are of a system that already runs.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from app.core.profiles import Profile, read_token, server_urls
from app.views.money import AdjustDialog
from backend.wire.jobs import JobFacts
from backend.wire.pricing import MediaCost, PageCost, SimpleCost, StandardCost
from backend.wire.printers import PrinterState, QueueReport, SetQueue, Supply
from scripts.administration_pictures import photograph_administration
from scripts.cluster_pictures import photograph_cluster, photograph_states
from scripts.photographer import ROOT, Photographer
from tests.support.console_system import System
from tests.support.folders import scratch_folder


def photograph(camera: Photographer, profile: Profile, person: str) -> None:
    """Every view of a running system."""
    window = camera.window
    camera.take("no-cluster")
    window.ask_connection()
    camera.take("connect")
    window.show_page(window.live)
    camera.connect(profile)
    camera.take("live")
    window.actions_["tree"].trigger()
    camera.take("table")
    window.actions_["graph"].trigger()
    first = next(iter(window.live.topology.scene.cards.values()))
    window.live.topology.scene.chosen.emit(first.node.id)
    first.setSelected(True)
    camera.take("details")
    window.live.topology.details.dismiss()
    window.live.topology.scene.clearSelection()
    photograph_desk(camera)
    window.actions_["find"].trigger()
    camera.take("look-up-empty")
    window.people.search.field.setText(person[:3])
    camera.wait("people to be found", lambda: window.people.search.model.rowCount() > 0)
    window.people.person.open_person(person)
    camera.wait("the person", lambda: window.people.person.jobs.rowCount() > 0)
    camera.take("look-up")
    photograph_money(camera)
    window.people.search.field.setText("zzzz")
    camera.wait("nobody to be found", lambda: window.people.search.model.rowCount() == 0)
    camera.take("look-up-nobody")
    window.show_page(window.live)


def photograph_money(camera: Photographer) -> None:
    """The dialogs that move money, filled in."""
    panel = camera.window.people.person
    panel.adjust()
    adjust = panel.dialog
    if isinstance(adjust, AdjustDialog):
        adjust.amount.setText("2.50")
        adjust.reason.setText("Paper jam, third floor")
        camera.take("adjust")
        adjust.reject()
    charged = next((row for row in range(panel.jobs.rowCount()) if panel.jobs.index(row, 0).data() == "Completed"), 0)
    panel.jobs_table.selectRow(charged)
    panel.refund()
    if panel.dialog is not None:
        camera.take("refund")
        panel.dialog.reject()


def photograph_desk(camera: Photographer) -> None:
    """The jobs that wait, the queue that holds them, and those to look at."""
    window, jobs = camera.window, camera.window.live.jobs
    window.actions_["jobs_held"].trigger()
    camera.wait("the held jobs", lambda: jobs.state_pane.isVisible() or _states(camera) == {"Held"})
    jobs.table.selectRow(0)
    camera.take("held")
    window.actions_["jobs_look"].trigger()
    camera.wait("the answer", lambda: jobs.model.rowCount() > 0 or jobs.state_pane.isVisible())
    camera.take("to-look-at")
    window.actions_["jobs_all"].trigger()
    topology = camera.session.store.state.topology
    for view in topology.queues if topology is not None else ():
        if view.supplies:
            window.live.topology.scene.chosen.emit(f"queue:{view.queue_id}")
            camera.take("queue")
            break
    window.live.topology.details.dismiss()


def _states(camera: Photographer) -> set[str]:
    """Of the jobs that are listed on the live page."""
    model = camera.window.live.jobs.model
    return {str(model.index(row, 0).data()) for row in range(model.rowCount())}


def _logged_in(camera: Photographer) -> str:
    rights = camera.session.store.state.rights
    return rights.caller.name if rights is not None and rights.caller is not None else ""


def photograph_safety(camera: Photographer, system: System) -> None:
    """A person of the help desk logs in and moves money: what is told, also while a server is silent."""
    window, session = camera.window, camera.session
    system.operator("maria", "helpdesk", "a password of the pictures", "Maria Berg", each=200_000, day=1_000_000)
    pane, panel = window.connect_pane, window.people.person
    window.ask_connection()
    pane.choose(0)
    pane.servers.setText(system.url)
    pane.name.setText("maria")
    pane.password.setText("wrong")
    pane.connect_button.click()
    camera.wait("the refusal", lambda: "wrong" in pane.problem.text())
    camera.take("log-in-refused")
    pane.password.setText("a password of the pictures")
    pane.connect_button.click()
    camera.wait("the log-in", lambda: _logged_in(camera) == "maria" and session.desk.why_not() == "")
    camera.wait("the live page", window.live.isVisible)
    window.actions_["find"].trigger()
    window.people.search.field.setText("wei")
    panel.open_person("wei")
    camera.wait("the person", window.actions_["adjust"].isEnabled)
    denied: list[int] = []

    def found() -> bool:
        denied[:] = [row for row in range(panel.jobs.rowCount()) if panel.jobs.index(row, 0).data() == "Denied"]
        return bool(denied)

    camera.wait("the denied job", found)
    panel.jobs_table.selectRow(denied[0])
    camera.take("why-denied")
    window.actions_["adjust"].trigger()
    form = panel.dialog
    assert isinstance(form, AdjustDialog)
    form.amount.setText("2.50")
    form.reason.setText("Cash at the desk")
    form.act_button.click()
    camera.wait("the answer", lambda: panel.told.accessibleName().startswith("Adjusted"))
    camera.take("adjusted")
    system.server.signal(signal.SIGSTOP)
    try:
        window.actions_["adjust"].trigger()
        form = panel.dialog
        assert isinstance(form, AdjustDialog)
        form.amount.setText("−0.40")
        form.reason.setText("Printed for somebody else")
        form.act_button.click()
        camera.wait("no answer", lambda: panel.told.accessibleName().startswith("Unknown"))
        camera.take("unknown")
    finally:
        system.server.signal(signal.SIGCONT)
    camera.wait("the answer", lambda: panel.told.accessibleName().startswith("Adjusted"))


def photograph_trouble(camera: Photographer, system: System) -> None:
    """What a role without rights sees, a refused token, and a server that died."""
    window, store = camera.window, camera.session.store
    camera.session.open(Profile((system.url,), "ik_not-a-token"))
    camera.wait("the refusal", lambda: store.state.connection.phase == "failed")
    camera.take("not-signed-in")
    camera.connect(Profile((system.url,), system.admin))
    window.show_page(window.live)
    system.server.kill9()
    camera.wait("the loss to be seen", lambda: window.live.topology.scene.graph.nodes[0].health == "unknown")
    camera.wait("the next try to be announced", lambda: store.state.connection.retry_at is not None)
    camera.take("server-died")
    camera.session.open(Profile((system.url,), system.admin))
    camera.wait("the refusal", lambda: store.state.connection.retry_at is not None)
    camera.take("no-server")


README: Final = {
    "live-dark-1280x800.png": "console.png",
    "drain-plan-dark-1280x800.png": "console-drain.png",
    "print-log-light-1280x800.png": "console-print-log.png",
    "queue-prices-dark-1280x800.png": "console-prices.png",
    "look-up-light-1280x800.png": "console-person.png",
    "adjust-dark-1280x800.png": "console-adjust.png",
}

# ---------------------------------------------------------------- a system to look at

PEOPLE: Final = (
    ("mira", "Mira Novak", 18.45, "Physics"),
    ("miriam", "Miriam Okafor", 0.35, "Law"),
    ("mirko", "Mirko Sanders", 52.0, "Computing"),
    ("wei", "Wei Zhang", 2.1, "Design"),
    ("anna", "Anna Kowalska", 9.6, "History"),
    ("tomas", "Tomás Herrera", 31.2, "Library"),
)

JOBS: Final = (
    ("library-a4", "anna", "Seminar notes, week 3", 14),
    ("library-color", "tomas", "New arrivals poster", 6),
    ("physics-a4", "mira", "Problem sheet 7", 4),
    ("physics-a4", "mirko", "Lab report, optics", 22),
    ("library-a4", "wei", "Portfolio, second draft", 96),
    ("library-a4", "mira", "Thesis, chapters 1 to 4", 88),
    ("library-color", "miriam", "Moot court bundle", 64),
    ("physics-a4", "anna", "Sources, 1848", 31),
    ("library-a4", "tomas", "Opening hours", 2),
    ("library-a4", "mira", "Thesis, chapter 5", 26),
)


def queue(name: str, location: str, address: str, state: PrinterState = "idle", tracked: bool = True) -> QueueReport:
    return QueueReport(
        name=name,
        tracked=tracked,
        device_uri=f"inkeeper:/ipp://{address}/ipp/print",
        location=location,
        printer_state=state,
        printer_state_reasons=("media-jam",) if state == "stopped" else (),
    )


A4: Final = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2000, color_duplex=1600)
A3: Final = PageCost(grayscale_simplex=1000, grayscale_duplex=800, color_simplex=4000, color_duplex=3200)
TABLE: Final = StandardCost(default=A4, media=(MediaCost(media="a3", cost=A3),))
HELD: Final = (("mira", "Moot court bundle", 12), ("tomas", "Poster, final", 3), ("anna", "Map of the archive", 8))
SUPPLIES: Final = (
    Supply(name="Black toner", level=64, color="#000000", kind="toner"),
    Supply(name="Cyan toner", level=38, color="#00B7EB", kind="toner"),
    Supply(name="Magenta toner", level=71, color="#D0006F", kind="toner"),
    Supply(name="Yellow toner", level=6, color="#FFD400", kind="toner", low=True),
    Supply(name="Waste toner box", level=-3, kind="waste-toner"),
)


def furnish(system: System) -> None:
    """People, two print servers, and a morning's jobs."""
    for name, full_name, balance, department in PEOPLE:
        system.add_person(name, full_name, balance, department, restricted=name != "tomas")
    library = system.add_provider(
        "print-library",
        [
            queue("library-a4", "Library, ground floor", "10.20.4.11", "processing"),
            msgspec.structs.replace(
                queue("library-color", "Library, ground floor", "10.20.4.12"),
                supplies=SUPPLIES,
                media_ready=("iso_a4_210x297mm", "iso_a3_297x420mm"),
            ),
            queue("library-plotter", "Library, map room", "10.20.4.19", "stopped"),
        ],
    )
    physics = system.add_provider(
        "print-physics",
        [
            queue("physics-a4", "Physics, room 2.14", "10.20.7.11"),
            queue("physics-office", "Physics, office", "10.20.7.30", tracked=False),
        ],
    )
    system.change_queue("library-color", SetQueue(cost=TABLE))
    system.change_queue("physics-a4", SetQueue(cost=SimpleCost(per_impression=600, duplex_discount=25)))
    for name, user, title, impressions in JOBS:
        provider = library if name.startswith("library") else physics
        job = system.authorise(provider, name, user, title, impressions, _facts(name, impressions))
        if title == "Thesis, chapter 5":
            provider.open_jobs.append(job.job_id)
        elif impressions * 500 <= 10_000 * next(balance for login, _, balance, _ in PEOPLE if login == user):
            system.report(
                provider, job, impressions, estimated=title.startswith("Lab"), offline=title.startswith("Opening")
            )
            if title.startswith("Lab"):
                system.refund(job, 4, "Four pages came out blank")

    system.change_queue("library-color", SetQueue(hold_jobs=True))
    for user, title, impressions in HELD:
        system.authorise(library, "library-color", user, title, impressions, _facts("library-color", impressions))
    lost = system.authorise(library, "library-a4", "wei", "Portfolio, half of it", 9, _facts("library-a4", 9))
    system.report(library, lost, 9, "aborted", estimated=True, in_doubt=True)


def _facts(queue_name: str, impressions: int) -> JobFacts:
    """What such a document would be: in colour on the colour printer, on both sides where it is long."""
    long = impressions > 20
    return JobFacts(
        impressions=impressions,
        sheets=(impressions + 1) // 2 if long else impressions,
        color_impressions=impressions if queue_name.endswith("color") else 0,
        sides="two-sided-long-edge" if long else "one-sided",
        media="iso_a4_210x297mm",
        document_format="application/pdf",
    )


@contextmanager
def own_system() -> Iterator[System]:
    with scratch_folder("ik-pictures-") as folder, System(folder) as system:
        furnish(system)
        yield system


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pictures", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "pictures", help="folder for the pictures")
    parser.add_argument("--server", metavar="URL[,URL…]", help="take them from a system that runs")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a token for that system")
    parser.add_argument("--person", default="mira", help="whose balance to show")
    options = parser.parse_args(arguments)
    camera = Photographer(options.out)
    try:
        if options.server:
            photograph(camera, Profile(server_urls(options.server), read_token(options.token_file)), options.person)
            return 0
        with own_system() as system:
            photograph(camera, Profile((system.url,), system.helpdesk), options.person)
            photograph_administration(camera, system)
            photograph_safety(camera, system)
            photograph_trouble(camera, system)
        photograph_cluster(camera)
        photograph_states(camera)
    finally:
        camera.close()
    for picture, name in README.items():
        shutil.copy(options.out / picture, ROOT / "docs" / "images" / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
