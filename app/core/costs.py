"""Cost rules as people write them: amounts in the ledger's decimals, a row of prices for each medium, what is wrong in
words, what a rule means by an example, and what a change comes to for many queues. Pure.

What a rule means is `backend.wire.pricing` and nothing else: examples are priced by it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import Final, Literal

from app.core.facts import OFFLINE_WORDS, PARTIAL_WORDS
from app.core.viewdata import SPACES, count_text, money
from backend.wire.base import Ledger
from backend.wire.pricing import (
    MAX_AMOUNT,
    CostRule,
    MediaCost,
    PageCost,
    Printed,
    SimpleCost,
    StandardCost,
    money_text,
    price,
    rule_text,
    with_version,
)
from backend.wire.printers import QueueView, SetQueue

Model = Literal["keep", "simple", "standard"]
Kind = Literal["grayscale_simplex", "grayscale_duplex", "color_simplex", "color_duplex"]

KINDS: Final[dict[Kind, str]] = {
    "grayscale_simplex": "Grey, one-sided",
    "grayscale_duplex": "Grey, two-sided",
    "color_simplex": "Colour, one-sided",
    "color_duplex": "Colour, two-sided",
}
MAX_ROWS: Final = 64


class AmountError(ValueError):
    """What was typed is no amount of this ledger; the text says why, for people."""


def amount_of(text: str, ledger: Ledger) -> int:
    """What somebody typed as an amount, in minor units. A comma is taken for a point. Raises AmountError."""
    typed = text.strip().removesuffix(ledger.currency).strip().replace("−", "-").translate(SPACES)
    number = typed.replace(",", ".") if typed.count(",") == 1 and "." not in typed else typed
    try:
        value = Decimal(number)
    except DecimalException as error:
        raise AmountError(f"“{text.strip()}” is not an amount" if typed else "an amount is missing") from error
    if not value.is_finite():
        raise AmountError(f"“{text.strip()}” is not an amount")
    scaled = value.scaleb(ledger.decimals)
    if scaled != scaled.to_integral_value():
        places = "whole numbers only" if not ledger.decimals else f"at most {ledger.decimals} decimals"
        raise AmountError(f"“{text.strip()}” is finer than this ledger counts: {places}")
    if abs(scaled) > MAX_AMOUNT:
        raise AmountError(f"“{text.strip()}” is more than this ledger can hold")
    return int(scaled)


def typed(amount: int, ledger: Ledger) -> str:
    """An amount as it stands in a field."""
    return money_text(amount, ledger.decimals, "")


# ---------------------------------------------------------------- a rule being written


@dataclass(frozen=True, slots=True)
class Row:
    """The prices on one medium, as typed; `media` is "" for the default row."""

    media: str = ""
    prices: tuple[str, str, str, str] = ("", "", "", "")


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as it stands in the form."""

    model: Model = "keep"
    per_page: str = ""
    duplex_discount: str = "0"
    grayscale_discount: str = "0"
    grayscale_printer: bool = False
    rows: tuple[Row, ...] = (Row(),)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a draft comes to: a rule, or what is wrong with it, a line each."""

    rule: CostRule | None = None
    troubles: tuple[str, ...] = ()


def draft_of(rule: CostRule, ledger: Ledger) -> Draft:
    """The form's content for a rule that a queue has."""
    if isinstance(rule, SimpleCost):
        return Draft(
            "simple",
            typed(rule.per_impression, ledger),
            str(rule.duplex_discount),
            str(rule.grayscale_discount),
            rule.grayscale_printer,
            (_row("", _flat(rule.per_impression), ledger),),
        )
    rows = (_row("", rule.default, ledger), *(_row(found.media, found.cost, ledger) for found in rule.media))
    return Draft("standard", typed(rule.default.color_simplex, ledger), "0", "0", rule.grayscale_printer, rows)


def _flat(amount: int) -> PageCost:
    return PageCost(grayscale_simplex=amount, grayscale_duplex=amount, color_simplex=amount, color_duplex=amount)


def _row(media: str, cost: PageCost, ledger: Ledger) -> Row:
    first, second, third, fourth = (typed(getattr(cost, kind), ledger) for kind in KINDS)
    return Row(media, (first, second, third, fourth))


def check(draft: Draft, ledger: Ledger) -> Checked:
    """The rule that was written, or everything that is wrong with it."""
    if draft.model == "keep":
        return Checked()
    if draft.model == "simple":
        return _check_simple(draft, ledger)
    troubles: list[str] = []
    costs = [_costs(row, ledger, troubles) for row in draft.rows]
    names = [row.media.strip() for row in draft.rows[1:]]
    troubles += ["A row has no medium: write its name (a4) or remove the row" for name in names if not name]
    for name, times in Counter(name.lower() for name in names if name).items():
        troubles += [f"{name.upper()} stands in the table {times} times"] if times > 1 else []
    if len(names) > MAX_ROWS:
        troubles.append(f"At most {MAX_ROWS} media have prices of their own")
    if troubles:
        return Checked(None, tuple(dict.fromkeys(troubles)))
    media = tuple(MediaCost(media=name, cost=cost) for name, cost in zip(names, costs[1:], strict=True))
    return Checked(StandardCost(default=costs[0], media=media, grayscale_printer=draft.grayscale_printer))


def _check_simple(draft: Draft, ledger: Ledger) -> Checked:
    troubles: list[str] = []
    amount = _price(draft.per_page, "The price of a page", ledger, troubles)
    rule = SimpleCost(
        per_impression=amount,
        duplex_discount=_percent(draft.duplex_discount, "Less when two-sided", troubles),
        grayscale_discount=_percent(draft.grayscale_discount, "Less in greyscale", troubles),
        grayscale_printer=draft.grayscale_printer,
    )
    return Checked(None, tuple(troubles)) if troubles else Checked(rule)


def _percent(text: str, what: str, troubles: list[str]) -> int:
    number = text.strip().removesuffix("%").strip()
    if number.isascii() and number.isdigit() and int(number) <= 100:
        return int(number)
    troubles.append(f"{what}: “{text.strip()}” is not a whole number of percent from 0 to 100")
    return 0


def _costs(row: Row, ledger: Ledger, troubles: list[str]) -> PageCost:
    name = row.media.strip() or "Default row"
    found = [
        _price(text, f"{name}, {title.lower()}", ledger, troubles)
        for text, title in zip(row.prices, KINDS.values(), strict=True)
    ]
    return PageCost(
        grayscale_simplex=found[0], grayscale_duplex=found[1], color_simplex=found[2], color_duplex=found[3]
    )


def _price(text: str, what: str, ledger: Ledger, troubles: list[str]) -> int:
    """A price; what is wrong with it goes to `troubles`."""
    try:
        amount = amount_of(text, ledger)
    except AmountError as error:
        troubles.append(f"{what}: {error}")
        return 0
    if amount < 0:
        troubles.append(f"{what}: a price cannot be below zero")
        return 0
    return amount


# ---------------------------------------------------------------- what a rule means

EXAMPLE_PAGES: Final = 10


def example(rule: CostRule, ledger: Ledger) -> str:
    """What ten pages on A4 cost, in the ways in which the rule tells them apart."""
    ways = [("greyscale, one-sided", 0, 1), ("greyscale, two-sided", 0, 2)]
    if not rule.grayscale_printer:
        ways += [("colour, one-sided", 1, 1), ("colour, two-sided", 1, 2)]
    costs = [(name, price(rule, _printed(color, sides))) for name, color, sides in ways]
    if len({cost for _, cost in costs}) == 1:
        return f"A {EXAMPLE_PAGES}-page job on A4: {money(costs[0][1], ledger)}, however it is printed."
    told = "; ".join(f"{name} {money(cost, ledger)}" for name, cost in costs)
    return f"A {EXAMPLE_PAGES}-page job on A4: {told}."


def _printed(color: int, sides: int) -> Printed:
    return Printed(
        impressions=EXAMPLE_PAGES,
        sheets=EXAMPLE_PAGES // sides,
        color_impressions=EXAMPLE_PAGES * color,
        media="iso_a4_210x297mm",
    )


def same(one: CostRule, other: CostRule) -> bool:
    """Whether two rules cost the same, whatever their versions."""
    return with_version(one, 1) == with_version(other, 1)


def rule_words(rule: CostRule, ledger: Ledger) -> str:
    """A rule in one line."""
    text = rule_text(rule, ledger.decimals, ledger.currency)
    if isinstance(rule, SimpleCost):
        parts = [f"{rule.duplex_discount} % less two-sided"] if rule.duplex_discount else []
        parts += [f"{rule.grayscale_discount} % less in greyscale"] if rule.grayscale_discount else []
    else:
        parts = [count_text(len(rule.media) + 1, "row", "rows") + " of prices"]
    parts += ["greyscale printer"] if rule.grayscale_printer else []
    return ", ".join([text, *parts])


# ---------------------------------------------------------------- what changes


def common(queues: Sequence[QueueView], of: Callable[[QueueView], object]) -> object | None:
    """The value that all of them have, None where they differ."""
    values = {of(queue) for queue in queues}
    return values.pop() if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change comes to: a line for each value that changes, and how many queues it changes anything on."""

    lines: tuple[str, ...] = ()
    touched: frozenset[int] = field(default_factory=frozenset)

    def title(self, chosen: int) -> str:
        if not self.lines:
            return "Nothing changes yet."
        if chosen == 1:
            return "Changes on this queue:"
        return f"Changes on {len(self.touched):,} of {count_text(chosen, 'queue', 'queues')}:"


def preview(queues: Sequence[QueueView], change: SetQueue, ledger: Ledger) -> Preview:
    """What `change` would change on these queues."""
    said: list[str] = []
    touched: set[int] = set()

    def compare(what: str, new: str, differing: Sequence[QueueView], old: Callable[[QueueView], str]) -> None:
        if not differing:
            return
        touched.update(queue.queue_id for queue in differing)
        before = sorted({old(queue) for queue in differing})
        from_text = before[0] if len(before) == 1 else "various"
        on = f", on {count_text(len(differing), 'queue', 'queues')}" if len(queues) > 1 else ""
        said.append(f"{what}: {from_text} → {new}{on}")

    if change.cost is not None:
        wanted = change.cost
        differing = [queue for queue in queues if not same(queue.cost, wanted)]
        compare("Price", rule_words(wanted, ledger), differing, lambda queue: rule_words(queue.cost, ledger))
    if change.disabled is not None:
        differing = [queue for queue in queues if queue.disabled != change.disabled]
        compare("Printing", _ON_OFF[change.disabled], differing, lambda queue: _ON_OFF[queue.disabled])
    if change.hold_jobs is not None:
        differing = [queue for queue in queues if queue.hold_jobs != change.hold_jobs]
        compare("Jobs", _HOLD[change.hold_jobs], differing, lambda queue: _HOLD[queue.hold_jobs])
    if change.offline_policy is not None:
        differing = [queue for queue in queues if queue.offline_policy != change.offline_policy]
        new = OFFLINE_WORDS[change.offline_policy]
        compare("While no server answers", new, differing, lambda queue: OFFLINE_WORDS[queue.offline_policy])
    if change.partial_charge is not None:
        differing = [queue for queue in queues if queue.partial_charge != change.partial_charge]
        new = PARTIAL_WORDS[change.partial_charge]
        compare("A print that broke off", new, differing, lambda queue: PARTIAL_WORDS[queue.partial_charge])
    return Preview(tuple(said), frozenset(touched))


_ON_OFF: Final = {False: "on", True: "switched off"}
_HOLD: Final = {False: "print at once", True: "held until released"}
