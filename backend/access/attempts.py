"""How long somebody must wait before they may try to log in again. Pure.

Guessing is slowed down by address and by account. Nobody is locked out: the wait for an account is short, and does not
hold at all for an address from which that account was logged in to of late, which counts its own failures only; so a
stranger cannot keep the help desk out, nor a colleague behind the same address.

What failed more than a moment after now was noted by a clock that has been set back since, and counts no more: else
everybody would wait until the clock is there again.

Each attempt counts as failed from its beginning until it turns out to be right: guesses made side by side are slowed
down like those made one after the other.
"""

from typing import Final

import msgspec

WINDOW_MS: Final = 15 * 60_000  # what failed longer ago counts no more
AHEAD_MS: Final = 10_000  # by so much the clocks of two primaries may differ
KNOWN_MS: Final = 30 * 86_400_000
FREE: Final = 5
FREE_ACCOUNT: Final = 10
LONGEST_MS: Final = 60_000
LONGEST_ACCOUNT_MS: Final = 8_000


class Tally(msgspec.Struct, frozen=True):
    """Failures of late, and when the last one was."""

    failures: int = 0
    failed_at: int = 0


class Attempts(msgspec.Struct, frozen=True):
    """What is known when somebody tries: of this name from this address, of the address, and of the name."""

    pair: Tally = Tally()
    address: Tally = Tally()
    account: Tally = Tally()
    succeeded_at: int = 0  # this name from this address


def wait_ms(found: Attempts, now: int) -> int:
    """How long is to be waited from now, 0 when it may be tried at once."""
    known = found.succeeded_at > now - KNOWN_MS
    waits = [_left(found.pair if known else found.address, FREE, LONGEST_MS, now)]
    if not known:
        waits.append(_left(found.account, FREE_ACCOUNT, LONGEST_ACCOUNT_MS, now))
    return max(waits)


def counted(before: Tally, now: int) -> Tally:
    """One more failure."""
    return Tally((before.failures if is_of_late(before.failed_at, now) else 0) + 1, now)


def is_of_late(failed_at: int, now: int) -> bool:
    """Whether what failed then still counts."""
    return now - WINDOW_MS < failed_at <= now + AHEAD_MS


def _left(tally: Tally, free: int, longest_ms: int, now: int) -> int:
    beyond = tally.failures - free
    if beyond < 0 or not is_of_late(tally.failed_at, now):
        return 0
    pause: int = min(longest_ms, 1000 << min(beyond, 20))
    return max(0, tally.failed_at + pause - now)
