"""The store's campaigns pass, and find the bugs that are planted: otherwise their silence would mean nothing."""

from collections.abc import Iterator

import pytest

from tests.support.postgresql import Postgres
from tests.support.store_campaign import Ground, campaign
from tests.support.store_plants import PLANTS, Plant

SEEDS = 6
MOST_SEEDS = 200
QUICK = ("lock-order-turned", "answered-before-the-commit")
QUICK_SEEDS = 40

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def ground(postgres: Postgres) -> Iterator[Ground]:
    made = Ground(postgres)
    yield made
    made.close()


def seeds_until_found(ground: Ground, plant: Plant, most: int) -> tuple[int, str] | None:
    """How many seeds it takes, from 1 on, until one breaks a promise, and what it broke; None when none does."""
    with pytest.MonkeyPatch.context() as patch:
        plant.plant(patch)
        for seed in range(1, most + 1):
            broken = campaign(ground, seed)
            if broken:
                return seed, broken
    return None


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_nothing_is_lost_doubled_or_refused(ground: Ground, seed: int) -> None:
    assert campaign(ground, seed) == ""


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found_at_once(ground: Ground, name: str) -> None:
    plant = next(plant for plant in PLANTS if plant.name == name)
    assert seeds_until_found(ground, plant, QUICK_SEEDS) is not None


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_every_planted_bug_is_found(ground: Ground, plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/RELIABILITY.md lists the figures that this prints."""
    found = seeds_until_found(ground, plant, MOST_SEEDS)
    with capsys.disabled():
        print(f"\nplant {plant.name} ({plant.where}): found by seed {found}")
    assert found is not None, f"{plant.name} was not found in {MOST_SEEDS} seeds"
