"""One print stream as a printer reads it: jobs one after the other, each in its language, PJL in front and between.

PCL and PCL XL are read here by their operators, PostScript by Ghostscript, PDF by PDFium; of any other language the
stated rule is applied to its bytes. What no PJL names is told by its first bytes, as printers do.

Where one job of a stream cannot be read to its end, its pages are counted as far as that was possible and the rest by
what it had a page until then, marked as an estimate.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import BYTES_PER_IMPRESSION, facts_of_tally
from provider.analysis.pcl import OutOfTime, PclReader
from provider.analysis.pclxl import PclXlError, PclXlReader
from provider.analysis.pjl import UEL, Data, PjlSettings, read_pjl
from provider.analysis.tally import MAX_COPIES, Page, Tally
from provider.analysis.ticket import ONE_SIDED, SHORT_EDGE, AnalysisRequest, ticket_of

PCL: Final = "PCL"
PCL_XL: Final = "PCLXL"
POSTSCRIPT: Final = "POSTSCRIPT"
PDF: Final = "PDF"
_NAMES: Final = {"PCL": PCL, "PCL3GUI": PCL, "PCLSLEEK": PCL, "PCLXL": PCL_XL, "POSTSCRIPT": POSTSCRIPT, "PDF": PDF}
_MAX_JOBS: Final = 100_000
_UNKNOWN: Final = "?"

# A part of the document in a language of its own: its pages into the tally; why they are an estimate, "" where not.
OtherReader = Callable[[bytes, Tally, PjlSettings, float], str]


def examine_stream(
    document: Data, kind: str, request: AnalysisRequest, budget_s: float, others: dict[str, OtherReader]
) -> JobFacts:
    """`others` read POSTSCRIPT and PDF."""
    stream = _Stream(document, request, time.monotonic() + budget_s, others)
    stream.read()
    reason = "; ".join(dict.fromkeys(filter(None, stream.reasons)))
    return facts_of_tally(request, kind, len(document), stream.tally, reason)


class _Stream:
    def __init__(self, data: Data, request: AnalysisRequest, deadline: float, others: dict[str, OtherReader]) -> None:
        self.tally = Tally()
        self.reasons: list[str] = []
        self._data = data
        self._ticket = ticket_of(request)
        self._deadline = deadline
        self._others = others

    def read(self) -> None:
        position, settings = 0, PjlSettings()
        for _ in range(_MAX_JOBS):
            position, settings, entered = read_pjl(self._data, position, settings)
            if position >= len(self._data):
                return
            if self._data[position : position + len(UEL)] == UEL:
                continue
            language = _NAMES.get(entered, _UNKNOWN) if entered else _language(self._data[position : position + 1024])
            position = max(self._job(language, position, settings), position + 1)
        self.reasons.append(f"only the first {_MAX_JOBS} jobs of the stream were counted")
        self._rest(position, self.tally, 0)

    def _job(self, language: str, start: int, settings: PjlSettings) -> int:
        """One job's pages into the tally; where it ends."""
        tally = Tally()
        settings = settings if settings.duplex is not None else _with_sides(settings, self._ticket.sides)
        try:
            if language == PCL:
                reader = PclReader(self._data, tally, settings, self._deadline)
                end = self._guarded(reader, start, tally)
            elif language == PCL_XL:
                xl = PclXlReader(self._data, tally, settings, self._deadline, color=self._ticket.color)
                end = self._guarded(xl, start, tally)
            else:
                end = self._other(language, start, tally, settings)
        finally:
            tally.times(min(settings.quantity, MAX_COPIES))
            self.tally.take(tally)
        return end

    def _guarded(self, reader: PclReader | PclXlReader, start: int, tally: Tally) -> int:
        try:
            return reader.read(start)
        except OutOfTime:
            self.reasons.append("it takes longer to read than it may: the rest is estimated from its size")
        except PclXlError as error:
            self.reasons.append(f"the rest is estimated from its size because {error}")
        end = self._end_of_job(reader.position)
        self._rest(reader.position, tally, reader.position - start, end)
        return end

    def _other(self, language: str, start: int, tally: Tally, settings: PjlSettings) -> int:
        end = self._end_of_job(start)
        reader = self._others.get(language)
        if reader is not None:
            self.reasons.append(reader(self._data[start:end], tally, settings, self._deadline))
        elif self._data[start:end].strip(b"\0\r\n\t \x0c\x04"):
            self.reasons.append("its printer language is not known: it is estimated from its size")
            self._rest(start, tally, 0, end)
        return end

    def _end_of_job(self, position: int) -> int:
        end = self._data.find(UEL, position)
        return len(self._data) if end < 0 else end

    def _rest(self, position: int, tally: Tally, read: int, end: int | None = None) -> None:
        """Pages for bytes that were not read: as many bytes each as the pages before had, else the stated rule's."""
        left = (len(self._data) if end is None else end) - position
        pages = tally.impressions
        each = read / pages if pages and read > 0 else BYTES_PER_IMPRESSION
        rest = Page(media=tally.media, sides=tally.sides or self._ticket.sides)
        for _ in range(min(-(-left // max(int(each), 1)), 1_000_000) or (0 if pages else 1)):
            tally.add(rest)


def _with_sides(settings: PjlSettings, sides: str) -> PjlSettings:
    return msgspec.structs.replace(settings, duplex=sides != ONE_SIDED, short_edge=sides == SHORT_EDGE)


def _language(head: bytes) -> str:
    """What printers switch to by themselves."""
    head = head.lstrip(b"\0\r\n\t \x04")
    if head.startswith(b"%!"):
        return POSTSCRIPT
    if head.startswith(b"%PDF-"):
        return PDF
    if head[1:].startswith(b" HP-PCL XL;"):
        return PCL_XL
    return PCL
