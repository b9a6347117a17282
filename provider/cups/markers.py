"""What printers tell of their toner, ink and paper, read. Pure.

Printers say it in one of two ways: as lists side by side (marker-names, marker-levels …; CUPS, PWG 5100.9) or as one
`key=value;…` string for each supply (printer-supply, PWG 5100.13) with its description beside it; cupsd passes the
first on for printers that it knows of by SNMP or PPD. Levels mean the same everywhere: RFC 3805's.

Invariant: any answer whatever gives supplies and media that the wire takes. What is said of one supply alone (its
level, its colour) may be missing: the lists of a printer need not be of one length.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from backend.wire.printers import Supply
from provider.analysis.media import POINTS_PER_MM, media_name
from provider.cups.ipp import Group, Value

MOST: Final = 32
MOST_REASONS: Final = 50
NAME_LENGTH: Final = 255
UNKNOWN: Final = -2
MARKERS: Final = (
    "marker-names",
    "marker-levels",
    "marker-colors",
    "marker-types",
    "marker-low-levels",
    "marker-high-levels",
)
ASKED: Final = (
    *MARKERS,
    "printer-supply",
    "printer-supply-description",
    "media-ready",
    "media-col-ready",
    "printer-state-reasons",
)
T = TypeVar("T")
_SHORT: Final = ("marker-supply-low", "marker-supply-empty", "toner-low", "toner-empty")
# The names that PWG 5100.13 and RFC 3805 give to colorants, as the sRGB that consoles draw.
_COLORS: Final = {
    "black": "#000000",
    "cyan": "#00FFFF",
    "magenta": "#FF00FF",
    "yellow": "#FFFF00",
    "red": "#FF0000",
    "green": "#00FF00",
    "blue": "#0000FF",
    "white": "#FFFFFF",
    "gray": "#808080",
    "grey": "#808080",
}


def read_supplies(group: Group) -> tuple[Supply, ...]:
    """At most MOST supplies, in the printer's order."""
    return _from_lists(group) or _from_strings(group)


def read_media(group: Group) -> tuple[str, ...]:
    """What is in the trays, each size once: by its names, else by the collections that describe it (PWG 5100.7)."""
    names = group.texts("media-ready") or [_size(tray) for tray in group.collections("media-col-ready")]
    told = (_clean(text) for text in names)
    return tuple(dict.fromkeys(text for text in told if text and text != "unknown"))[:MOST]


def _size(tray: Group) -> str:
    """The name of a tray's size, "" where it tells none; its edges are in hundredths of a millimetre."""
    for size in tray.collections("media-size"):
        x, y = size.number("x-dimension"), size.number("y-dimension")
        if x is not None and y is not None and x > 0 and y > 0:
            return media_name(x / 100 * POINTS_PER_MM, y / 100 * POINTS_PER_MM)
    return tray.text("media-size-name")


def read_reasons(texts: Iterable[str]) -> tuple[str, ...]:
    """printer-state-reasons without the word for none."""
    return tuple(dict.fromkeys(cleaned for text in texts if (cleaned := _clean(text)) and cleaned != "none"))[
        :MOST_REASONS
    ]


def _from_lists(group: Group) -> tuple[Supply, ...]:
    names = [_clean(text) for text in group.texts("marker-names")][:MOST]
    levels, lows, highs = (_numbers(group, f"marker-{what}") for what in ("levels", "low-levels", "high-levels"))
    colors, kinds = group.texts("marker-colors"), group.texts("marker-types")
    found = []
    for place, name in enumerate(names):
        level, kind = _level(_at(levels, place, UNKNOWN)), _clean(_at(kinds, place, ""))
        color = _clean(_at(colors, place, ""))
        full = kind.lower().startswith("waste") and 0 < _at(highs, place, 0) < 100
        low = level >= _at(highs, place, 0) if full else 0 <= level <= _at(lows, place, -1)
        supply = Supply(name=name or kind, level=level, color="" if color == "none" else color, kind=kind, low=low)
        found.append(supply)
    return tuple(found)


def _from_strings(group: Group) -> tuple[Supply, ...]:
    told = [_fields(value) for value in group.attributes.get("printer-supply", ()) if isinstance(value, bytes | str)]
    descriptions = group.texts("printer-supply-description")
    found = []
    for place, fields in enumerate(told[:MOST]):
        kind, color = fields.get("type", ""), fields.get("colorantname", "")
        name = _clean(_at(descriptions, place, "")) or " ".join(filter(None, (color, kind))) or f"supply {place + 1}"
        level = _share(_whole(fields.get("level", "")), _whole(fields.get("maxcapacity", "")))
        found.append(Supply(name=name, level=level, color=_COLORS.get(color.lower(), ""), kind=kind))
    return _with_low(found, group.texts("printer-state-reasons"))


def _with_low(supplies: Sequence[Supply], reasons: Iterable[str]) -> tuple[Supply, ...]:
    """The strings name no threshold: where the printer says that something is low, it is what has least left."""
    short = any(reason.startswith(_SHORT) for reason in reasons)
    known = [supply.level for supply in supplies if supply.level >= 0 and not supply.kind.lower().startswith("waste")]
    least = min(known, default=UNKNOWN) if short else UNKNOWN
    return tuple(
        replace(one, low=True)
        if one.level == least and least >= 0 and not one.kind.lower().startswith("waste")
        else one
        for one in supplies
    )


def _fields(value: bytes | str) -> dict[str, str]:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    pairs = (part.partition("=") for part in text[:4096].split(";"))
    return {key.strip().lower(): _clean(content) for key, _, content in pairs if key.strip()}


def _share(level: int, capacity: int) -> int:
    """A level in percent of what fits in; the negative ones say the same as they stand."""
    if level <= 0:
        return _level(level)
    return min(100, level * 100 // capacity) if capacity > 0 else UNKNOWN


def _level(told: int) -> int:
    return told if -3 <= told <= 100 else UNKNOWN


def _whole(text: str) -> int:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 11 else UNKNOWN


def _numbers(group: Group, name: str) -> list[int]:
    """The whole numbers of that name, each in its place; anything else counts as unknown."""
    return [_number(value) for value in group.attributes.get(name, ())]


def _number(value: Value) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else UNKNOWN


def _at(values: Sequence[T], place: int, default: T) -> T:
    return values[place] if place < len(values) else default


def _clean(text: str) -> str:
    """Without what no terminal and no database takes."""
    return "".join(letter for letter in text[: 2 * NAME_LENGTH] if letter.isprintable()).strip()[:NAME_LENGTH]
