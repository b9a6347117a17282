"""What one more message changes, and that old news never replaces newer."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.reducer import (
    JOB_WINDOW,
    Changes,
    Closed,
    Connecting,
    Failed,
    Forbidden,
    JobsChanged,
    JobsRead,
    Live,
    Lost,
    Message,
    State,
    TopologyRead,
    newest_first,
    step,
)
from tests.support.console_world import LEDGER, NOW_MS, job, small_topology

URL = "http://app-01:9191"


def after(*messages: Message, state: State | None = None) -> State:
    state = state or State()
    for now, message in enumerate(messages, start=1):
        state, _ = step(state, message, float(now))
    return state


def test_the_way_from_nothing_to_live() -> None:
    state = after(Connecting((URL,)))
    assert (state.connection.phase, state.connection.servers) == ("connecting", (URL,))
    state = after(TopologyRead(small_topology(), URL), Live(URL), state=state)
    assert state.connection.phase == "live"
    assert state.connection.endpoint == URL
    assert state.ledger == LEDGER
    assert state.topology_at == 1.0


def test_a_lost_cluster_keeps_its_picture_and_says_when_it_tries_again() -> None:
    state = after(Connecting((URL,)), TopologyRead(small_topology(), URL), Live(URL), Lost("gone", 4.0))
    assert state.connection.phase == "reconnecting"
    assert state.connection.retry_at == 4.0 + 4.0
    assert state.connection.reason == "gone"
    assert state.topology is not None
    again = after(Connecting((URL,)), state=state)
    assert (again.connection.phase, again.connection.retry_at) == ("reconnecting", None)
    live = after(Live(URL), state=again)
    assert (live.connection.phase, live.connection.reason) == ("live", "")


def test_a_refused_token_ends_the_trying() -> None:
    state = after(Connecting((URL,)), Failed("A valid access token is needed", "unauthenticated"))
    assert (state.connection.phase, state.connection.code) == ("failed", "unauthenticated")


def test_closing_leaves_nothing_of_the_cluster() -> None:
    state = after(TopologyRead(small_topology(), URL), JobsRead((job(1),), LEDGER), Closed())
    assert state == State()


def test_a_picture_older_than_the_known_one_changes_nothing() -> None:
    new = small_topology(as_of=NOW_MS, verdict="new")
    state = after(TopologyRead(new, URL))
    same, changes = step(state, TopologyRead(small_topology(as_of=NOW_MS - 1, verdict="old"), URL), 9.0)
    assert same == state
    assert changes == Changes()


def test_a_restored_cluster_forgets_jobs_that_may_never_have_been() -> None:
    state = after(TopologyRead(small_topology(), URL), JobsRead((job(1),), LEDGER))
    restored = small_topology(generation=2, as_of=NOW_MS - 3_600_000)
    state, changes = step(state, TopologyRead(restored, URL), 5.0)
    assert state.topology == restored
    assert not state.jobs
    assert changes.jobs_replaced


def test_an_older_version_of_a_job_never_replaces_a_newer_one() -> None:
    done, printing = job(1), job(1, state="printing", updated_at=job(1).updated_at - 1)
    state = after(JobsRead((done,), LEDGER))
    same, changes = step(state, JobsChanged((printing,)), 3.0)
    assert same.jobs == {done.job_id: done}
    assert changes.jobs == frozenset()


def test_changes_name_exactly_the_jobs_that_changed() -> None:
    state = after(JobsRead((job(1), job(2)), LEDGER))
    newer = msgspec.structs.replace(job(2), state="aborted", updated_at=job(2).updated_at + 5)
    state, changes = step(state, JobsChanged((job(1), newer, job(3))), 3.0)
    assert changes.jobs == {job(2).job_id, job(3).job_id}
    assert state.jobs[job(2).job_id].state == "aborted"


def test_a_reading_after_a_reset_replaces_the_jobs_another_one_only_adds() -> None:
    state = after(JobsRead((job(1), job(2)), LEDGER))
    assert set(after(JobsRead((job(3),), LEDGER), state=state).jobs) == {job(n).job_id for n in (1, 2, 3)}
    assert set(after(JobsRead((job(3),), LEDGER, replace=True), state=state).jobs) == {job(3).job_id}


def test_what_may_not_be_seen_is_said_until_it_is_seen() -> None:
    state = after(Forbidden("jobs"), Forbidden("topology"))
    assert state.forbidden == {"jobs", "topology"}
    assert after(JobsRead((), LEDGER), state=state).forbidden == {"topology"}


@settings(deadline=None)
@given(st.lists(st.integers(1, 2 * JOB_WINDOW), max_size=60), st.integers(1, 2 * JOB_WINDOW))
def test_the_window_is_bounded_and_holds_the_newest(numbers: list[int], block: int) -> None:
    state, _ = step(State(), JobsChanged(tuple(job(n) for n in range(1, block + 1))), 1.0)
    state, _ = step(state, JobsChanged(tuple(job(n) for n in numbers)), 2.0)
    everything = {job(n).job_id: job(n) for n in (*range(1, block + 1), *numbers)}
    newest = newest_first(everything.values())[:JOB_WINDOW]
    assert set(state.jobs) == {found.job_id for found in newest}


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_versions_of_a_job_in_any_order_end_in_the_newest(order: list[int]) -> None:
    versions = [job(1, charged=n, updated_at=NOW_MS + n) for n in range(6)]
    state = after(*(JobsChanged((versions[n],)) for n in order))
    assert state.jobs[job(1).job_id] == versions[5]
