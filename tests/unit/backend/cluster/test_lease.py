"""The lease: whatever the order of readings, renewals, take-overs, lost answers and stopped processes, at most one
member leads at any moment, and terms only rise."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.cluster import machine
from backend.cluster.machine import Following, Leading, Observe, Renew, Seen, TakeOver

LEASE_S = 5.0


@dataclass
class Row:
    """The lease row in the database: each method is one transaction."""

    term: int = 0
    beat: int = 0
    holder: str = ""
    winners: dict[int, str] = field(default_factory=dict)

    def take_over(self, expected: Seen, who: str) -> int | None:
        if (self.term, self.beat) != (expected.term, expected.beat):
            return None
        self.term, self.beat, self.holder = self.term + 1, self.beat + 1, who
        assert self.term not in self.winners
        self.winners[self.term] = who
        return self.term

    def renew(self, term: int, who: str) -> bool:
        if (self.term, self.holder) != (term, who):
            return False
        self.beat += 1
        return True


@dataclass
class Member:
    """One member: its state, its clock (which runs at its own rate), and the request it has under way."""

    name: str
    rate: float
    offset: float
    state: machine.State = field(default_factory=Following)
    asked_at_s: float = 0.0
    todo: machine.Action | None = None
    done: bool = False
    result: object = None

    def clock(self, real_s: float) -> float:
        return self.offset + real_s * self.rate

    def ask(self, now_s: float) -> None:
        self.asked_at_s = now_s
        self.todo, self.done = machine.action(self.state, now_s, LEASE_S), False

    def reach_database(self, row: Row) -> None:
        """The database does what was asked; the answer is still on its way."""
        self.done = True
        if isinstance(self.todo, TakeOver):
            self.result = row.take_over(self.todo.expected, self.name)
        elif isinstance(self.todo, Renew):
            self.result = row.renew(self.todo.term, self.name)
        else:
            self.result = Seen(row.term, row.beat, not row.holder)

    def hear(self, now_s: float, lost: bool) -> None:
        todo, self.todo = self.todo, None
        if lost or not self.done:
            self.state = machine.unknown(self.state, now_s)
        elif isinstance(todo, Observe):
            assert isinstance(self.result, Seen)
            self.state = machine.observed(self.state, self.result, now_s)
        elif isinstance(todo, Renew):
            renewed = machine.renewed(self.state, self.asked_at_s, LEASE_S)
            self.state = renewed if self.result else machine.refused()
        elif self.result is None:
            self.state = machine.refused()
        else:
            assert isinstance(self.result, int)
            self.state = machine.taken_over(self.result, self.asked_at_s, LEASE_S)

    def resign(self, row: Row) -> None:
        if isinstance(self.state, Leading):
            term, self.state = self.state.term, Following()
            if (row.term, row.holder) == (term, self.name):
                row.holder = ""


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["ask", "reach", "hear", "lose", "resign", "wait"]),
        st.floats(0.0, 4.0),
    ),
    max_size=120,
)
clocks = st.tuples(st.floats(0.96, 1.04), st.floats(-1e6, 1e6))


@settings(max_examples=400)
@given(steps, st.lists(clocks, min_size=3, max_size=3))
def test_at_most_one_member_leads_at_any_moment(
    walk: list[tuple[int, str, float]], rates: list[tuple[float, float]]
) -> None:
    row, real_s = Row(), 0.0
    members = [Member(f"m{at}", rate, offset) for at, (rate, offset) in enumerate(rates)]
    highest = 0
    for at, what, seconds in walk:
        member = members[at]
        if what == "wait":
            real_s += seconds
        elif what == "ask" and member.todo is None:
            member.ask(member.clock(real_s))
        elif what == "reach" and member.todo is not None and not member.done:
            member.reach_database(row)
        elif what in ("hear", "lose") and member.todo is not None:
            member.hear(member.clock(real_s), lost=what == "lose")
        elif what == "resign" and member.todo is None:
            member.resign(row)
        leaders = [m for m in members if machine.leads(m.state, m.clock(real_s))]
        assert len(leaders) <= 1
        assert row.term >= highest
        highest = row.term


@settings(max_examples=100)
@given(st.lists(st.sampled_from([0, 1]), min_size=30, max_size=60), st.integers(0, 1))
def test_a_member_that_is_alone_comes_to_lead(order: list[int], dead: int) -> None:
    """Liveness: after the leader is dead for longer than the lease, the other takes over."""
    row, real_s = Row(), 0.0
    members = [Member("a", 1.0, 0.0), Member("b", 1.0, 500.0)]

    def beat(member: Member) -> None:
        member.ask(member.clock(real_s))
        member.reach_database(row)
        member.hear(member.clock(real_s), lost=False)

    for at in order:
        beat(members[at])
        real_s += 0.5
    alive = members[1 - dead]
    for _ in range(30):
        beat(alive)
        real_s += 0.5
    assert machine.leads(alive.state, alive.clock(real_s))


def test_a_leader_that_cannot_renew_stops_before_another_may_begin() -> None:
    leading = machine.taken_over(3, asked_at_s=10.0, lease_s=LEASE_S)
    assert machine.leads(leading, 10.0 + LEASE_S * machine.SAFETY - 0.01)
    assert not machine.leads(leading, 10.0 + LEASE_S * machine.SAFETY)
    watching = machine.observed(Following(), Seen(3, 7), read_at_s=10.0)
    assert isinstance(machine.action(watching, 10.0 + LEASE_S - 0.01, LEASE_S), Observe)
    assert machine.action(watching, 10.0 + LEASE_S, LEASE_S) == TakeOver(Seen(3, 7))


def test_a_follower_looks_again_just_when_the_lease_would_end() -> None:
    watching = machine.observed(Following(), Seen(3, 7), read_at_s=10.0)
    assert machine.pause_s(watching, 10.0, LEASE_S, heartbeat_s=1.0) == 1.0
    assert machine.pause_s(watching, 10.0 + LEASE_S - 0.25, LEASE_S, heartbeat_s=1.0) == 0.25
    assert machine.pause_s(watching, 10.0 + LEASE_S + 3, LEASE_S, heartbeat_s=1.0) == 0.0
    assert machine.pause_s(Following(), 10.0, LEASE_S, heartbeat_s=1.0) == 1.0
    assert machine.pause_s(machine.taken_over(3, 10.0, LEASE_S), 10.9, LEASE_S, heartbeat_s=1.0) == 1.0


def test_an_unknown_take_over_makes_nobody_a_leader() -> None:
    watching = machine.observed(Following(), Seen(3, 7, vacant=True), read_at_s=0.0)
    assert isinstance(machine.action(watching, 0.0, LEASE_S), TakeOver)
    assert machine.unknown(watching, 1.0) == Following()


def test_a_renewal_that_comes_late_cannot_revive_a_lost_lease() -> None:
    assert machine.renewed(Following(), 0.0, LEASE_S) == Following()
    leading = machine.taken_over(1, asked_at_s=0.0, lease_s=LEASE_S)
    assert machine.action(leading, 100.0, LEASE_S) == Observe()


def test_a_lease_that_was_given_to_one_is_vacant_for_that_one_alone() -> None:
    assert machine.is_vacant("", "", "p1")
    assert machine.is_vacant("", "p1", "p1")
    assert not machine.is_vacant("", "p2", "p1")
    assert not machine.is_vacant("p3", "p1", "p1")
    assert machine.is_to_hand_over("p2", "p1")
    assert not machine.is_to_hand_over("", "p1")
    assert not machine.is_to_hand_over("p1", "p1")
    # One that does not take what it was given is dead: the others take it when the lease's time is over.
    watching = machine.observed(Following(), Seen(3, 7, machine.is_vacant("", "p2", "p1")), read_at_s=10.0)
    assert isinstance(machine.action(watching, 10.0 + LEASE_S - 0.01, LEASE_S), Observe)
    assert isinstance(machine.action(watching, 10.0 + LEASE_S, LEASE_S), TakeOver)


def test_silence_is_counted_from_the_first_reading_of_the_last_beat() -> None:
    watching = machine.observed(Following(), Seen(3, 7), read_at_s=10.0)
    assert machine.silent_ms(machine.observed(watching, Seen(3, 7), 11.0), 15.5) == 5_500
    assert machine.silent_ms(Following(), 15.5) == 0
    assert machine.silent_ms(Leading(3, 99.0), 15.5) == 0
