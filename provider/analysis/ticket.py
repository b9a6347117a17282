"""What a job's options ask of the printer, in IPP's words: sides, colour or not, media, how many copies CUPS
delivers.

A queue's options come as IPP attributes (`sides=two-sided-long-edge`), as a PPD's keywords
(`Duplex=DuplexNoTumble`), or both. The order here is the one in which CUPS 2.4's filters and ipp backend decide:
the PPD's keyword before `sides`, but `print-color-mode` before the PPD's ColorModel; what the person gave before
the queue's defaults.

A file that reaches the printer by name and by no IPP scheme (a raw queue to a socket, say) was seen by no filter, and
nobody tells the printer of the options: sides and colour are what the file itself says. cupsd adds
`print-color-mode=monochrome` to every job of a raw queue, which must not make a coloured file a grey one. Pure.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.analysis.media import media_of_option
from provider.analysis.options import option, parse_options

ONE_SIDED: Final = "one-sided"
LONG_EDGE: Final = "two-sided-long-edge"
SHORT_EDGE: Final = "two-sided-short-edge"

_DUPLEX_KEYWORDS: Final = ("Duplex", "JCLDuplex", "EFDuplex", "EFDuplexing", "ARDuplex", "KD03Duplex")
_DUPLEX_VALUES: Final = {
    **dict.fromkeys(("none", "off", "false", "simplex", "noduplex", "1sided"), ONE_SIDED),
    **dict.fromkeys(("duplexnotumble", "longedge", "top", "on", "true", "2sidedlongedge"), LONG_EDGE),
    **dict.fromkeys(("duplextumble", "shortedge", "bottom", "2sidedshortedge"), SHORT_EDGE),
}
_SIDES: Final = (ONE_SIDED, LONG_EDGE, SHORT_EDGE)
_NO_COLOR_MODES: Final = ("monochrome", "process-monochrome", "auto-monochrome", "bi-level", "process-bi-level")
_COLOR_KEYWORDS: Final = ("ColorModel", "ColorMode", "HPColorMode", "Color")
_NO_COLOR_VALUES: Final = (
    "gray",
    "grey",
    "grayscale",
    "greyscale",
    "black",
    "mono",
    "monochrome",
    "kgray",
    "devicegray",
)
_IPP_SCHEMES: Final = ("", "ipp", "ipps", "http", "https")
_RASTER: Final = ("image/urf", "image/pwg-raster", "application/vnd.cups-raster")

MAX_OPTIONS: Final = 200_000  # characters; Linux passes at most 131,072 bytes in one argument
MAX_NAME: Final = 255
MAX_COPIES: Final = 9999  # CUPS's own limit (MaxCopies) for one job


class AnalysisRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the backend was told about the document it holds.

    `copies` is argv[4], `options` argv[5], `document_format` the FINAL_CONTENT_TYPE. `inner_scheme` is the scheme
    of the real backend; `by_name` says that the document came as argv[6], not on standard input. `defaults` are the
    queue's own values (a PPD's Default… keywords) for what `options` leaves open.
    """

    copies: int = 1
    options: str = ""
    document_format: str = ""
    inner_scheme: str = ""
    by_name: bool = False
    defaults: dict[str, str] = {}


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """`sides` is an IPP keyword; `color` is false where the job was asked to be printed without; `media` may be "".

    `last_first`: the filters wrote the last page first, for a printer that lays sheets face up.
    """

    sides: str = ONE_SIDED
    color: bool = True
    media: str = ""
    last_first: bool = False


def clean_request(request: AnalysisRequest) -> AnalysisRequest:
    """The request as text that JSON can carry (CUPS passes any bytes on), and of a bounded length."""
    return msgspec.structs.replace(
        request,
        options=_clean(request.options),
        document_format=_clean(request.document_format)[:MAX_NAME],
        inner_scheme=_clean(request.inner_scheme)[:MAX_NAME],
        defaults={_clean(name): _clean(value) for name, value in request.defaults.items()},
    )


def ticket_of(request: AnalysisRequest) -> Ticket:
    options = parse_options(request.options)
    if request.by_name and request.inner_scheme.lower() not in _IPP_SCHEMES:
        return Ticket(media=_media(options) or _media(request.defaults))
    return Ticket(
        sides=_sides(options) or _sides(request.defaults) or ONE_SIDED,
        color=_first_known(_color(options), _color(request.defaults), True),
        media=_media(options) or _media(request.defaults),
        last_first=_first_known(_last_first(options), _last_first(request.defaults), False),
    )


def delivered_copies(request: AnalysisRequest, document_format: str, noted_copies: int | None = None) -> int:
    """How often the printer will print what is in the document.

    Raster: once, CUPS has written the copies into the stream. PDF and everything else: argv[4] times, the printer
    is told so. But pdftopdf may have made the copies itself (a PPD with cupsManualCopies, of which CUPS's ipp backend
    knows too and asks for one): what it left for the printer it notes as `%%PDFTOPDFNumCopies`, and that counts. A
    document that came by name never passed pdftopdf: its note is a claim.
    """
    if document_format in _RASTER:
        return 1
    if noted_copies is not None and not request.by_name:
        return _bounded(noted_copies)
    return _bounded(request.copies)


def copies_beside(request: AnalysisRequest, document_format: str) -> int:
    """How often the printer will print a document that may say itself how often a page is printed.

    - Raster: once.
    - By name: argv[4] times. CUPS's own backends send the file as often or ask the printer for as many.
    - On standard input: once; the filters have written the copies into the document, and CUPS's ipp backend asks the
      printer for one of what is neither a PDF nor an image.
    """
    return _bounded(request.copies) if request.by_name and document_format not in _RASTER else 1


def sheets_of(impressions: int, sides: str) -> int:
    """Sheets of one copy; IPP's media sheets. Every copy begins on a sheet of its own."""
    return impressions if sides == ONE_SIDED else (impressions + 1) // 2


def _clean(text: str) -> str:
    return text[:MAX_OPTIONS].encode("utf-8", "replace").decode()


def _bounded(copies: int) -> int:
    return min(max(copies, 1), MAX_COPIES)


def _sides(options: Mapping[str, str]) -> str:
    duplex = _DUPLEX_VALUES.get(option(options, *_DUPLEX_KEYWORDS).lower(), "")
    sides = option(options, "sides").lower()
    return duplex or (sides if sides in _SIDES else "")


def _color(options: Mapping[str, str]) -> bool | None:
    """None where the options say nothing about colour."""
    mode = option(options, "print-color-mode", "output-mode").lower()
    if mode and mode != "auto":
        return mode not in _NO_COLOR_MODES
    keyword = option(options, *_COLOR_KEYWORDS).lower()
    return keyword not in _NO_COLOR_VALUES if keyword else None


def _last_first(options: Mapping[str, str]) -> bool | None:
    """None where the options say nothing about the order of the pages."""
    order = option(options, "OutputOrder", "output-order", "page-delivery").lower()
    return order.startswith("reverse") if order else None


def _media(options: Mapping[str, str]) -> str:
    return media_of_option(option(options, "media")) or media_of_option(option(options, "PageSize"))


def _first_known(*values: bool | None) -> bool:
    return next((value for value in values if value is not None), True)
