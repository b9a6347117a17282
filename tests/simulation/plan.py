"""What a seed means: who prints what, and what breaks, each at a step. A plan can be shortened and run again.

Not every seed has every kind of fault ("swarm testing", Groce et al., ISSTA 2012): a run in which everything fails all
the time never gets to the states behind a success.
"""

import random
from dataclasses import dataclass, replace
from typing import Final

from backend.wire.base import OfflinePolicy, PartialCharge
from tests.simulation.giver import CLERKS

USERS: Final = {"ada": (False, 0), "bob": (True, 0), "cleo": (True, 3000), "dan": (True, 0)}  # restricted, overdraft
BALANCES: Final = {"ada": 0, "bob": 6_000, "cleo": 1_000, "dan": 2_500}
GUESTS: Final = ("eve",)  # known to nobody before they print
PRICES: Final = {"red": 500, "blue": 120}
STEPS: Final = 500
ACCESS: Final = ("clerk",) * 5 + ("log-out", "guess") * 2 + ("mistype", "new-password", "disable", "role", "reset")
POLICIES: Final = ("allow", "allow", "allowance", "hold")

FAULTS: Final = (
    "kill-server", "stop-server", "kill-database", "cut", "jump", "kill-daemon", "stop-daemon", "kill-backend",
    "stop-backend", "kill-inner", "kill-cupsd", "power", "full", "jam", "late-run", "deaf",
)  # fmt: skip
STORMS: Final = (  # what is worth having at the same time more often than chance gives it
    ("kill-daemon", "stop-backend", "kill-cupsd", "stop-daemon"),
    ("kill-daemon", "power"),
    ("kill-daemon", "jump"),
    ("stop-server", "cut", "jump"),
    ("jam", "kill-inner", "kill-backend"),
    ("late-run",),
    ("deaf", "kill-inner", "kill-backend", "jam"),
)


@dataclass(frozen=True)
class Item:
    """Something that is done when the run comes to `step`. `what` says what `name` and the numbers mean."""

    step: int
    what: str
    name: str = ""
    other: str = ""
    number: int = 0
    seconds: float = 0.0
    flag: bool = False

    @property
    def is_fault(self) -> bool:
        return self.what in FAULTS


@dataclass(frozen=True)
class Rule:
    """What a print server's queue does: with jobs that nobody released, while no server answers (the allowance in minor
    units), and with runs of which nobody can tell what they printed."""

    hold_jobs: bool = False
    offline: OfflinePolicy = "allow"
    allowance: int = 0
    partial_charge: PartialCharge = "whole"


@dataclass(frozen=True)
class Plan:
    """`loss`, `double` and `slow` are the network's habits as long as the faults last; `rules` those of the queues."""

    seed: int
    steps: int
    servers: int
    providers: int
    create_users: bool
    loss: float
    double: float
    slow: float
    rules: tuple[Rule, ...]
    items: tuple[Item, ...]

    def without(self, dropped: frozenset[int]) -> "Plan":
        return replace(self, items=tuple(item for at, item in enumerate(self.items) if at not in dropped))


def make(seed: int, steps: int = STEPS) -> Plan:
    rng = random.Random(f"plan {seed}")
    servers, providers = rng.choice((1, 2, 3, 3)), rng.choice((1, 1, 2))
    rules = tuple(_rule(rng) for _ in range(providers))
    items = [
        *_prints(rng, steps, providers, any(rule.hold_jobs for rule in rules)),
        *_money(rng, steps),
        *_faults(rng, steps, servers, providers),
        *_access(random.Random(f"plan of log-ins {seed}"), steps, servers),
    ]
    return Plan(
        seed=seed,
        steps=steps,
        servers=servers,
        providers=providers,
        create_users=rng.random() < 0.8,
        loss=rng.choice((0.0, 0.0, 0.01, 0.05)),
        double=rng.choice((0.0, 0.02, 0.1)),
        slow=rng.choice((0.0, 0.0, 0.01, 0.05, 0.2)),
        rules=rules,
        items=tuple(sorted(items, key=lambda item: item.step)),
    )


def _rule(rng: random.Random) -> Rule:
    return Rule(
        hold_jobs=rng.random() < 0.3,
        offline=rng.choice(POLICIES),
        allowance=rng.choice((0, 700, 3000)),
        partial_charge=rng.choice(("whole", "whole", "nothing")),
    )


def _prints(rng: random.Random, steps: int, providers: int, holds: bool) -> list[Item]:
    count = rng.randint(3, 10)
    items = []
    for number in range(count):
        step = rng.randint(1, steps * 3 // 5)
        items.append(
            Item(
                step,
                "print",
                name=f"print{rng.randint(1, providers)}",
                other=rng.choice((*USERS, *USERS, *GUESTS)),
                number=rng.randint(1, 5),
                flag=rng.random() < 0.4,
            )
        )
        later = rng.randint(step, steps)
        for _ in range(rng.choice((0, 0, 1, 3))):
            how = float(rng.randint(0, 4))
            items.append(Item(rng.randint(step, steps), "refund", number=number, seconds=how, flag=rng.random() < 0.3))
        if rng.random() < 0.1:
            items.append(Item(later, "tick", number=number))
        if holds and rng.random() < 0.7:
            items.append(Item(rng.randint(step, steps), "release", number=number))
        if rng.random() < 0.15:
            items.append(Item(later, "call-off", number=number))
        elif rng.random() < 0.15:
            items.append(Item(later, "cancel", number=number))
        elif rng.random() < 0.25:
            items.append(Item(later, "restart", number=number))
        if rng.random() < 0.15:
            items.append(Item(later, "alter", number=number, seconds=rng.randint(1, 7)))
    return items


def _money(rng: random.Random, steps: int) -> list[Item]:
    items = []
    for _ in range(rng.randint(2, 14)):
        step, user = rng.randint(1, steps), rng.choice((*USERS, *GUESTS))
        what = rng.choice(
            ("adjust",) * 3 + ("set", "configure", "replay", "replay", "misuse", "stale", "stale") + ("reverse",) * 4
        )
        number = rng.choice((-3000, -1000, -500, 500, 2000, 700))
        items.append(Item(step, what, name=user, number=number, flag=rng.random() < 0.5))
    return items


def _access(rng: random.Random, steps: int, servers: int) -> list[Item]:
    """What those do who log in, and what is done to them; most of it by one of them, so that it meets. Some seeds have
    faults that hurt just these: servers that stand still, the primary's clock set."""
    if rng.random() < 0.3:
        return []
    items, favourite = [], rng.choice(CLERKS)
    for _ in range(rng.randint(2, 12)):
        step, what = rng.randint(1, steps), rng.choice(ACCESS)
        clerk = favourite if rng.random() < 0.7 else rng.choice(CLERKS)
        number = rng.choice((3, 6, 9, 12)) if what == "guess" else rng.choice((-700, 300, 900))
        seconds, flag = rng.uniform(0.5, 8.0), rng.random() < 0.6
        items.append(Item(step, what, clerk, rng.choice((*USERS,)), number, seconds, flag))
    if rng.random() < 0.2:
        items.append(Item(rng.randint(steps // 2, steps), "jump", "database", number=rng.choice((-3600, 3600))))
    for _ in range(rng.choice((0, 0, 1, 3))):
        server = f"server{rng.randint(1, servers)}"
        items.append(Item(rng.randint(20, steps), "stop-server", server, seconds=rng.uniform(6.0, 30.0)))
    return items


def _faults(rng: random.Random, steps: int, servers: int, providers: int) -> list[Item]:
    if rng.random() < 0.3:
        kinds = list(rng.choice(STORMS))
        return [_fault(rng, rng.choice(kinds), steps, servers, providers) for _ in range(rng.randint(2, 10))]
    kinds = [kind for kind in FAULTS if rng.random() < 0.35]
    if not kinds:
        return []
    return [_fault(rng, rng.choice(kinds), steps, servers, providers) for _ in range(rng.randint(1, 8))]


def _fault(rng: random.Random, what: str, steps: int, servers: int, providers: int) -> Item:
    step = rng.randint(5, steps)
    server, printing = f"server{rng.randint(1, servers)}", f"print{rng.randint(1, providers)}"
    short, long = rng.uniform(0.0, 3.0), rng.uniform(1.0, 15.0)
    if what.endswith("-server"):
        return Item(step, what, name=server, seconds=rng.choice((short, long)), flag=rng.random() < 0.5)
    if what == "kill-database":
        return Item(step, what, name="database", seconds=short)
    if what == "cut":
        ends = [server, rng.choice(("database", "database", printing, "desk"))]
        rng.shuffle(ends)
        return Item(step, what, name=ends[0], other=ends[1], seconds=long, flag=rng.random() < 0.5)
    if what == "jump":
        machine = rng.choice((server, "database", "database", printing))
        return Item(step, what, name=machine, number=rng.choice((-3600, 3600, -7, 61)))
    if what == "power":
        clock = rng.choice((0, 0, 0, -7, -3600, 3600))  # a machine's own clock is not always right after a night
        return Item(step, what, name=printing, seconds=rng.uniform(2.0, 20.0), number=clock)
    if what == "late-run":
        return Item(step // 3, what, name=printing, seconds=rng.uniform(0.6, 3.0))
    if what == "jam":
        return Item(step, what, name=printing, seconds=rng.uniform(1.0, 3.0), number=rng.choice((0, 1, 7)))
    seconds = rng.choice((short, long, rng.uniform(25, 60))) if what in ("stop-backend", "kill-daemon") else short
    if what == "deaf":
        return Item(step, what, name=printing, seconds=rng.uniform(4.0, 20.0), flag=rng.random() < 0.5)
    if what in ("stop-daemon", "full"):
        seconds = long
    return Item(step, what, name=printing, seconds=seconds, number=rng.randint(0, 9))
