"""Plans: what an action would do, and what speaks against it, as the CLI, the API and the console show it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.cluster import plan
from backend.cluster.model import Lease, MemberRow, Snapshot, state_of
from backend.wire.cluster import ClusterAction, ClusterVerb, Plan


def row(name: str, age_ms: int = 100, **more: object) -> MemberRow:
    made = MemberRow(name, f"process-{name}", f"http://{name}", "serving", "1", age_ms)
    return msgspec.structs.replace(made, **more)


def cluster(*members: MemberRow, leader: str = "a", paused: bool = False) -> Snapshot:
    lease = Lease(4, f"process-{leader}" if leader else "", leader, 9)
    return Snapshot("c", 1, lease, members, 1.0, paused)


THREE = cluster(row("a"), row("b"), row("c", 50))


def make(action: ClusterVerb, subject: str, snapshot: Snapshot) -> Plan:
    return plan.make(ClusterAction(action=action, subject=subject), snapshot)


def notes(found: Plan) -> str:
    return " | ".join(objection.text for objection in found.objections)


def test_draining_the_leader_hands_the_lead_over_first() -> None:
    found = make("drain", "a", THREE)
    assert not found.blocked
    assert found.objections == ()
    assert "gives the lead back" in found.steps[0]
    assert not any("lead" in step for step in make("drain", "b", THREE).steps)


def test_the_last_serving_server_is_drained_by_force_only() -> None:
    found = make("drain", "a", cluster(row("a"), row("b", wanted="draining"), row("c", 20_000)))
    assert found.blocked
    assert found.steps
    assert "no other server serves" in notes(found)


def test_what_is_to_be_known_does_not_block() -> None:
    found = make("drain", "b", cluster(row("a"), row("b")))
    assert not found.blocked
    assert "only a is left" in notes(found)
    assert "is gone" in notes(make("drain", "c", cluster(row("a"), row("c", 20_000))))
    assert make("drain", "b", cluster(row("a"), row("b", wanted="draining"))).steps == ()


@pytest.mark.parametrize("action", ["drain", "undrain", "switchover", "remove"])
def test_an_unknown_name_is_refused_with_the_known_ones(action: ClusterVerb) -> None:
    found = make(action, "x", THREE)
    assert found.blocked
    assert found.steps == ()
    assert notes(found) == "there is no server 'x'; there are: a, b, c"


def test_a_switchover_goes_to_whom_is_named_or_to_the_freshest() -> None:
    assert make("switchover", "b", THREE).subject == "b"
    assert make("switchover", "", THREE).subject == "c"
    assert "term 4 ends" in make("switchover", "", THREE).steps[0]


@pytest.mark.parametrize(
    ("subject", "snapshot", "words"),
    [
        ("a", THREE, "a leads already"),
        ("b", cluster(row("a"), row("b", 4_000)), "b is suspect"),
        ("b", cluster(row("a"), row("b", wanted="draining")), "b is draining"),
        ("", cluster(row("a")), "no other server serves"),
        ("b", cluster(row("a"), row("b"), leader=""), "no server leads"),
    ],
)
def test_a_switchover_that_cannot_be(subject: str, snapshot: Snapshot, words: str) -> None:
    found = make("switchover", subject, snapshot)
    assert found.blocked
    assert found.steps == ()
    assert words in notes(found)


def test_a_switchover_away_from_a_silent_leader_says_so() -> None:
    found = make("switchover", "", cluster(row("a", 5_000), row("b")))
    assert not found.blocked
    assert "a gives no sign of life" in notes(found)


def test_only_who_is_gone_is_removed() -> None:
    assert "stop it first" in notes(make("remove", "b", THREE))
    assert make("remove", "b", THREE).steps == ()
    assert make("remove", "b", cluster(row("a"), row("b", 4_000))).blocked
    assert not make("remove", "b", cluster(row("a"), row("b", 20_000))).blocked
    assert not make("remove", "b", cluster(row("a"), row("b", state="gone"))).blocked


def test_pause_and_resume_twice_do_nothing_the_second_time() -> None:
    paused = cluster(row("a"), paused=True)
    assert make("pause", "", THREE).steps
    assert make("resume", "", paused).steps
    for found in (make("pause", "", paused), make("resume", "", THREE)):
        assert not found.blocked
        assert found.steps == ()


def test_a_plan_in_words() -> None:
    said = plan.text(make("drain", "b", cluster(row("a"), row("b"))))
    assert said.splitlines()[0] == "drain b"
    assert "  1. b answers 503" in said
    assert "  to be known: only a is left" in said
    blocked = make("drain", "a", cluster(row("a")))
    assert "against it: no other" in plan.text(blocked)
    assert plan.against(blocked).startswith("no other server serves")


members = st.lists(
    st.builds(
        lambda name, age_ms, state, wanted: row(name, age_ms, state=state, wanted=wanted),
        st.sampled_from("abcde"),
        st.integers(0, 20_000),
        st.sampled_from(["serving", "draining", "drained", "joining", "gone"]),
        st.sampled_from(["serving", "draining"]),
    ),
    unique_by=lambda found: found.name,
    max_size=5,
)
verbs = st.sampled_from(["drain", "undrain", "switchover", "pause", "resume", "remove"])


@given(members, verbs, st.sampled_from(["", *"abcdef"]), st.sampled_from(["", *"abcde"]), st.booleans())
def test_what_is_not_blocked_leaves_a_server_that_served(
    rows: list[MemberRow], verb: ClusterVerb, subject: str, leader: str, paused: bool
) -> None:
    snapshot = cluster(*rows, leader=leader, paused=paused)
    found = make(verb, subject, snapshot)
    serving = {found.name for found in rows if state_of(found, 1.0) == "serving"}
    if not found.blocked and found.steps and verb in ("drain", "remove") and serving:
        assert serving - {subject}
    if verb == "switchover" and not found.blocked:
        assert found.subject in serving - {leader}
    if verb == "remove" and not found.blocked:
        assert subject not in serving
