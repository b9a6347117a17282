"""One action on the cluster, carried out: sends what the talk (core/talk.py) asks for and hands in what comes back.

The plan on the screen is kept true: when what it rests on changes in the live picture, the dry run is asked for anew,
and so it is when a server answers again. The deed itself is sent once, with the subject that the plan named.
"""

import time
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from app.core import progress
from app.core.operations import Verb, concerns
from app.core.queries import Trouble, act, ask_plan, explain
from app.core.reducer import Changes
from app.core.talk import (
    OVER,
    WATCHED,
    Answered,
    Asked,
    Chosen,
    Force,
    Happening,
    Looked,
    Lost,
    NoPlan,
    NotDone,
    Planned,
    Screen,
    Talk,
    is_late,
    may_act,
    screen,
    step,
)
from app.core.viewdata import short_reason, snapshot_age_s
from app.qt.bridge import Handle
from app.qt.session import Session
from backend.client.errors import NoServer
from backend.wire.cluster import Plan

LOOK_MS: Final = 1500
"""While it is followed the picture is read this often, beside the events that come by themselves."""

FRESH_S: Final = 5.0


class Operation(QObject):
    """`changed` says that there is another screen to show. Lives on the GUI thread."""

    changed = Signal()

    def __init__(self, session: Session, verb: Verb, subject: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.talk = Talk(verb, subject)
        self._handle: Handle | None = None
        self._rests_on: tuple[object, ...] = ()
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(session.reload)
        session.store.changed.connect(self._store_changed)
        session.store.ticked.connect(self._tick)

    def start(self) -> None:
        """Ask for the dry run."""
        self._ask()

    def screen(self) -> Screen:
        return screen(self.talk, self._live(), time.monotonic())

    def choose(self, subject: str) -> None:
        self._take(Chosen(subject))
        if self.talk.phase == "asking":
            self._ask()

    def again(self) -> None:
        """Plan it anew, after a refusal or while no server answered."""
        self.choose(self.talk.subject)

    def force(self, on: bool) -> None:
        self._take(Force(on))

    def act(self) -> None:
        """Ask for the deed, once."""
        talk, plan, state = self.talk, self.talk.plan, self._session.store.state
        if plan is None or not may_act(talk):
            return
        wish = progress.wish(talk.verb, plan.subject, state.topology, state.history)
        force = plan.forcible and talk.forced
        self._take(Asked(wish))
        self._send_away()
        self._handle = self._session.ask(
            lambda client: act(client, talk.verb, plan.subject, force), self._answered, self._unanswered, self
        )

    def close(self) -> None:
        """Nobody looks any more. What was asked for goes on by itself."""
        self._look.stop()
        if self.talk.phase != "acting":
            self._send_away()

    # ---------------------------------------------------------------- the dry run

    def _ask(self) -> None:
        talk = self.talk
        self._send_away()
        self._rests_on = concerns(self._session.store.state.topology)
        self._handle = self._session.ask(
            lambda client: ask_plan(client, talk.verb, talk.subject), self._planned, self._unplanned, self
        )
        self.changed.emit()

    def _planned(self, plan: Plan) -> None:
        self._handle = None
        self._take(Planned(plan))

    def _unplanned(self, error: Exception) -> None:
        self._handle = None
        trouble = explain(error)
        self._take(NoPlan(trouble.title, _words(error, trouble), trouble.again))

    # ---------------------------------------------------------------- the deed

    def _answered(self, plan: Plan) -> None:
        self._handle = None
        self._take(Answered(plan))
        self._watch()

    def _unanswered(self, error: Exception) -> None:
        self._handle = None
        trouble = explain(error)
        if isinstance(error, NoServer) and error.in_doubt:
            self._take(Lost(_words(error, trouble)))
            self._watch()
        else:
            title = trouble.title[:1].lower() + trouble.title[1:]
            self._take(NotDone(title, _words(error, trouble), trouble.again))

    def _watch(self) -> None:
        if self.talk.phase in WATCHED:
            self._look.start()
            self._session.reload()
            self._follow()

    def _follow(self) -> None:
        """Look at what the cluster shows of it; only a fresh picture counts."""
        talk, state = self.talk, self._session.store.state
        if talk.wish is None or talk.phase not in WATCHED or not self._live():
            return
        self._take(Looked(progress.follow(talk.wish, state.topology, state.history.values())))
        if self.talk.phase in OVER:
            self._look.stop()

    # ---------------------------------------------------------------- what the store says

    def _live(self) -> bool:
        """Whether what is shown is the cluster's state of this moment, read from its database."""
        state = self._session.store.state
        fresh = snapshot_age_s(state, time.monotonic()) < FRESH_S
        told = state.topology is not None and state.topology.age_s == 0
        return state.connection.phase == "live" and fresh and told

    def _store_changed(self, changes: Changes) -> None:
        if changes.topology or changes.history:
            self._follow()
        if self.talk.phase in ("planned", "unplanned") and self._must_ask_again(changes):
            self.again()

    def _must_ask_again(self, changes: Changes) -> bool:
        if self.talk.phase == "unplanned":
            return self.talk.again and changes.connection and self._live()
        return changes.topology and concerns(self._session.store.state.topology) != self._rests_on

    def _tick(self) -> None:
        """Seconds pass on the screen; after the deadline it is looked at less often."""
        if self.talk.phase in WATCHED:
            if is_late(self.talk, time.monotonic()):
                self._look.stop()
            self.changed.emit()

    def _take(self, what: Happening) -> None:
        before = self.talk
        self.talk = step(before, what, time.monotonic())
        if self.talk != before:
            self.changed.emit()

    def _send_away(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def _words(error: Exception, trouble: Trouble) -> str:
    """Why, in a line that has room in a dialog."""
    return short_reason(trouble.text) if isinstance(error, NoServer) else trouble.text
