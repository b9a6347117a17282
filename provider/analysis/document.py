"""Any document's facts: its format is told, that format's reader counts, and what no reader can count is estimated.

Invariant: facts for every document, marked as estimated with the reason where they are; only MemoryError comes
out, which the worker process knows how to answer.
"""

from collections.abc import Callable

from backend.wire.messages import JobFacts
from provider.analysis.fallback import estimate
from provider.analysis.formats import HEAD_BYTES, PCL, PCL_XL, PDF, RASTERS, document_format
from provider.analysis.pdf import DocumentBytes, examine_pdf
from provider.analysis.pdfium import PdfError
from provider.analysis.pjl import UEL
from provider.analysis.printer_stream import examine_stream
from provider.analysis.raster import examine_raster
from provider.analysis.raster_stream import RasterError
from provider.analysis.ticket import AnalysisRequest

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
    except (PdfError, RasterError) as error:
        return estimate(request, kind, len(document), f"the document could not be counted because {error}")


def _read(kind: str, document: DocumentBytes, request: AnalysisRequest, budget_s: float, counted: Counted) -> JobFacts:
    if not len(document):
        return estimate(request, kind, 0, "the document is empty")
    if kind == PDF:
        return examine_pdf(document, request, budget_s, counted).facts
    if kind in RASTERS:
        return examine_raster(document, kind, request, budget_s, counted)
    if kind in (PCL, PCL_XL) or document[: len(UEL)] == UEL:
        return examine_stream(document, kind, request, budget_s, {})
    return estimate(request, kind, len(document), f"{kind} is not counted but estimated from its size")
