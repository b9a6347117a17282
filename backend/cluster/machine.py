"""Who leads: decisions of one member, pure. No wall clock: only the member's own monotonic one, given as an argument.

There is one row (term, holder) and one counter (beat) that the leader moves on. A member that has seen the same term
and beat for the whole lease, by its own clock, may take over by compare-and-set, which raises the term. The leader
counts its lease from *before* it asked for the renewal, a candidate from *after* it read the beat, and the leader
stops a tenth early: so its time is over before a candidate's begins, whatever the clocks of the machines say, as long
as their seconds are equally long within that tenth. What is written under a term is fenced by that term in the
database besides.

Invariants: an unknown outcome makes nobody a leader; a leader that cannot renew stops by itself.
"""

from dataclasses import dataclass, replace

SAFETY = 0.9


@dataclass(frozen=True)
class Seen:
    """The lease as it was read. `vacant`: this member may take it at once (see `is_vacant`)."""

    term: int
    beat: int
    vacant: bool = False


@dataclass(frozen=True)
class Following:
    """`seen` has stood unchanged since `since_s` on this member's clock; None: nothing was read yet."""

    seen: Seen | None = None
    since_s: float = 0.0


@dataclass(frozen=True)
class Leading:
    """This member leads until `until_s` on its own clock, unless it renews."""

    term: int
    until_s: float


State = Following | Leading


@dataclass(frozen=True)
class Observe:
    """Read the lease."""


@dataclass(frozen=True)
class TakeOver:
    """Raise the term, if the lease still is as it was seen."""

    expected: Seen


@dataclass(frozen=True)
class Renew:
    """Move the beat on, if the term still is ours."""

    term: int


Action = Observe | TakeOver | Renew


def is_vacant(holder: str, given_to: str, process: str) -> bool:
    """Whether this process may take the lease at once: nobody holds it, and it was not given to another. One that was
    given to a process which does not take it ends like any other, after the lease's time."""
    return not holder and given_to in ("", process)


def is_to_hand_over(given_to: str, process: str) -> bool:
    """Whether the leader is asked to give its lease to another."""
    return given_to not in ("", process)


def silent_ms(state: State, now_s: float) -> int:
    """For how long a follower has seen no beat of the leader."""
    return max(0, round((now_s - state.since_s) * 1000)) if isinstance(state, Following) and state.seen else 0


def leads(state: State, now_s: float) -> bool:
    """Whether this member may act as the leader now."""
    return isinstance(state, Leading) and now_s < state.until_s


def action(state: State, now_s: float, lease_s: float) -> Action:
    """What to do at this beat."""
    if isinstance(state, Leading):
        return Renew(state.term) if now_s < state.until_s else Observe()
    if state.seen is not None and (state.seen.vacant or now_s - state.since_s >= lease_s):
        return TakeOver(state.seen)
    return Observe()


def pause_s(state: State, now_s: float, lease_s: float, heartbeat_s: float) -> float:
    """How long to wait for the next look at the lease: a beat, or until the lease that a follower watches would end."""
    if isinstance(state, Leading) or state.seen is None or state.seen.vacant:
        return heartbeat_s
    return min(heartbeat_s, max(0.0, state.since_s + lease_s - now_s))


def observed(state: State, seen: Seen, read_at_s: float) -> State:
    """The lease was read; the reading had ended at `read_at_s`."""
    if leads(state, read_at_s):
        return state
    return state if isinstance(state, Following) and state.seen == seen else Following(seen, read_at_s)


def taken_over(term: int, asked_at_s: float, lease_s: float) -> State:
    """The compare-and-set is committed: this member leads `term`. `asked_at_s` is before it was sent."""
    return Leading(term, asked_at_s + lease_s * SAFETY)


def renewed(state: State, asked_at_s: float, lease_s: float) -> State:
    """The renewal is committed. It cannot bring back a lease that has ended meanwhile: what was seen since may
    differ."""
    if isinstance(state, Leading):
        return replace(state, until_s=max(state.until_s, asked_at_s + lease_s * SAFETY))
    return state


def refused() -> State:
    """The lease was not as expected: somebody else has it. Watch anew."""
    return Following()


def unknown(state: State, now_s: float) -> State:
    """It is not known whether the last action was done. Whoever led leads on till the lease ends, nobody else does."""
    return state if leads(state, now_s) else Following()
