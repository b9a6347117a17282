"""What may be done to the cluster, to whom, and what the server's plan for it means. Pure.

The console decides nothing that the server decides: whether an action can be done is the server's plan (a dry run),
here only turned into what a dialog shows. What is decided here is what is *offered*: an action that could not even be
planned for this server, or that this token's role may not ask for, is shown switched off, with the reason.

Invariant: an action is asked for with the very subject that its plan named, never with "whichever is best", so that
what was shown is what is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.core.reducer import Rights
from app.core.viewdata import Tone, count_text
from backend.wire.cluster import DatabaseView, Plan, ServerView, Topology

Verb = Literal["drain", "undrain", "switchover", "remove", "pause", "resume", "database-switchover"]

VERBS: Final[tuple[Verb, ...]] = ("drain", "undrain", "switchover", "remove", "pause", "resume", "database-switchover")
ANY: Final = ""


@dataclass(frozen=True, slots=True)
class Words:
    """`title` heads the dialog, `act` is the button's ({} stands for the subject), `about` says in one line what it is
    for, `asks` names the choice of the subject ("" where there is none)."""

    title: str
    act: str
    about: str
    asks: str = ""


WORDS: Final[dict[Verb, Words]] = {
    "drain": Words(
        "Drain a server",
        "Drain {}",
        "Send a server’s clients to the others, and keep it empty until it is undrained.",
        "Server",
    ),
    "undrain": Words("Undrain a server", "Undrain {}", "Let a drained server serve again.", "Server"),
    "switchover": Words(
        "Hand leadership over",
        "Let {} lead",
        "Hand leadership over, to the server that is named or to the one that is best.",
        "Next leader",
    ),
    "remove": Words("Remove a server", "Remove {}", "Forget a server that is gone.", "Server"),
    "pause": Words(
        "Pause the cluster",
        "Pause the cluster",
        "Remove no members and change no DNS until it is resumed; printing and leases go on.",
    ),
    "resume": Words("Resume the cluster", "Resume the cluster", "End the pause."),
    "database-switchover": Words(
        "Hand the database over",
        "Make {} the primary",
        "Make a standby the database’s primary, through Patroni.",
        "Next primary",
    ),
}

CALM: Final[frozenset[Verb]] = frozenset({"undrain", "resume"})
"""What gives back and takes nothing away: Enter may do it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A subject to choose: what is sent, and what is shown."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An action in a menu. `reason` says why it is off, "" where it is on."""

    verb: Verb | Literal["edit-queue"]
    subject: str
    text: str
    reason: str = ""

    @property
    def enabled(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as a dialog shows it. `against` blocks, `notes` are to be known; `act` names the button. `forcible` says
    that it can be done in spite of what blocks it."""

    subject: str
    steps: tuple[str, ...]
    against: tuple[str, ...]
    notes: tuple[str, ...]
    act: str
    tone: Tone
    verdict: str
    possible: bool
    forcible: bool


# ---------------------------------------------------------------- what is offered


def offer(verb: Verb, topology: Topology | None, rights: Rights | None, subject: str | None = None) -> Offer:
    """An action as it may be offered now, for one subject or (None) for whichever is chosen in its dialog."""
    text = menu_text(verb, subject)
    return Offer(verb, subject or ANY, text, _why_not(verb, topology, rights, subject))


def menu_text(verb: Verb, subject: str | None) -> str:
    return f"{WORDS[verb].act.format(subject)}…" if subject else f"{WORDS[verb].title}…"


def _why_not(verb: Verb, topology: Topology | None, rights: Rights | None, subject: str | None) -> str:
    if topology is None:
        return "nothing is known of the cluster yet"
    if why := _no_admin(rights):
        return why
    if verb == "pause" and topology.paused:
        return "the cluster is paused already"
    if verb == "resume" and not topology.paused:
        return "the cluster is not paused"
    if not WORDS[verb].asks:
        return ""
    found = choices(verb, topology)
    if not found:
        return _NOBODY[verb]
    if subject and all(choice.subject != subject for choice in found):
        return f"{subject}: {_NOT_THIS[verb]}"
    return ""


_NOBODY: Final[dict[Verb, str]] = {
    "drain": "every server is to drain already",
    "undrain": "no server is drained",
    "switchover": "no other server serves",
    "remove": "no server is gone",
    "database-switchover": "the database has no standby to switch to",
}

_NOT_THIS: Final[dict[Verb, str]] = {
    "drain": "it is to drain already",
    "undrain": "it is not to drain",
    "switchover": "it leads already, or does not serve",
    "remove": "it lives; stop it first",
    "database-switchover": "it is no standby",
}


def choices(verb: Verb, topology: Topology) -> tuple[Choice, ...]:
    """Whom an action can be about; first "whichever is best" where the server chooses well by itself."""
    servers = sorted(topology.servers, key=lambda view: view.name)
    if verb == "drain":
        return tuple(_server(view) for view in servers if view.wanted != "draining")
    if verb == "undrain":
        return tuple(_server(view) for view in servers if view.wanted == "draining")
    if verb == "remove":
        return tuple(_server(view) for view in servers if view.state == "gone")
    if verb == "switchover":
        able = tuple(_server(view) for view in servers if view.state == "serving" and not view.leader)
        return (Choice(ANY, "Whichever is best"), *able) if able else ()
    if verb == "database-switchover":
        standbys = [view for view in topology.databases if view.role == "standby"]
        able = tuple(_database(view) for view in sorted(standbys, key=lambda view: view.name))
        return (Choice(ANY, "The synchronous standby"), *able) if able else ()
    return ()


def _server(view: ServerView) -> Choice:
    lead = ", leads the cluster" if view.leader else ""
    busy = f", {count_text(view.load, 'request', 'requests')} under way" if view.load else ""
    return Choice(view.name, f"{view.name}  ({view.state}{lead}{busy})")


def _database(view: DatabaseView) -> Choice:
    sync = f", {view.sync_state}" if view.sync_state else ""
    return Choice(view.name, f"{view.name}  (standby{sync})")


def node_offers(node_id: str, topology: Topology | None, rights: Rights | None) -> tuple[Offer, ...]:
    """The actions for one card; those that make no sense for what it is now are left out."""
    tier, _, name = node_id.partition(":")
    if topology is None:
        return ()
    if tier == "server":
        view = next((view for view in topology.servers if view.name == name), None)
        return () if view is None else tuple(_server_offer(verb, view, topology, rights) for verb in _verbs_for(view))
    if tier == "database":
        database = next((view for view in topology.databases if view.name == name), None)
        if database is None or database.engine != "postgresql":
            return ()
        subject = name if database.role == "standby" else None
        return (offer("database-switchover", topology, rights, subject),)
    if tier == "queue":
        return (Offer("edit-queue", name, "Prices and policies…", _no_admin(rights)),)
    return ()


def _no_admin(rights: Rights | None) -> str:
    """Why this token may not change things, "" where it may."""
    if rights is None:
        return "whether this access token may do it is not known yet"
    return "" if rights.allowed else rights.reason


def _verbs_for(view: ServerView) -> tuple[Verb, ...]:
    verbs: list[Verb] = ["undrain" if view.wanted == "draining" else "drain"]
    if view.state != "gone":
        verbs.append("switchover")
    if view.state == "gone":
        verbs.append("remove")
    return tuple(verbs)


def _server_offer(verb: Verb, view: ServerView, topology: Topology, rights: Rights | None) -> Offer:
    if verb == "switchover" and view.leader:
        return offer(verb, topology, rights)  # from here to another
    return offer(verb, topology, rights, view.name)


# ---------------------------------------------------------------- the plan


def plan_view(verb: Verb, plan: Plan) -> PlanView:
    """What the server's plan means for the dialog."""
    against = tuple(objection.text for objection in plan.objections if objection.blocks)
    notes = tuple(objection.text for objection in plan.objections if not objection.blocks)
    forcible = bool(against) and bool(plan.steps) and verb != "database-switchover"
    tone, verdict = _verdict(plan, against, notes, forcible)
    act = WORDS[verb].act.format(plan.subject or "it")
    return PlanView(
        subject=plan.subject,
        steps=plan.steps,
        against=against,
        notes=notes,
        act=f"{act} anyway" if forcible else act,
        tone=tone,
        verdict=verdict,
        possible=bool(plan.steps) and not against,
        forcible=forcible,
    )


def _verdict(plan: Plan, against: Sequence[str], notes: Sequence[str], forcible: bool) -> tuple[Tone, str]:
    if against:
        return "error", "Blocked: it can only be forced" if forcible else "Blocked: it cannot be done now"
    if not plan.steps:
        return "plain", "There is nothing to do"
    if notes:
        return "warning", "It can be done; there is something to know first"
    return "ok", "Nothing speaks against it"


def concerns(topology: Topology | None) -> tuple[object, ...]:
    """What a plan rests on. When this changes a plan that is on the screen is asked for anew."""
    if topology is None:
        return ()
    servers = tuple((view.name, view.state, view.wanted, view.leader) for view in topology.servers)
    databases = tuple((view.name, view.role, view.sync_state, view.health) for view in topology.databases)
    return (servers, databases, topology.term, topology.paused)
