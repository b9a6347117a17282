"""Which server to ask next and how long to wait: decisions only, no clock, no network.

A client starts at a random member (so that many clients spread), stays with it while it answers well, moves on when it
fails, and does not run back when the failed one returns: a server that comes and goes costs one retry, not one each
time. A second try beside a slow first one (a hedge) comes out of a budget that ordinary requests fill, so that a slow
cluster is never asked twice as much by all of its clients.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

HEDGE_AFTER_S = 0.5
MOVE_ON_AFTER_S = 1.0  # without budget the slow try is given up instead of doubled
FIRST_PENALTY_S = 0.5
LONGEST_PENALTY_S = 30.0
HEDGE_SHARE = 0.1
HEDGE_BURST = 5.0


@dataclass(frozen=True)
class Away:
    """A server that failed `failures` times in a row; it is asked last until `until_s`."""

    failures: int
    until_s: float


@dataclass(frozen=True)
class Choice:
    """`servers` in the order to walk, `current` the one in use ("" when none is known)."""

    servers: tuple[str, ...]
    current: str
    away: dict[str, Away] = field(default_factory=dict)
    hedges: float = HEDGE_BURST


def start(servers: Iterable[str], random_unit: float) -> Choice:
    """Begin with a random server and go round in a random order, so that the clients of one that dies spread over all
    others: `random_unit` is in [0, 1)."""
    walk = _shuffled(_distinct(servers), random_unit)
    return Choice(walk, walk[0] if walk else "")


def with_servers(choice: Choice, servers: Iterable[str], random_unit: float = 0.0) -> Choice:
    """The same choice over a new list: the server in use stays in use where it is still listed. New ones come behind
    it, in a random order."""
    urls = _distinct(servers)
    if not urls or set(urls) == set(choice.servers):
        return choice
    kept = tuple(url for url in choice.servers if url in urls)
    walk = kept + _shuffled(tuple(url for url in urls if url not in kept), random_unit)
    current = choice.current if choice.current in walk else walk[0]
    return replace(choice, servers=walk, current=current, away={u: a for u, a in choice.away.items() if u in walk})


def order(choice: Choice, now_s: float) -> tuple[str, ...]:
    """Every server once: the one in use, then those that did not fail lately, then the rest, soonest forgiven first."""
    if not choice.servers:
        return ()
    at = choice.servers.index(choice.current)
    walk = choice.servers[at:] + choice.servers[:at]
    well = [url for url in walk if not _is_away(choice, url, now_s)]
    ill = sorted((url for url in walk if _is_away(choice, url, now_s)), key=lambda url: choice.away[url].until_s)
    return tuple(well + ill)


def answered(choice: Choice, url: str) -> Choice:
    """This server answered: it is the one in use from now on, and its failures are forgotten."""
    if url not in choice.servers:
        return choice
    if url == choice.current and url not in choice.away:
        return choice
    return replace(choice, current=url, away={u: a for u, a in choice.away.items() if u != url})


def failed(choice: Choice, url: str, now_s: float) -> Choice:
    """This server failed: each failure in a row doubles the time for which the others are asked first."""
    if url not in choice.servers:
        return choice
    failures = choice.away[url].failures + 1 if url in choice.away else 1
    penalty = min(LONGEST_PENALTY_S, FIRST_PENALTY_S * 2.0 ** min(failures - 1, 10))
    moved = replace(choice, away={**choice.away, url: Away(failures, now_s + penalty)})
    return replace(moved, current=order(moved, now_s)[0]) if url == choice.current else moved


def requested(choice: Choice) -> Choice:
    """A request was made: it earns its share of a hedge."""
    return replace(choice, hedges=min(HEDGE_BURST, choice.hedges + HEDGE_SHARE))


def may_hedge(choice: Choice) -> bool:
    """Is there budget for a second try beside the first?"""
    return choice.hedges >= 1.0


def hedged(choice: Choice) -> Choice:
    """A hedge was sent."""
    return replace(choice, hedges=choice.hedges - 1.0)


def wait_s(choice: Choice, servers_left: bool, left_s: float) -> float:
    """How long to wait for the tries under way before the next one starts."""
    if not servers_left:
        return left_s
    return min(left_s, HEDGE_AFTER_S if may_hedge(choice) else MOVE_ON_AFTER_S)


def backoff_s(round_number: int, random_unit: float) -> float:
    """The pause after the n-th round (from 0) in which every server failed: doubling to 5 s, half of it random."""
    longest = min(5.0, 0.1 * 2.0 ** min(round_number, 10))
    return longest * (0.5 + 0.5 * random_unit)


def _is_away(choice: Choice, url: str, now_s: float) -> bool:
    return url in choice.away and choice.away[url].until_s > now_s


def _shuffled(urls: tuple[str, ...], random_unit: float) -> tuple[str, ...]:
    """Each order is as likely as any other, for a `random_unit` that is evenly spread."""
    left, walk = list(urls), []
    while left:
        place = random_unit * len(left)
        walk.append(left.pop(int(place)))
        random_unit = place - int(place)
    return tuple(walk)


def _distinct(servers: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url.rstrip("/") for url in servers if url))
