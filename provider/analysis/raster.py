"""Counts of PWG raster, CUPS raster and Apple's URF: pages, sheets, media, sides, and colour by every pixel.

The stream is what the printer gets, so its pages are all that is printed: copies are in it, and CUPS tells the
printer of none (`ticket.delivered_copies`). Sides and media stand in each page's header.

A page of a grey colour space has no colour. One of RGB has some where the channels of a pixel are more than
COLOR_TOLERANCE apart (as for PDFs, `provider.analysis.pdfium`, but here at the printer's own resolution), one of CMYK
where a pixel has more than that of cyan, magenta or yellow. Of samples of 16 bits the upper 8 count, which libcups
puts last (a little-endian machine is taken for granted). What is in none of these (planes, a few bits a colour, Lab)
counts as colour, marked as an estimate.

When time is up, the rest is counted by what page headers look like, which is fast and can be fooled by pixels that
look like one: marked as an estimate. Before the first page, `counted` gets facts from that same count.

CUPS's filters pad copies of a two-sided job to an even number of pages: a blank last page of each copy is told as
`blank_backs`, not among the impressions (`provider.analysis.tally`).
"""

import mmap
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import estimate, facts_of_tally
from provider.analysis.media import media_name
from provider.analysis.pdfium import COLOR_TOLERANCE
from provider.analysis.raster_stream import BLOCK_BYTES, Bytes, PageHeader, RasterError, RasterStream
from provider.analysis.tally import Page, Tally, mark_blank_backs
from provider.analysis.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE, AnalysisRequest, Ticket, ticket_of

GREY_SPACES: Final = (0, 3, 12, 18)  # W, K, WHITE, SW of cups_cspace_t
_ADDITIVE: Final = {1: 3, 2: 3, 4: 3, 5: 3, 17: 3, 19: 3, 20: 3}  # RGB, RGBA, CMY, YMC, RGBW, SRGB, ADOBERGB
_INKS: Final = {6: (0, 1, 2), 7: (0, 1, 2), 8: (1, 2, 3)}  # CMYK, YMCK, KCMY: where the colours are
_LIGHT: Final = (0, 1, 2, 17, 18, 19, 20)  # spaces in which white is the largest value
_CHUNKED: Final = 0
_URF_PAGE_BYTES: Final = 32
_PWG_HEADER: Final = b"PwgRaster" + bytes(55)

_OUT_OF_TIME: Final = "that takes longer than it may"

Data = bytes | mmap.mmap


def examine_raster(
    document: Data,
    document_format: str,
    request: AnalysisRequest,
    budget_s: float,
    counted: Callable[[JobFacts], None] = lambda facts: None,
) -> JobFacts:
    """Raises RasterError where not even a first page can be read."""
    data = np.frombuffer(document, dtype=np.uint8)
    search = _Search(data, ticket_of(request), time.monotonic() + budget_s)
    with RasterStream(data) as stream:
        reason = _all_pages(
            stream, search, lambda: counted(_by_headers(document, document_format, request, search, _OUT_OF_TIME))
        )
    if search.first is None:
        return estimate(request, document_format, len(document), f"the raster could not be counted because {reason}")
    if reason:
        return _by_headers(document, document_format, request, search, reason)
    mark_blank_backs(
        search.tally, search.blank.__contains__, search.pages, request.copies, last_first=search.last_first
    )
    return facts_of_tally(request, document_format, len(document), search.tally, search.undecided)


class _Search:
    """What has come of the pages so far. `blank` are those that the filters may have added, numbered from 0: on a back,
    or where they write the last page first, on a front.
    """

    def __init__(self, data: Bytes, ticket: Ticket, deadline: float) -> None:
        self.tally = Tally()
        self.pages = 0
        self.blank: set[int] = set()
        self.undecided = ""
        self.first: PageHeader | None = None
        self.color = ticket.color
        self.last_first = ticket.last_first
        self.deadline = deadline


def _all_pages(stream: RasterStream, search: _Search, begun: Callable[[], None]) -> str:
    """Why it ended before its end; "" where it did not."""
    try:
        while (header := stream.header()) is not None:
            if search.first is None:
                search.first = header
                begun()
            if not _one_page(stream, header, search):
                return _OUT_OF_TIME
        return "it ends in the middle of a page" if stream.cut_header() else "" if search.pages else "it has no pages"
    except RasterError as error:
        return str(error)


def _one_page(stream: RasterStream, header: PageHeader, search: _Search) -> bool:
    """False where time is up in the middle of the page."""
    is_color = _color_test(header) if search.color else None
    color = False
    blank = header.two_sided and search.pages % 2 == (0 if search.last_first else 1)
    white = 255 if header.color_space in _LIGHT else 0
    for block in stream.blocks(header):
        if time.monotonic() > search.deadline:
            return False
        if is_color and not color:
            color = is_color(block)
        blank = blank and bool((block == white).all())
    if search.color and is_color is None and header.color_space not in GREY_SPACES:
        color = True
        search.undecided = "pages whose colours are written in a way that is not looked into count as colour"
    if blank:
        search.blank.add(search.pages)
    search.pages += 1
    search.tally.add(_page(header, color))
    return True


def _page(header: PageHeader, color: bool) -> Page:
    two_sided = SHORT_EDGE if header.short_edge else LONG_EDGE
    return Page(media=media_name(*header.size_pt), color=color, sides=two_sided if header.two_sided else ONE_SIDED)


def _color_test(header: PageHeader) -> Callable[[Bytes], bool] | None:
    """Whether a block of lines has colour; None where the header says that it has none, or it cannot be told."""
    bits, space = header.bits_per_color, header.color_space
    channels = header.bits_per_pixel // bits if bits else 0
    if header.color_order != _CHUNKED or bits not in (8, 16) or header.line_bytes % max(channels * bits // 8, 1):
        return None
    if space in _ADDITIVE and channels >= _ADDITIVE[space]:
        return _Spread(channels, bits // 8, header.line_bytes)
    if space in _INKS and channels == len(_INKS[space]) + 1:
        return _Ink(_INKS[space], channels, bits // 8, header.line_bytes)
    return None


class _Spread:
    """Pixels whose channels are too far apart. Neighbouring bytes are compared first, at the speed of memory."""

    def __init__(self, channels: int, sample_bytes: int, line_bytes: int) -> None:
        self._pixel_bytes = channels * sample_bytes
        self._sample_bytes = sample_bytes
        pattern = np.zeros(self._pixel_bytes, dtype=np.bool_)
        pattern[: 2 * sample_bytes] = True
        self._mask = np.resize(pattern, line_bytes)
        self._apart = np.empty(max(BLOCK_BYTES, line_bytes), dtype=np.bool_)

    def __call__(self, block: Bytes) -> bool:
        apart = self._apart[: block.size]
        np.not_equal(block[self._sample_bytes :], block[: -self._sample_bytes], out=apart[: -self._sample_bytes])
        lines = apart.reshape(-1, self._mask.size)
        np.bitwise_and(lines, self._mask, out=lines)
        if not apart.any():
            return False
        uneven = np.unique(np.flatnonzero(apart) // self._pixel_bytes)
        pixels = block.reshape(-1, self._pixel_bytes)[uneven, self._sample_bytes - 1 :: self._sample_bytes][:, :3]
        return bool((pixels.max(axis=1) - pixels.min(axis=1) > COLOR_TOLERANCE).any())


class _Ink:
    """Pixels with more than the tolerance of an ink that is not black."""

    def __init__(self, inks: tuple[int, ...], channels: int, sample_bytes: int, line_bytes: int) -> None:
        pattern = np.zeros((channels, sample_bytes), dtype=np.bool_)
        pattern[list(inks), -1] = True
        self._mask = np.resize(pattern.ravel(), line_bytes)

    def __call__(self, block: Bytes) -> bool:
        inked = (block > COLOR_TOLERANCE).reshape(-1, self._mask.size)
        inked &= self._mask
        return bool(inked.any())


def _by_headers(
    document: Data, document_format: str, request: AnalysisRequest, search: _Search, reason: str = _OUT_OF_TIME
) -> JobFacts:
    """Facts by counting what looks like the first page's header; pages not looked at are as the ones that were."""
    assert search.first is not None
    pages = max(_like_the_first(document, document_format), search.pages, 1)
    colored = pages if not search.pages else -(-search.tally.color_impressions * pages // search.pages)
    tally = Tally()
    for number in range(pages):
        tally.add(_page(search.first, number < colored and search.first.color_space not in GREY_SPACES))
    told = f"{search.pages} of {pages} pages were looked at because {reason}; the others are counted by their headers"
    return facts_of_tally(request, document_format, len(document), tally, told)


def _like_the_first(document: Data, document_format: str) -> int:
    if document_format == "image/urf":
        return _occurrences(document, document[12 : 12 + _URF_PAGE_BYTES])
    if document[4:68] == _PWG_HEADER:
        return _occurrences(document, document[4:68])
    return _occurrences(document, document[4 + 256 : 4 + 420])


def _occurrences(document: Data, pattern: bytes) -> int:
    count, position = 0, document.find(pattern)
    while position >= 0 and count < 1_000_000:
        count += 1
        position = document.find(pattern, position + len(pattern))
    return count
