"""What a cost rule means. The server charges by it; a provider that reaches no server prices by it.

Amounts are integers in the ledger's minor unit (default scale 4: 0.0150 a page is 150). Rules carry a version so
that an offline charge can be made by the rule it was priced with.
"""

from decimal import ROUND_HALF_EVEN, Decimal, DecimalException

import msgspec

MAX_AMOUNT = 2**53  # every JSON reader keeps integers up to here exactly; far above any balance


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """What one printing put on paper, all copies together (IPP: impressions are sides, sheets are pieces of paper)."""

    impressions: int
    sheets: int
    color_impressions: int = 0


class SimpleCost(msgspec.Struct, frozen=True, kw_only=True, tag="simple", tag_field="model"):
    """One price for each impression, whatever its colour or size."""

    per_impression: int
    version: int = 1


CostRule = SimpleCost  # becomes a tagged union when a second model arrives: the tag is on the wire from the start


def price(rule: CostRule, printed: Printed) -> int:
    """The price of a printing in minor units; never negative."""
    return max(0, rule.per_impression) * max(0, printed.impressions)


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
