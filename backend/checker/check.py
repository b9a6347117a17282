"""The one question: given what came out, what was acknowledged and the ledger, which promises were broken?

Used by the simulator, by tests with real processes, and by `verify`. P3, P5 and P6 hold at every committed
snapshot. P1 and P7 are asked once all is quiet: nothing prints, every report has been sent. P4 and P8 compare two
snapshots.
"""

from collections.abc import Iterable, Mapping

from backend.checker import commands as acknowledged
from backend.checker import money, printings
from backend.checker.model import Command, Fault, Findings, Ledger, Printing, Sent
from backend.wire.pricing import CostRule


def check(
    printed: Iterable[Printing],
    sent: Iterable[Sent],
    ledger: Ledger,
    prices: Mapping[str, CostRule],
    *,
    commands: Iterable[Command] = (),
    limits_changed: frozenset[int] = frozenset(),
) -> Findings:
    """Everything, once all is quiet. Raises KeyError for an output on a queue without a price."""
    verdicts, faults = printings.verdicts(printed, sent, ledger, prices)
    faults += printings.charges(ledger)
    faults += check_books(ledger, limits_changed=limits_changed, quiet=True)
    faults += acknowledged.effects(commands, ledger)
    return Findings(faults=tuple(faults), verdicts=verdicts)


def check_books(ledger: Ledger, *, limits_changed: frozenset[int] = frozenset(), quiet: bool = False) -> list[Fault]:
    """P3, P5, P6 and P8 (of what was undone) of any committed snapshot."""
    return [
        *money.balances(ledger),
        *money.limits(ledger, limits_changed),
        *money.reservations(ledger, quiet),
        *money.reversals(ledger),
    ]


def check_growth(before: Ledger, after: Ledger) -> list[Fault]:
    """P4: of two snapshots, the later one has every row of the earlier one as it was."""
    return list(money.only_grew(before, after))


def check_replay(before: Ledger, after: Ledger) -> list[Fault]:
    """P8: of two quiet snapshots between which only old commands were given again, the later one is the same."""
    return list(money.same_money(before, after))
