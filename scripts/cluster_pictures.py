"""Pictures of the console over a cluster: what may be done to it, what is seen of it, and its history.

Three real servers on a PostgreSQL of their own are drained, handed over, paused and killed; the console's own dialogs
do it. States that a real cluster is not easily kept in (no leader, a suspect, a single copy) are played.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from app.core.profiles import Profile
from app.views.operation import OperationDialog
from backend.wire.cluster import ClusterEvent, DatabaseView, ServerView
from scripts.photographer import Photographer
from tests.support.app_server import AppServer
from tests.support.console_cluster import TOKEN, Cluster
from tests.support.console_world import NOW_MS, large_topology, server
from tests.support.folders import scratch_folder
from tests.support.postgresql import Postgres

NAMES = ("app-1", "app-2", "app-3")
QUICK = "[cluster]\nheartbeat_s = 0.5\nlease_s = 2.5\ndrain_grace_s = 0.5\n"


class Trio:
    """Three servers, and a token of an administrator and of the help desk."""

    def __init__(self, folder: Path, url: str) -> None:
        self.servers = {name: AppServer(folder, database_url=url, name=name, more=QUICK) for name in NAMES}
        first = self.servers["app-1"]
        first.command("migrate")
        self.admin = first.command("token", "create", "--role", "admin", "--name", "grace")
        self.helpdesk = first.command("token", "create", "--role", "helpdesk", "--name", "ada")
        for found in self.servers.values():
            found.start()

    def profile(self, token: str) -> Profile:
        return Profile(tuple(found.url for found in self.servers.values()), token)

    def stop(self) -> None:
        for found in self.servers.values():
            found.stop()


@contextmanager
def trio() -> Iterator[Trio]:
    with scratch_folder("ik-pictures-") as folder, Postgres(folder / "database") as postgres:
        made = Trio(folder, postgres.url(postgres.new_database()))
        try:
            yield made
        finally:
            made.stop()


def photograph_cluster(camera: Photographer) -> None:
    with trio() as cluster:
        camera.window.show_page(camera.window.live)
        camera.connect(cluster.profile(cluster.admin))
        camera.wait(
            "three servers", lambda: sorted(_states(camera).values()) == ["serving"] * 3 and _leads(camera) != ""
        )
        camera.wait("the rights", lambda: camera.session.store.state.rights is not None)
        _operations(camera, cluster)
        _history(camera, cluster)
        _without_rights(camera, cluster)


def _states(camera: Photographer) -> dict[str, str]:
    topology = camera.session.store.state.topology
    return {view.name: view.state for view in topology.servers} if topology is not None else {}


def _leads(camera: Photographer) -> str:
    topology = camera.session.store.state.topology
    return next((view.name for view in topology.servers if view.leader), "") if topology is not None else ""


def _dialog(camera: Photographer) -> OperationDialog:
    dialog = camera.window.operations.dialog
    assert dialog is not None
    return dialog


def _planned(camera: Photographer) -> OperationDialog:
    dialog = _dialog(camera)
    camera.wait("the plan", lambda: dialog.operation.talk.phase == "planned")
    return dialog


def _act(camera: Photographer, name: str, by_force: bool = False) -> None:
    """Do it, take a picture of its end, and close."""
    dialog = _planned(camera)
    if by_force:
        dialog.force.click()
    dialog.act_button.click()
    camera.wait(f"the end of {name}", lambda: dialog.operation.talk.phase == "done")
    camera.take(name)
    dialog.close_button.click()


def _operations(camera: Photographer, cluster: Trio) -> None:
    window, leader = camera.window, _leads(camera)
    second, third = (name for name in NAMES if name != leader)
    window.live.topology.scene.chosen.emit(f"server:{leader}")
    camera.take("cluster-details")
    window.live.topology.details.dismiss()
    window.operations.open("drain", second)
    _planned(camera)
    camera.take("drain-plan")
    _act(camera, "drain-done")
    window.operations.open("switchover")
    _planned(camera)
    camera.take("switchover-plan")
    _act(camera, "switchover-done")
    window.operations.open("drain", leader)
    _act(camera, "drain-second-done")
    window.operations.open("drain", third)
    dialog = _planned(camera)
    camera.take("drain-blocked")
    dialog.force.click()
    camera.take("drain-forced")
    dialog.close_button.click()
    window.operations.open("pause")
    _act(camera, "pause-done")
    camera.take("cluster-paused")
    window.operations.open("undrain", leader)
    _act(camera, "undrain-done")
    window.operations.open("resume")
    _act(camera, "resume-done")


def _history(camera: Photographer, cluster: Trio) -> None:
    """A leader dies and comes back; all of it stands in the history."""
    window, leader = camera.window, _leads(camera)
    cluster.servers[leader].process.kill9()
    camera.wait("another leader", lambda: _leads(camera) not in ("", leader))
    camera.wait("the death to be noticed", lambda: _states(camera).get(leader) == "gone")
    camera.take("cluster-server-gone")
    cluster.servers[leader].start()
    camera.wait("its return", lambda: _states(camera).get(leader) == "serving")
    window.actions_["history"].trigger()
    events = camera.session.store
    camera.wait(
        "its return in the history",
        lambda: any(event.kind == "member-restarted" for event in events.state.history.values()),
    )
    window.history.table.selectRow(1)
    camera.take("history")
    window.history.table.clearSelection()
    window.history.group.setCurrentIndex(1)
    camera.take("history-trouble")
    window.history.clear_filter()
    window.history.field.setText("no such thing")
    camera.wait("the end of the search", lambda: not window.history.model.searching)
    camera.take("history-nothing-found")
    window.history.clear_filter()
    window.show_page(window.live)


def _without_rights(camera: Photographer, cluster: Trio) -> None:
    window, state = camera.window, camera.session.store
    camera.connect(cluster.profile(cluster.helpdesk))
    camera.wait("the rights", lambda: state.state.rights is not None)
    window.live.topology.scene.chosen.emit("server:app-1")
    camera.take("cluster-without-rights")
    window.live.topology.details.dismiss()
    camera.connect(cluster.profile(cluster.admin))
    camera.wait("the rights", lambda: state.state.rights is not None and state.state.rights.allowed)
    window.operations.open("drain", "app-2")
    dialog = _planned(camera)
    for found in cluster.servers.values():
        found.process.kill9()
    camera.wait("the loss", lambda: state.state.connection.phase == "reconnecting")
    dialog.operation.again()
    camera.wait("no plan", lambda: dialog.operation.talk.phase == "unplanned")
    camera.take("drain-no-server")
    dialog.close_button.click()
    window.actions_["history"].trigger()
    camera.take("history-cut-off")
    window.show_page(window.live)


# ---------------------------------------------------------------- played states


def photograph_states(camera: Photographer) -> None:
    """Every state that a card can be in, and a cluster without a leader."""
    with scratch_folder("ik-pictures-") as folder, Cluster(folder) as cluster:
        url = cluster.urls[0]
        servers = (
            _server("app-1", url, "serving"),
            _server("app-2", "", "draining", wanted="draining", load=3, detail="takes no new work"),
            _server("app-3", "", "draining", wanted="draining", drained=True, detail="drained, can be stopped"),
            _server("app-4", "", "suspect", health="warning", age_s=4.0, detail="no sign of life for 4 s"),
            _server("app-5", "", "gone", health="error", age_s=190.0, detail="gone for 3 min"),
            _server("app-6", "", "joining", health="warning", detail="starting"),
        )
        lost = "streaming, timeline 8; loss of redundancy: synchronous_mode_strict is off"
        databases = (
            _database(
                "pg-a", "standby", "streaming, async", "ok", sync_state="async", lag_bytes=100_663_296, lag_s=4.2
            ),
            _database("pg-b", "single copy", lost, "warning", last_failover_at=NOW_MS - 200_000),
            _database("pg-c", "standby", "start failed, async", "warning", sync_state="async"),
        )
        verdict = (
            "Printing goes on on 2 of 3 print servers; 14 jobs wait to be charged: server app-5 does not answer"
            " (gone for 3 min); 5 more to look at."
        )
        view = large_topology((url,))
        changes = {"servers": servers, "databases": databases, "paused": True, "health": "error", "verdict": verdict}
        history = [_event(1, "database-changed", "pg-b", cause="failover from pg-a to pg-b", away_ms=9400)]
        cluster.change(topology=msgspec.structs.replace(view, **changes), history=history)
        camera.connect(Profile(cluster.urls, TOKEN))
        camera.take("states")
        camera.window.live.topology.scene.chosen.emit("database:pg-b")
        camera.take("states-database")
        camera.window.live.topology.details.dismiss()
        camera.window.actions_["tree"].trigger()
        camera.take("states-table")
        camera.window.actions_["graph"].trigger()


def _server(name: str, url: str, state: str, **more: object) -> ServerView:
    health = {"serving": "ok", "draining": "draining"}.get(state, "warning")
    view = server(name, url)
    return msgspec.structs.replace(view, **{"state": state, "health": health, "detail": "serving", **more})


def _database(name: str, role: str, detail: str, health: str, **more: object) -> DatabaseView:
    view = DatabaseView(name=name, engine="postgresql", role=role, health="ok", detail=detail, timeline=8)
    return msgspec.structs.replace(view, **{"health": health, "source": "patroni", **more})


def _event(number: int, kind: str, subject: str, **more: object) -> ClusterEvent:
    found = ClusterEvent(event_id=f"{number}.{number}", at=NOW_MS - 200_000, kind=kind, subject=subject)
    return msgspec.structs.replace(found, **more)
