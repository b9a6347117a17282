"""What to charge for a document that cannot be looked at: a stated rule, marked as an estimate with its reason.

The rule:

| format | impressions of one copy |
|---|---|
| JPEG, PNG | 1 |
| URF, PWG and CUPS raster | 1 for each started 1.5 MB (measured: 1.7 MB a letter page at 600 dpi; copies are in it) |
| plain text | 1 for each started 3 kB |
| all else, and a PDF that cannot be read | 1 for each started 50 kB |

At least 1, whatever the file. No impression counts as colour: what is not known is not charged for. Copies multiply
as `ticket.delivered_copies` says, sheets follow the `sides` asked for.

Invariant: there is an answer for every input, and nothing raises. Pure.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from backend.wire.jobs import JobFacts
from provider.analysis.tally import MAX_COUNT, Tally, media_counts
from provider.analysis.ticket import AnalysisRequest, copies_beside, delivered_copies, sheets_of, ticket_of

BYTES_PER_IMPRESSION: Final = 50_000
_BYTES_BY_FORMAT: Final = {
    "image/urf": 1_500_000,
    "image/pwg-raster": 1_500_000,
    "application/vnd.cups-raster": 1_500_000,
    "text/plain": 3_000,
}
_ONE_IMPRESSION: Final = ("image/jpeg", "image/png")
MAX_BYTES: Final = 2**53
MAX_TEXT: Final = 1024


def estimate(request: AnalysisRequest, document_format: str, size_bytes: int, reason: str) -> JobFacts:
    """The facts of a document that was not looked at. `reason` is for people: "it is damaged"."""
    size_bytes = min(max(size_bytes, 0), MAX_BYTES)
    impressions = _impressions(document_format, size_bytes)
    return facts_of(request, document_format, size_bytes, impressions=impressions, estimate_reason=reason)


def facts_of(
    request: AnalysisRequest,
    document_format: str,
    size_bytes: int,
    *,
    impressions: int,
    color_impressions: int = 0,
    media: str = "",
    media_impressions: Mapping[str, int] = MappingProxyType({}),
    blank_backs: int = 0,
    noted_copies: int | None = None,
    estimate_reason: str = "",
) -> JobFacts:
    """All copies together, from the counts of one; within the bounds the wire allows. A reason marks it as an
    estimate.

    `impressions` and `media_impressions` are of one copy with its blank back; `blank_backs` are of all copies.
    """
    ticket = ticket_of(request)
    copies = delivered_copies(request, document_format, noted_copies)
    return JobFacts(
        impressions=min(impressions * copies - blank_backs, MAX_COUNT),
        sheets=min(sheets_of(impressions, ticket.sides) * copies, MAX_COUNT),
        color_impressions=min(color_impressions * copies, MAX_COUNT) if ticket.color else 0,
        copies=copies,
        sides=ticket.sides,
        media=media or ticket.media,
        media_counts=media_counts(dict(media_impressions), copies),
        blank_backs=min(blank_backs, MAX_COUNT),
        document_format=document_format[:MAX_TEXT],
        document_bytes=size_bytes,
        estimated=bool(estimate_reason),
        estimate_reason=estimate_reason[:MAX_TEXT],
    )


def facts_of_tally(
    request: AnalysisRequest, document_format: str, size_bytes: int, tally: Tally, estimate_reason: str = ""
) -> JobFacts:
    """The same from a document whose pages were told one by one, and which knows its own sides and copies.

    Where the document says how often a page is to be printed, CUPS's number of copies is in it already, or is asked
    of the printer once more, by `ticket.copies_beside`.
    """
    ticket = ticket_of(request)
    copies = copies_beside(request, document_format)
    return JobFacts(
        impressions=min(tally.impressions * copies, MAX_COUNT),
        sheets=min(tally.sheets * copies, MAX_COUNT),
        color_impressions=min(tally.color_impressions * copies, MAX_COUNT) if ticket.color else 0,
        copies=min(copies * tally.copies, MAX_COUNT),
        sides=tally.sides or ticket.sides,
        media=tally.media or ticket.media,
        media_counts=tally.media_counts(copies),
        blank_backs=min(tally.blank_backs * copies, MAX_COUNT),
        document_format=document_format[:MAX_TEXT],
        document_bytes=size_bytes,
        estimated=bool(estimate_reason),
        estimate_reason=estimate_reason[:MAX_TEXT],
    )


def _impressions(document_format: str, size_bytes: int) -> int:
    if document_format in _ONE_IMPRESSION:
        return 1
    each = _BYTES_BY_FORMAT.get(document_format, BYTES_PER_IMPRESSION)
    return min(max(1, -(-size_bytes // each)), MAX_COUNT)
