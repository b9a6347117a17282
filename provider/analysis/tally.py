"""Pages as a reader finds them, added up: impressions, colour, sheets, and how many impressions on which media.

A reader tells one page after the other in the order in which they are printed, and `new_sheet` where the next page
cannot go on the back of the one before (a new job in the stream, a new copy). The rest is arithmetic, the same for
every format:

- a page printed two-sided takes the back of the sheet before it when that has a free back, is of the same media and
  was printed in as many copies; else a sheet of its own;
- `copies` of a page are impressions each; the copies that CUPS asks of the printer are multiplied in afterwards;
- a blank back (`pages_of_copies`) feeds paper and is told, but is no impression.

Invariant: memory is bounded whatever the document says: by MAX_MEDIA names, not by pages. Pure.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from backend.wire.jobs import MediaCount
from provider.analysis.media import edges_mm
from provider.analysis.ticket import ONE_SIDED

MAX_MEDIA: Final = 1000  # different sizes that are told apart; a document with more counts the rest as the largest
MAX_TOLD: Final = 32  # as many as the wire takes
MAX_COPIES: Final = 9999
MAX_COUNT: Final = 2**31 - 1


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page as it is printed. `front` says that it begins a sheet though it is printed two-sided."""

    media: str = ""
    color: bool = False
    sides: str = ONE_SIDED
    copies: int = 1
    front: bool = False


class Tally:
    """What has been told so far. All numbers are of the stream as it is, its own copies included."""

    def __init__(self) -> None:
        self.impressions = 0
        self.color_impressions = 0
        self.sheets = 0
        self.blank_backs = 0
        self.copies = 1
        self.sides = ""
        self._media: dict[str, int] = {}
        self._largest = ""
        self._free_back: tuple[str, int] | None = None

    def add(self, page: Page) -> None:
        copies = min(max(page.copies, 1), MAX_COPIES)
        self.impressions += copies
        self.color_impressions += copies * page.color
        self.copies = max(self.copies, copies)
        self.sides = page.sides if self.sides in ("", ONE_SIDED) else self.sides
        self._count_media(page.media, copies)
        self._feed(page, copies)

    def new_sheet(self) -> None:
        self._free_back = None

    def blank_backs_of(self, copies: int) -> None:
        """A page that was told, in so many copies, is a blank back: fed through, and no impression."""
        self.blank_backs += copies
        self.impressions -= copies

    def times(self, count: int) -> None:
        """The whole of it `count` times over, as a printer does that is told so in front of the job."""
        self.impressions *= count
        self.color_impressions *= count
        self.sheets *= count
        self.blank_backs *= count
        self.copies *= count
        self._media = {name: number * count for name, number in self._media.items()}

    def take(self, other: "Tally") -> None:
        """Another job of the same stream, printed after this one."""
        self.impressions += other.impressions
        self.color_impressions += other.color_impressions
        self.sheets += other.sheets
        self.blank_backs += other.blank_backs
        self.copies = max(self.copies, other.copies)
        self.sides = other.sides if self.sides in ("", ONE_SIDED) else self.sides
        for name, number in other._media.items():
            self._count_media(name, number)
        self._free_back = None

    @property
    def media(self) -> str:
        """The largest; "" where no page told its size."""
        return self._largest

    def media_counts(self, copies: int) -> tuple[MediaCount, ...]:
        """All media with their impressions, the largest first, where there are several."""
        return media_counts(self._media, copies)

    def _count_media(self, name: str, copies: int) -> None:
        if name not in self._media and len(self._media) >= MAX_MEDIA:
            name = self._largest
        elif name not in self._media and area_mm2(name) > area_mm2(self._largest):
            self._largest = name
        self._media[name] = self._media.get(name, 0) + copies

    def _feed(self, page: Page, copies: int) -> None:
        if page.sides == ONE_SIDED:
            self._free_back = None
        elif self._free_back == (page.media, copies) and not page.front:
            self._free_back = None
            return
        else:
            self._free_back = (page.media, copies)
        self.sheets += copies


def media_counts(impressions: dict[str, int], copies: int) -> tuple[MediaCount, ...]:
    """The largest media first; () where all are on one."""
    if len(impressions) < 2:
        return ()
    largest_first = sorted(impressions, key=area_mm2, reverse=True)[:MAX_TOLD]
    return tuple(
        MediaCount(media=name, impressions=min(impressions[name] * copies, MAX_COUNT)) for name in largest_first
    )


def area_mm2(name: str) -> float:
    """0 for a name that tells no size."""
    try:
        short, long = edges_mm(name)
    except ValueError:
        return 0.0
    return short * long


def mark_blank_backs(
    tally: Tally,
    blank_pages: Callable[[int], bool],
    pages: int,
    copies_in_stream: int,
    *,
    last_first: bool = False,
    each: int = 1,
) -> None:
    """Tell the last page of each copy in the stream as a blank back, where it lies on a back and is blank.

    `blank_pages(n)` says whether page `n`, from 0, is blank. CUPS's filters pad each copy of a two-sided job to an
    even number of pages; a page that was blank to begin with looks the same. Where they write the last page first,
    what they added comes first. Each page is printed `each` times.
    """
    length, rest = divmod(pages, max(copies_in_stream, 1))
    if tally.sides in ("", ONE_SIDED) or rest or length % 2 or not length:
        return
    for added in range(0 if last_first else length - 1, pages, length):
        if blank_pages(added):
            tally.blank_backs_of(each)
