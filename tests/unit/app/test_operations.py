"""What is offered for whom, what a plan means, and the talk about one action from the dry run to its end."""

from dataclasses import replace

import msgspec
import pytest

from app.core.operations import VERBS, WORDS, choices, concerns, node_offers, offer, plan_view
from app.core.progress import WAIT_S, Seen, Wish, follow, wish
from app.core.reducer import Rights
from app.core.talk import (
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
    Talk,
    is_late,
    may_act,
    screen,
    step,
)
from backend.wire.cluster import ClusterEvent, DatabaseView, Objection, Plan, ServerView, Topology
from tests.support.console_world import server, small_topology

ADMIN = Rights(True)
HELPDESK = Rights(False, "this access token’s role does not allow it")


def database(name: str, role: str = "standby", **more: object) -> DatabaseView:
    view = DatabaseView(name=name, engine="postgresql", role=role, health="ok", detail="streaming")
    return msgspec.structs.replace(view, **more)


def drains(name: str, **more: object) -> ServerView:
    view = server(name, state="draining", health="draining")
    return msgspec.structs.replace(view, wanted="draining", **more)


def cluster(*servers: ServerView, **more: object) -> Topology:
    found = servers or (server("app-1", leader=True), server("app-2"), server("app-3"))
    databases = (database("pg-a", "primary"), database("pg-b", sync_state="sync"))
    return msgspec.structs.replace(small_topology(servers=found, databases=databases, term=7), **more)


GONE = server("app-3", state="gone", health="error", age_s=60)
PLAN = Plan(action="drain", subject="app-2", steps=("it answers 503", "it stays draining"))
NOTE = Objection(blocks=False, text="only app-1 is left to serve then")
BLOCK = Objection(blocks=True, text="no other server serves: nothing would be answered")
BLOCKED = msgspec.structs.replace(PLAN, objections=(BLOCK,))
NOTHING = Plan(action="drain", subject="app-2", objections=(Objection(blocks=False, text="app-2 is draining already"),))


# ---------------------------------------------------------------- what is offered


def offered(node_id: str, topology: Topology, rights: Rights | None = ADMIN) -> dict[str, bool]:
    return {found.text: found.enabled for found in node_offers(node_id, topology, rights)}


@pytest.mark.parametrize(
    ("node_id", "topology", "expected"),
    [
        ("server:app-2", cluster(), {"Drain app-2…": True, "Let app-2 lead…": True}),
        ("server:app-1", cluster(), {"Drain app-1…": True, "Hand leadership over…": True}),
        ("server:app-2", cluster(server("app-1", leader=True), drains("app-2")),
         {"Undrain app-2…": True, "Let app-2 lead…": False}),
        ("server:app-3", cluster(server("app-1", leader=True), GONE), {"Drain app-3…": True, "Remove app-3…": True}),
        ("server:app-1", cluster(server("app-1", leader=True)), {"Drain app-1…": True, "Hand leadership over…": False}),
        ("database:pg-b", cluster(), {"Make pg-b the primary…": True}),
        ("database:pg-a", cluster(), {"Hand the database over…": True}),
        ("database:main", small_topology(), {}),
        ("provider:1", cluster(), {}),
        ("server:no-such", cluster(), {}),
    ],
)  # fmt: skip
def test_a_card_offers_what_makes_sense_for_it(node_id: str, topology: Topology, expected: dict[str, bool]) -> None:
    assert offered(node_id, topology) == expected


def test_without_the_right_every_action_is_off_and_says_why() -> None:
    for rights, reason in ((HELPDESK, HELPDESK.reason), (None, "is not known yet")):
        found = [*node_offers("server:app-2", cluster(), rights), *(offer(verb, cluster(), rights) for verb in VERBS)]
        assert all(not entry.enabled and reason in entry.reason for entry in found)


def test_the_menu_says_why_an_action_is_off() -> None:
    assert offer("remove", cluster(), ADMIN).reason == "no server is gone"
    assert offer("undrain", cluster(), ADMIN).reason == "no server is drained"
    assert offer("resume", cluster(), ADMIN).reason == "the cluster is not paused"
    assert offer("pause", cluster(paused=True), ADMIN).reason == "the cluster is paused already"
    assert offer("database-switchover", small_topology(), ADMIN).reason == "the database has no standby to switch to"
    assert offer("drain", None, ADMIN).reason == "nothing is known of the cluster yet"
    assert offer("pause", cluster(), ADMIN).enabled


def test_whom_it_can_be_about() -> None:
    topology = cluster(server("app-1", leader=True), drains("app-2"), GONE)
    subjects = {verb: [choice.subject for choice in choices(verb, topology)] for verb in VERBS}
    assert subjects == {
        "drain": ["app-1", "app-3"],
        "undrain": ["app-2"],
        "remove": ["app-3"],
        "switchover": [],
        "pause": [],
        "resume": [],
        "database-switchover": ["", "pg-b"],
    }
    assert [choice.subject for choice in choices("switchover", cluster())] == ["", "app-2", "app-3"]


def test_every_verb_has_its_words() -> None:
    assert set(WORDS) == set(VERBS) == set(WAIT_S)


# ---------------------------------------------------------------- plans


def test_a_plan_is_possible_blocked_forcible_or_nothing() -> None:
    def told(plan: Plan, verb: str = "drain") -> tuple[str, bool, bool, str]:
        view = plan_view(verb, plan)  # type: ignore[arg-type]
        return view.tone, view.possible, view.forcible, view.act

    assert told(PLAN) == ("ok", True, False, "Drain app-2")
    assert told(msgspec.structs.replace(PLAN, objections=(NOTE,))) == ("warning", True, False, "Drain app-2")
    assert told(BLOCKED) == ("error", False, True, "Drain app-2 anyway")
    assert told(msgspec.structs.replace(BLOCKED, steps=())) == ("error", False, False, "Drain app-2")
    assert told(NOTHING) == ("plain", False, False, "Drain app-2")
    assert told(BLOCKED, "database-switchover")[2] is False


def test_a_plan_is_asked_for_anew_when_what_it_rests_on_changes_and_only_then() -> None:
    before = cluster()
    busy = tuple(msgspec.structs.replace(view, load=9, age_s=0.9) for view in before.servers)
    assert concerns(msgspec.structs.replace(before, servers=busy, as_of=before.as_of + 9)) == concerns(before)
    assert concerns(cluster(server("app-1", leader=True), server("app-2"), GONE)) != concerns(before)
    assert concerns(cluster(paused=True)) != concerns(before)
    assert concerns(cluster(term=8)) != concerns(before)


# ---------------------------------------------------------------- the talk


def after(*happenings: Happening, verb: str = "drain", subject: str = "app-2", now: float = 10.0) -> Talk:
    talk = Talk(verb, subject)  # type: ignore[arg-type]
    for what in happenings:
        talk = step(talk, what, now)
    return talk


WISH = Wish("drain", "app-2", (5, 1), "app-1", 7)
DONE = msgspec.structs.replace(PLAN, done=True)


def test_the_way_from_the_dry_run_to_the_end() -> None:
    talk = after(Planned(PLAN))
    shown = screen(talk, live=True, now=10)
    assert (shown.headline, shown.act, shown.can_act, shown.calm) == (
        "Nothing speaks against it",
        "Drain app-2",
        True,
        False,
    )
    talk = after(
        Planned(PLAN), Asked(WISH), Answered(DONE), Looked(Seen("waiting", (("draining", "app-2 is draining"),)))
    )
    assert talk.phase == "following"
    shown = screen(talk, live=True, now=14)
    assert (shown.headline, shown.act, shown.lines[0][1]) == ("Under way for 4 s", "", "app-2 is draining")
    talk = step(talk, Looked(Seen("done", (("ok", "app-2 is drained"),))), 15)
    shown = screen(talk, live=True, now=15)
    assert (shown.tone, shown.headline, shown.close) == ("ok", "Done", "Close")


def test_what_is_blocked_is_done_by_force_only() -> None:
    talk = after(Planned(BLOCKED))
    shown = screen(talk, live=True, now=10)
    assert (shown.tone, shown.can_act, shown.force) == ("error", False, "Do it &anyway")
    assert step(talk, Asked(WISH), 10) == talk
    forced = step(talk, Force(True), 10)
    assert screen(forced, live=True, now=10).can_act
    assert screen(forced, live=True, now=10).danger
    assert step(forced, Asked(WISH), 10).phase == "acting"
    hopeless = after(Planned(msgspec.structs.replace(BLOCKED, steps=())), Force(True))
    assert not may_act(hopeless)


def test_force_does_not_outlive_the_plan_it_was_meant_for() -> None:
    talk = after(Planned(BLOCKED), Force(True), Chosen("app-2"), Planned(PLAN))
    assert not talk.forced
    assert not after(Planned(BLOCKED), Force(True), Chosen("app-1"), Planned(NOTHING)).forced


def test_while_it_is_planned_anew_nothing_can_be_asked_for() -> None:
    talk = after(Planned(PLAN), Chosen("app-2"))
    assert (talk.phase, talk.plan is not None, may_act(talk)) == ("asking", True, False)
    assert after(Planned(PLAN), Chosen("app-1")).plan is None


def test_a_lost_answer_is_unknown_and_is_not_asked_for_again() -> None:
    talk = after(Planned(PLAN), Asked(WISH), Lost("http://a: did not answer in time"))
    shown = screen(talk, live=True, now=20)
    assert shown.headline.startswith("Unknown: the answer was lost")
    assert (shown.act, shown.again, shown.tone) == ("", "", "warning")
    for what in (Asked(WISH), Planned(PLAN), Chosen("app-2"), NotDone("no", "why", True)):
        assert step(talk, what, 21) == talk
    assert step(talk, Looked(Seen("failed", ())), 21).phase == "unknown"
    seen = step(talk, Looked(Seen("done", (("ok", "app-2 is drained"),))), 21)
    assert screen(seen, live=True, now=21).headline == "Done: the answer was lost, but the state shows it"


def test_a_refusal_says_that_nothing_was_done() -> None:
    talk = after(Planned(PLAN), Asked(WISH), Answered(BLOCKED))
    assert (talk.phase, talk.problem, talk.why) == ("refused", "Nothing was done: it is blocked now", BLOCK.text)
    assert screen(talk, live=True, now=10).again == "Look again"
    assert step(talk, Chosen("app-2"), 10).phase == "asking"
    assert screen(after(Planned(PLAN), Asked(WISH), NotDone("not allowed", "x", False)), live=True, now=10).again == ""


def test_a_dry_run_that_was_not_answered_can_be_asked_for_again() -> None:
    shown = screen(after(NoPlan("No server answers", "x", True)), live=False, now=10)
    assert (shown.tone, shown.headline, shown.again, shown.can_act) == (
        "error",
        "No server answers",
        "Ask again",
        False,
    )
    assert screen(after(NoPlan("Not allowed", "x", False)), live=True, now=10).again == ""


def test_what_takes_too_long_or_cannot_be_seen_says_so() -> None:
    talk = after(Planned(PLAN), Asked(WISH), Answered(DONE), Looked(Seen("waiting", ())), now=0)
    assert not is_late(talk, WAIT_S["drain"])
    assert screen(talk, live=True, now=WAIT_S["drain"] + 1).headline.startswith("Not seen to be done within 120 s")
    assert screen(talk, live=False, now=5).lines[-1][0] == "unknown"
    assert step(talk, Looked(Seen("done", ())), WAIT_S["drain"] + 9).phase == "done"


def test_only_what_gives_back_may_be_the_default() -> None:
    assert screen(after(Planned(PLAN), verb="undrain"), live=True, now=10).calm
    for verb in ("drain", "remove", "pause", "switchover", "database-switchover"):
        assert not screen(after(Planned(PLAN), verb=verb), live=True, now=10).calm


# ---------------------------------------------------------------- what is seen of it


def event(kind: str, subject: str, number: int = 9, **more: object) -> ClusterEvent:
    found = ClusterEvent(event_id=f"{number}.{number}", at=1, kind=kind, subject=subject)
    return msgspec.structs.replace(found, **more)


LEAD = server("app-1", leader=True)


@pytest.mark.parametrize(
    ("servers", "outcome", "last"),
    [
        ((LEAD, server("app-2")), "waiting", "app-2 is asked to drain"),
        ((LEAD, drains("app-2", load=2)), "waiting", "app-2 is draining: 2 requests under way"),
        ((LEAD, drains("app-2", drained=True)), "done", "app-2 is drained, it can be stopped"),
        ((LEAD, msgspec.structs.replace(GONE, name="app-2", wanted="draining")), "failed",
         "app-2 is gone: it went before it was seen drained"),
        ((LEAD,), "failed", "app-2 is not in the cluster any more"),
    ],
)  # fmt: skip
def test_a_drain_is_followed_to_its_end(servers: tuple[ServerView, ...], outcome: str, last: str) -> None:
    seen = follow(WISH, cluster(*servers), ())
    assert (seen.outcome, seen.lines[-1][1]) == (outcome, last)


def test_the_drain_of_a_leader_shows_who_leads_next() -> None:
    wanted = replace(WISH, subject="app-1")
    nobody = cluster(drains("app-1"), server("app-2"))
    assert follow(wanted, nobody, ()).lines[0] == ("waiting", "Another server takes the lead")
    next_one = cluster(drains("app-1", drained=True), server("app-2", leader=True), term=8)
    assert follow(wanted, next_one, ()).lines[0] == ("ok", "app-2 leads (term 8)")


def test_a_switchover_ends_when_the_wanted_one_leads() -> None:
    before = cluster()
    wanted = wish("switchover", "app-2", before, {"3.3": event("member-joined", "app-2", 3)})
    assert (wanted.since, wanted.leader, wanted.term) == ((3, 3), "app-1", 7)
    assert follow(wanted, before, ()).lines[0][1] == "app-1 is asked to give the lead to app-2"
    nobody = cluster(server("app-1"), server("app-2"))
    assert follow(wanted, nobody, ()).lines[0][1] == "Nobody leads at this moment"
    new = cluster(server("app-1"), server("app-2", leader=True), term=8)
    old_event = event("leader-changed", "app-2", 2, away_ms=90_000)
    told = follow(wanted, new, (old_event, event("leader-changed", "app-2", 9, away_ms=400)))
    assert (told.outcome, told.lines[0][1]) == ("done", "app-2 leads (term 8); nobody led for 0.4 s")
    assert follow(wanted, new, (old_event,)).lines[0][1] == "app-2 leads (term 8)"
    other = cluster(server("app-1"), server("app-2"), server("app-3", leader=True), term=8)
    assert follow(wanted, other, ()).outcome == "failed"


def test_the_end_of_the_others() -> None:
    def told(verb: str, subject: str, topology: Topology, *events: ClusterEvent) -> tuple[str, str]:
        seen = follow(Wish(verb, subject), topology, events)  # type: ignore[arg-type]
        return seen.outcome, seen.lines[0][1]

    assert told("undrain", "app-2", cluster(LEAD, drains("app-2"))) == ("waiting", "app-2 is asked to serve")
    assert told("undrain", "app-2", cluster()) == ("done", "app-2 serves")
    assert told("remove", "app-3", cluster(LEAD, GONE)) == ("waiting", "app-3 is being forgotten")
    assert told("remove", "app-3", cluster(LEAD)) == ("done", "app-3 is forgotten")
    assert told("remove", "app-3", cluster(LEAD, server("app-3"))) == ("failed", "app-3 is back: it is serving")
    assert told("pause", "", cluster()) == ("waiting", "The cluster is asked")
    assert told("pause", "", cluster(paused=True)) == ("done", "The cluster is paused")
    assert told("resume", "", cluster()) == ("done", "The cluster is not paused any more")
    new = cluster(databases=(database("pg-b", "primary"), database("pg-a")))
    assert told("database-switchover", "pg-b", cluster())[0] == "waiting"
    assert told("database-switchover", "pg-b", new, event("database-changed", "pg-b", away_ms=2300)) == (
        "done", "pg-b is the primary; writes waited for 2.3 s"
    )  # fmt: skip
    none = cluster(databases=(database("pg-a"), database("pg-b")))
    assert told("database-switchover", "pg-b", none) == ("waiting", "There is no primary at this moment; writes wait")


def test_a_server_that_was_gone_when_it_was_asked_ends_at_once() -> None:
    before = cluster(LEAD, GONE)
    asked = cluster(LEAD, msgspec.structs.replace(GONE, wanted="draining"))
    assert follow(wish("drain", "app-3", before, {}), asked, ()).outcome == "done"
    assert follow(wish("undrain", "app-3", asked, {}), before, ()).outcome == "done"


def test_of_an_unknown_cluster_nothing_is_claimed() -> None:
    assert follow(WISH, None, ()).outcome == "waiting"
