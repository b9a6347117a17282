"""What a cost rule means. The server charges by it; a provider that reaches no server prices by it.

Amounts are integers in the ledger's minor unit (default scale 4: 0.0150 a page is 150). Rules carry a version so
that an offline charge can be made by the rule it was priced with.
"""

from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from typing import Annotated

import msgspec
from msgspec import Meta

MAX_AMOUNT = 2**53  # every JSON reader keeps integers up to here exactly; far above any balance


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """What one printing put on paper, all copies together (IPP: impressions are sides, sheets are pieces of paper).
    `media` is the largest medium, by its PWG 5101.1 name or the printer's own."""

    impressions: int
    sheets: int
    color_impressions: int = 0
    media: str = ""


Price = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]
Percent = Annotated[int, Meta(ge=0, le=100)]


class SimpleCost(msgspec.Struct, frozen=True, kw_only=True, tag="simple", tag_field="model"):
    """One price for each impression, whatever its size; discounts in percent for what is on both sides of a sheet and
    for what has no colour. On a `grayscale_printer` nothing has."""

    per_impression: Price
    version: int = 1
    duplex_discount: Percent = 0
    grayscale_discount: Percent = 0
    grayscale_printer: bool = False


class PageCost(msgspec.Struct, frozen=True, kw_only=True):
    """The price of an impression: colour × sides."""

    grayscale_simplex: Price
    grayscale_duplex: Price
    color_simplex: Price
    color_duplex: Price


class MediaCost(msgspec.Struct, frozen=True, kw_only=True):
    """The prices on one medium: its PWG name ("iso_a4_210x297mm"), or the size alone ("a4")."""

    media: Annotated[str, Meta(min_length=1, max_length=255)]
    cost: PageCost


class StandardCost(msgspec.Struct, frozen=True, kw_only=True, tag="standard", tag_field="model"):
    """A row of prices for each medium, and one for all others."""

    default: PageCost
    media: Annotated[tuple[MediaCost, ...], Meta(max_length=64)] = ()
    version: int = 1
    grayscale_printer: bool = False


CostRule = SimpleCost | StandardCost


def price(rule: CostRule, printed: Printed) -> int:
    """The price of a printing in minor units; never negative. A part of a unit is rounded half to even, once."""
    if isinstance(rule, SimpleCost) and not rule.duplex_discount and not rule.grayscale_discount:
        return max(0, rule.per_impression) * max(0, printed.impressions)  # nearly all of them
    sides = split(printed, grayscale_printer=rule.grayscale_printer)
    if isinstance(rule, SimpleCost):
        color, gray = 100, 100 - rule.grayscale_discount
        simplex, duplex = 100, 100 - rule.duplex_discount
        parts = (
            sides.grayscale_simplex * gray * simplex
            + sides.grayscale_duplex * gray * duplex
            + sides.color_simplex * color * simplex
            + sides.color_duplex * color * duplex
        )
        return _rounded(max(0, rule.per_impression) * parts, 10_000)
    row = row_of(rule, printed.media)
    return (
        sides.grayscale_simplex * row.grayscale_simplex
        + sides.grayscale_duplex * row.grayscale_duplex
        + sides.color_simplex * row.color_simplex
        + sides.color_duplex * row.color_duplex
    )


def split(printed: Printed, *, grayscale_printer: bool = False) -> PageCost:
    """How many impressions are of each kind.

    A sheet holds one impression or two, so the counts of both tell how many are on both sides. Which of them have
    colour they do not tell: it is taken to be spread evenly.
    """
    total = max(0, printed.impressions)
    duplex = min(total, 2 * max(0, total - printed.sheets)) if printed.sheets > 0 else 0
    color = 0 if grayscale_printer else min(total, max(0, printed.color_impressions))
    color_duplex = color * duplex // total if total else 0
    return PageCost(
        grayscale_simplex=total - duplex - (color - color_duplex),
        grayscale_duplex=duplex - color_duplex,
        color_simplex=color - color_duplex,
        color_duplex=color_duplex,
    )


def row_of(rule: StandardCost, media: str) -> PageCost:
    """The prices on a medium."""
    name = media.lower()
    for row in rule.media:
        wanted = row.media.lower()
        if wanted == name or wanted in name.split("_"):
            return row.cost
    return rule.default


def with_version(rule: CostRule, version: int) -> CostRule:
    return msgspec.structs.replace(rule, version=version)


def _rounded(numerator: int, denominator: int) -> int:
    """The quotient, half to even."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def minor_units(text: str, decimals: int) -> int:
    """A decimal number in text, in minor units, rounded half to even. Raises ValueError for what is no number."""
    try:
        value = Decimal(text)
        scaled = (value * (10**decimals)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    except DecimalException as error:
        raise ValueError(f"{text!r} is not an amount") from error
    if not value.is_finite() or abs(scaled) > MAX_AMOUNT:
        raise ValueError(f"{text!r} is not an amount this ledger can hold")
    return int(scaled)


def decimal_text(amount: int, decimals: int) -> str:
    """Minor units as an exact decimal number in text: 12345 at scale 4 is "1.2345"."""
    return str(Decimal(amount).scaleb(-decimals)) if decimals else str(amount)


def money_text(amount: int, decimals: int, currency: str) -> str:
    """An amount for people: at least two places, more only where they are needed ("1.50 EUR", "0.0150 EUR")."""
    text = f"{Decimal(amount).scaleb(-decimals):f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(min(2, decimals), "0")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"{number} {currency}".strip()


def rule_text(rule: CostRule, decimals: int, currency: str) -> str:
    """What an impression costs, for people: "0.05 EUR a page", "0.02 to 0.30 EUR a page"."""
    prices = _prices(rule)
    lowest, highest = money_text(min(prices), decimals, ""), money_text(max(prices), decimals, currency)
    return f"{highest} a page" if min(prices) == max(prices) else f"{lowest} to {highest} a page"


def _prices(rule: CostRule) -> list[int]:
    """What one impression may cost by the rule."""
    kinds = [
        Printed(impressions=2, sheets=sheets, color_impressions=color, media=media)
        for media in ("", *(row.media for row in (rule.media if isinstance(rule, StandardCost) else ())))
        for sheets in (1, 2)
        for color in (0, 2)
    ]
    return [price(rule, kind) // 2 for kind in kinds]
