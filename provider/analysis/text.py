"""Plain text that no filter has laid out: the printer does, in its own way, so that the count is a rule.

The rule: 60 lines a page (a Letter page at 6 lines an inch with margins of half an inch, what PCL printers do), a
line goes on after 80 columns, a tab goes on to the next multiple of 8, a form feed begins a page, what is empty at
the end is no page. Marked as an estimate always; no impression is in colour.
"""

import mmap
import re
from typing import Final

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import facts_of
from provider.analysis.formats import TEXT
from provider.analysis.ticket import AnalysisRequest

LINES: Final = 60
COLUMNS: Final = 80
_TAB: Final = 8
_UNSEEN: Final = re.compile(rb"[\x00-\x08\x0b\r\x0e-\x1f\x80-\xbf]+")  # control characters; all but the first of UTF-8
_REASON: Final = f"plain text is laid out by the printer: {LINES} lines of {COLUMNS} columns a page are taken for it"
_PIECE: Final = 1 << 20


def examine_text(document: bytes | mmap.mmap, request: AnalysisRequest) -> JobFacts:
    return facts_of(request, TEXT, len(document), impressions=max(pages_of(document), 1), estimate_reason=_REASON)


def pages_of(document: bytes | mmap.mmap) -> int:
    """Piece by piece, cut at the end of a line, so that memory is bounded."""
    pages, lines, rest = 0, 0, b""
    for start in range(0, len(document), _PIECE):
        piece = rest + document[start : start + _PIECE]
        cut = piece.rfind(b"\n") + 1 or (0 if len(piece) < 4 * _PIECE else len(piece))
        piece, rest = piece[:cut], piece[cut:]
        pages, lines = _count(piece, pages, lines)
    pages, lines = _count(rest, pages, lines)
    return pages + bool(lines)


def _count(text: bytes, pages: int, lines: int) -> tuple[int, int]:
    """Full pages and the lines on the page after them, of which blank ones at the end count while text follows."""
    for number, part in enumerate(_UNSEEN.sub(b"", text).split(b"\x0c")):
        if number:
            pages, lines = pages + 1, 0
        for line in part.splitlines():
            lines += max(-(-len(line.expandtabs(_TAB)) // COLUMNS), 1)
            pages, lines = pages + lines // LINES, lines % LINES
    return pages, lines
