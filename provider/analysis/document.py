"""Any document's facts: its format is told, that format's reader counts, and what no reader can count is estimated.

Invariant: facts for every document, marked as estimated with the reason where they are; only MemoryError comes
out, which the worker process knows how to answer.
"""

import time
from collections.abc import Callable
from functools import partial

from backend.wire.jobs import JobFacts, MediaCount
from provider.analysis.fallback import estimate
from provider.analysis.formats import (
    HEAD_BYTES,
    JPEG,
    PCL,
    PCL_XL,
    PDF,
    PNG,
    POSTSCRIPT,
    RASTERS,
    TEXT,
    document_format,
)
from provider.analysis.image import examine_image
from provider.analysis.pdf import DocumentBytes, examine_pdf
from provider.analysis.pdfium import PdfError
from provider.analysis.pjl import UEL, PjlSettings
from provider.analysis.postscript import read_postscript
from provider.analysis.printer_stream import OtherReader, examine_stream
from provider.analysis.raster import examine_raster
from provider.analysis.raster_stream import RasterError
from provider.analysis.tally import Page, Tally
from provider.analysis.text import examine_text
from provider.analysis.ticket import ONE_SIDED, AnalysisRequest

Counted = Callable[[JobFacts], None]


def analyse_document(
    document: DocumentBytes,
    request: AnalysisRequest,
    budget_s: float,
    counted: Counted = lambda facts: None,
) -> JobFacts:
    """`budget_s` bounds the search for colour and what else may take long. `counted` is called with first facts as
    soon as there are some that are better than the estimate from the document's size.
    """
    kind = document_format(document[:HEAD_BYTES], request.document_format)
    try:
        return _read(kind, document, request, budget_s, counted)
    except PdfError as error:
        return estimate(request, kind, len(document), f"the PDF could not be counted because {error}")
    except RasterError as error:
        return estimate(request, kind, len(document), f"the raster could not be counted because {error}")


def _read(kind: str, document: DocumentBytes, request: AnalysisRequest, budget_s: float, counted: Counted) -> JobFacts:
    if not len(document):
        name = "PDF" if kind == PDF else "document"
        return estimate(request, kind, 0, f"the {name} could not be counted because it is empty")
    if kind == PDF and document[: len(UEL)] != UEL:
        return examine_pdf(document, request, budget_s, counted).facts
    if kind in RASTERS:
        return examine_raster(document, kind, request, budget_s, counted)
    if kind in (PCL, PCL_XL, POSTSCRIPT) or document[: len(UEL)] == UEL:
        others: dict[str, OtherReader] = {
            "POSTSCRIPT": partial(read_postscript, request=request),
            "PDF": _read_pdf,
        }
        return examine_stream(document, kind, request, budget_s, others)
    if kind in (JPEG, PNG):
        return examine_image(document, kind, request)
    if kind == TEXT:
        return examine_text(document, request)
    return estimate(request, kind, len(document), f"{kind} is not counted but estimated from its size")


def _read_pdf(document: bytes, tally: Tally, settings: PjlSettings, deadline: float) -> str:
    """A PDF within a printer's stream: PJL has the last word on sides and copies."""
    try:
        facts = examine_pdf(document, AnalysisRequest(), max(deadline - time.monotonic(), 0.0)).facts
    except PdfError as error:
        tally.add(Page(sides=settings.sides or ONE_SIDED, copies=settings.copies))
        return f"the PDF could not be counted because {error}"
    media = facts.media_counts or (MediaCount(media=facts.media, impressions=facts.impressions),)
    names = [count.media for count in media for _ in range(count.impressions)]
    for number, name in enumerate(names):
        color = number < facts.color_impressions and not settings.gray
        tally.add(Page(media=name, color=color, sides=settings.sides or ONE_SIDED, copies=settings.copies))
    return facts.estimate_reason
