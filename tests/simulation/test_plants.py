"""The simulator finds the bugs that are planted: otherwise its silence would mean nothing."""

import pytest

from tests.simulation.plan import make
from tests.simulation.plants import PLANTS, Plant
from tests.simulation.run import simulate

MOST_SEEDS = 4000
QUICK = (
    "replay-decided-anew", "attempt-ignored", "leads-without-end", "exit-code-believed", "retry-with-a-new-id",
    "undone-as-often-as-asked", "limit-of-the-day-by-batch", "refund-beyond-the-charge",
    "ended-token-honoured", "attempt-not-counted",
)  # fmt: skip
QUICK_SEEDS = 100


def seeds_until_found(plant: Plant, most: int) -> int | None:
    """How many seeds it takes, from 1 on, until one of them breaks a promise; None when none of them does."""
    with pytest.MonkeyPatch.context() as patch:
        plant.plant(patch)
        return next((seed for seed in range(1, most + 1) if simulate(make(seed)).fault), None)


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_at_once(name: str) -> None:
    plant = next(plant for plant in PLANTS if plant.name == name)
    assert seeds_until_found(plant, QUICK_SEEDS) is not None


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_every_planted_bug_is_found(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/RELIABILITY.md lists the figures that this prints."""
    found = seeds_until_found(plant, MOST_SEEDS)
    with capsys.disabled():
        print(f"\nplant {plant.name} ({plant.where}): found by seed {found}")
    assert found is not None, f"{plant.name} was not found in {MOST_SEEDS} seeds"
