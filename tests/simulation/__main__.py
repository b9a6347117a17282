"""`python -m tests.simulation SEED`: play a seed again, tell its story, make it shorter."""

import argparse
import sys
import time

from tests.simulation.plan import STEPS, make
from tests.simulation.run import Outcome, simulate
from tests.simulation.shrink import shrink

STORY_LINES = 40


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, help="the seed that failed, or the first of --count")
    parser.add_argument("--count", type=int, default=1, help="run so many seeds, from SEED on")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps with faults (default {STEPS})")
    parser.add_argument("--shrink", action="store_true", help="drop what the failure does not need")
    parser.add_argument("--story", action="store_true", help="tell the story of a run that kept its promises, too")
    options = parser.parse_args()
    begun = time.monotonic()
    failed = 0
    for seed in range(options.seed, options.seed + options.count):
        plan = make(seed, options.steps)
        outcome = simulate(plan)
        if outcome.fault and options.shrink:
            plan, outcome = shrink(plan, outcome)
            print(f"seed {seed} needs only:", *plan.items, sep="\n  ")
        failed += bool(outcome.fault)
        if outcome.fault or options.story:
            print(tell(outcome))
    spent = time.monotonic() - begun
    print(f"{options.count} seeds, {failed} failed, {options.count / spent:.1f} seeds/s")
    return 1 if failed else 0


def tell(outcome: Outcome, lines: int = STORY_LINES) -> str:
    """The last events of a run and what came of it."""
    head = f"seed {outcome.seed}: {outcome.steps} steps, {outcome.seconds:.1f} s, digest {outcome.digest:08x}"
    verdict = f"BROKEN {outcome.fault}" if outcome.fault else f"every promise held: {outcome.counts}"
    return "\n".join([head, *outcome.story[-lines:], verdict])


if __name__ == "__main__":
    sys.exit(main())
