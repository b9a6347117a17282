"""Make a failing plan shorter while it still fails with the same promise: fewer items, a calm network.

Delta debugging (Zeller, Hildebrandt 2002), by halves and then one by one. A shorter plan draws other random numbers
than the long one did, so some drops miss; what is left is short, not the shortest.
"""

from dataclasses import replace

from tests.simulation.plan import Plan
from tests.simulation.run import Outcome, simulate

MOST_TRIES = 400


def shrink(plan: Plan, outcome: Outcome) -> tuple[Plan, Outcome]:
    """The shortest plan found, and its outcome."""
    tries = MOST_TRIES
    size = max(1, len(plan.items) // 2)
    while size and tries:
        at, shorter = 0, False
        while at < len(plan.items) and tries:
            tries -= 1
            found = _still(plan.without(frozenset(range(at, at + size))), outcome)
            if found is not None:
                (plan, outcome), shorter = found, True
            else:
                at += size
        size = size // 2 if size > 1 else int(shorter)
    for calmer in (replace(plan, loss=0.0), replace(plan, slow=0.0), replace(plan, double=0.0)):
        found = _still(replace(plan, loss=calmer.loss, slow=calmer.slow, double=calmer.double), outcome)
        if found is not None:
            plan, outcome = found
    return plan, outcome


def _still(plan: Plan, outcome: Outcome) -> tuple[Plan, Outcome] | None:
    found = simulate(plan)
    return (plan, found) if found.promise == outcome.promise else None
