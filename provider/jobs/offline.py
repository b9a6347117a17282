"""What becomes of a job while no server answers: the queue's policy, its cached rule, what its user may still spend.
Pure.

- `allow`: it prints, and is charged when a server is back;
- `allowance`: it prints while what a server last said its user has, and the allowance, cover it and what that user has
  printed offline since; else it is held;
- `hold`: it is held, and asked for again once a server answers.

A queue's policy is the server's word; "default", and a queue that no server has told of, goes by the print server's own
setting, but for a queue whose jobs wait to be released: there nobody can release them, so they wait. A job is priced by
the queue's rule as it was last told, and is charged by that rule.
"""

from dataclasses import dataclass

from backend.wire.base import Ledger, OfflinePolicy
from backend.wire.jobs import JobFacts
from backend.wire.pricing import minor_units, money_text, price
from backend.wire.printers import QueuePolicy
from provider.jobs.model import OfflineCharge
from provider.jobs.rules import whole

DEFAULT_LEDGER = Ledger(currency="", decimals=4)
HELD_WITHOUT_SERVER = "No accounting server answers. This job waits, and prints by itself when one is back."


@dataclass(frozen=True)
class OfflinePrint:
    """Print now. `charge` is how it was priced, None where the queue's rule is not known here."""

    charge: OfflineCharge | None = None


@dataclass(frozen=True)
class OfflineHold:
    message: str


@dataclass(frozen=True)
class OfflineDeny:
    message: str


PRINT_UNPRICED = OfflinePrint()
Verdict = OfflinePrint | OfflineHold | OfflineDeny


@dataclass(frozen=True)
class Purse:
    """What one user can spend offline, in minor units: `told` is what a server last said is left to print with (None:
    no server ever told here), `spent` the prices of what was printed offline since and no server has charged yet."""

    told: int | None
    spent: int


def decide(
    queue_name: str, facts: JobFacts, queue: QueuePolicy | None, own: OfflinePolicy, allowance: int, purse: Purse,
    ledger: Ledger,
) -> Verdict:  # fmt: skip
    """What the policy says to a job with these facts."""
    if queue is not None and queue.disabled:
        return OfflineDeny(f"Printing on {queue_name} is switched off.")
    charge = None if queue is None else OfflineCharge(cost=price(queue.cost, whole(facts)), rule=queue.cost)
    policy = policy_of(queue, own)
    if policy == "hold" or (policy == "allowance" and charge is None):
        return OfflineHold(HELD_WITHOUT_SERVER)
    if policy == "allowance" and charge is not None and charge.cost > left(purse, allowance):
        return OfflineHold(_too_dear(charge.cost, left(purse, allowance), ledger))
    return OfflinePrint(charge)


def policy_of(queue: QueuePolicy | None, own: OfflinePolicy) -> OfflinePolicy:
    """The policy that counts: never "default"."""
    if queue is None:
        return own
    if queue.offline_policy == "default":
        return "hold" if queue.hold_jobs else own
    return queue.offline_policy


def left(purse: Purse, allowance: int) -> int:
    """What this user can still spend offline on this print server, in minor units; a debt lessens the allowance."""
    return (purse.told or 0) + allowance - purse.spent


def allowance_units(text: str, ledger: Ledger) -> int:
    """The setting `[offline] allowance` ("5.00") in minor units, "" is 0. Raises ValueError for what is no amount."""
    return max(0, minor_units(text, ledger.decimals)) if text.strip() else 0


def _too_dear(cost: int, rest: int, ledger: Ledger) -> str:
    told, available = (money_text(amount, ledger.decimals, ledger.currency) for amount in (cost, max(0, rest)))
    return f"No accounting server answers. This job costs {told}, {available} can be spent until one is back: it waits."
