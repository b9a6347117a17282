"""Counts of PostScript: Ghostscript draws it at low resolution, and each page that leaves the device is one impression.

Colour is what PDFs' is (`provider.analysis.pdfium`): a pixel at 20 dpi whose channels are more than COLOR_TOLERANCE
apart. Ghostscript paints every pixel that a shape touches, so that small things are found; images are sampled, so that
a coloured thing in a scan is found from 1.3 mm on.

Where Ghostscript does not come to an end in time, is not there, or stops at an error: the pages it drew until then or
the document's own count (DSC `%%Pages`, `%%Page`), whichever is more, marked as an estimate. A program may print
otherwise where it is told that it talks to Ghostscript; what it prints elsewhere no analysis can know.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from provider.analysis.fallback import BYTES_PER_IMPRESSION
from provider.analysis.formats import POSTSCRIPT
from provider.analysis.ghostscript import Drawn, GhostscriptError, Run, draw
from provider.analysis.media import media_name
from provider.analysis.pdfium import COLOR_TOLERANCE
from provider.analysis.pjl import PjlSettings
from provider.analysis.tally import Page, Tally, mark_blank_backs
from provider.analysis.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE, AnalysisRequest, copies_beside, ticket_of

MAX_PAGES: Final = 1_000_000
_WHITE: Final = 255
_PAGES: Final = re.compile(rb"^%%Pages:[ \t]*(\d{1,7})", re.MULTILINE)
_PAGE: Final = re.compile(rb"^%%Page:", re.MULTILINE)


def read_postscript(
    document: bytes, tally: Tally, settings: PjlSettings, deadline: float, *, request: AnalysisRequest
) -> str:
    """The pages into the tally; why they are an estimate, "" where they are none."""
    run, copy = Run(), 0
    color, pages = ticket_of(request).color, 0
    blank: set[int] = set()
    problem = ""
    try:
        for drawn in draw(document, deadline, run):
            # Ghostscript draws each copy of a page, one after the other: the first tells of all.
            if copy == 0:
                tally.add(_page(drawn, settings, color))
                if bool((drawn.pixels == _WHITE).all()):
                    blank.add(pages)
                pages += 1
            copy = (copy + 1) % drawn.copies
    except GhostscriptError as error:
        problem = str(error)
    if run.timed_out:
        problem = "Ghostscript took longer than it may"
    elif run.failed:
        problem = "Ghostscript stopped at an error"
    if not problem:
        _mark_blank_backs(tally, request, pages, blank)
        return ""
    _make_up(document, tally, settings)
    return f"{problem}: the pages are the document's own count, or those that were drawn until then"


def dsc_pages(document: bytes) -> int:
    """What the document's comments say (Adobe, DSC 3.0); 0 where they say nothing."""
    told = [int(pages) for pages in _PAGES.findall(document)]
    return min(max([*told, sum(1 for _ in _PAGE.finditer(document))]), MAX_PAGES)


def _page(drawn: Drawn, settings: PjlSettings, color: bool) -> Page:
    asked = (SHORT_EDGE if drawn.short_edge else LONG_EDGE) if drawn.two_sided else ONE_SIDED
    return Page(
        media=media_name(*drawn.size_pt),
        color=color and not settings.gray and _is_color(drawn.pixels),
        sides=asked if drawn.two_sided is not None else settings.sides or ONE_SIDED,
        copies=drawn.copies if drawn.copies > 1 else settings.copies,
    )


def _mark_blank_backs(tally: Tally, request: AnalysisRequest, pages: int, blank: set[int]) -> None:
    """In what CUPS's filters wrote. Each page may be printed several times over, else all copies stand in it one
    after the other, if not the printer is asked for them.
    """
    if request.by_name:
        return
    each = tally.copies
    alone = each > 1 or copies_beside(request, POSTSCRIPT) > 1
    mark_blank_backs(
        tally, blank.__contains__, pages, 1 if alone else request.copies,
        last_first=ticket_of(request).last_first, each=each,
    )  # fmt: skip


def _is_color(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels.max(axis=2) - pixels.min(axis=2) > COLOR_TOLERANCE).any())


def _make_up(document: bytes, tally: Tally, settings: PjlSettings) -> None:
    """Pages that were not drawn, up to the document's own count."""
    told = dsc_pages(document)
    if not told and not tally.impressions:
        told = min(max(1, -(-len(document) // BYTES_PER_IMPRESSION)), MAX_PAGES)
    rest = Page(media=tally.media, sides=tally.sides or settings.sides or ONE_SIDED, copies=settings.copies)
    for _ in range(told - tally.impressions // max(tally.copies, 1)):
        tally.add(rest)
