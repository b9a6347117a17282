"""PDFium behind a small typed door: how many pages, how large, and is there colour on one.

Colour is found by rendering, because only rendering knows what a page's operators, forms, shadings, images and
profiles come to. Low resolution is enough: PDFium smooths edges, so that a small coloured thing leaves a weaker
colour in a pixel instead of none, and it draws hairlines at least a pixel wide. The numbers, measured by
scripts/bench/analysis.py:

- RENDER_DPI 20: one pixel is 1.27 mm. A page takes 1-2 ms to draw; at 36 dpi nothing more is found of what the bench
  looks for, at two thirds of the speed.
- COLOR_TOLERANCE 8 of 255 between a pixel's largest and smallest channel. PDFium shows pure CMYK black and greys
  with a difference of up to 5, which must not count; a tint of 4 % (1 1 0.96) has 10 and does.
- COLOR_PIXELS 1: one is enough, as it is for the printer, which fires its colour unit. A dot of half a millimetre is
  found that way wherever it lies; asking for two would miss a fifth of the dots of 1 mm.

The raw interface is used, not pypdfium2's helpers, for three things they do not offer: a document straight from
mapped memory, one bitmap buffer for all pages, and no Python object a page. Only one thread may be in here
(PDFium's own rule). Invariant: what is opened is closed, whatever happens; a page that cannot be read raises
`PdfError`, never less.
"""

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pypdfium2.raw as pdfium
from numpy.typing import NDArray

from provider.analysis.colorless import Sieve

RENDER_DPI: Final = 20.0
COLOR_TOLERANCE: Final = 8
COLOR_PIXELS: Final = 1
MAX_PIXELS: Final = 4_000_000  # a larger page (5 m by 5 m) is drawn smaller, never the buffer larger

_WHITE: Final = 0xFFFFFFFF
_RGB: Final = 0x00FFFFFF
_FLAGS: Final = pdfium.FPDF_ANNOT | pdfium.FPDF_PRINTING | pdfium.FPDF_RENDER_LIMITEDIMAGECACHE
_REASONS: Final = {
    pdfium.FPDF_ERR_FILE: "it cannot be read",
    pdfium.FPDF_ERR_FORMAT: "it is damaged or no PDF",
    pdfium.FPDF_ERR_PASSWORD: "it needs a password",
    pdfium.FPDF_ERR_SECURITY: "its encryption is not known",
    pdfium.FPDF_ERR_PAGE: "a page is damaged",
}

Pixels = NDArray[np.uint32]
_Handle = Any  # PDFium's pointers: pypdfium2 has no types for them


class PdfError(Exception):
    """The document or one of its pages cannot be read; trying again will not help. The text completes "… because
    …".
    """


class PdfDocument:
    """A PDF in memory. `data` is any one-dimensional byte array and must stay as it is until `close()`."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data  # PDFium reads from it all the time
        self._bitmap: Pixels = np.empty(0, dtype=np.uint32)
        self._handle = pdfium.FPDF_LoadMemDocument64(ctypes.c_void_p(data.ctypes.data), data.nbytes, None)
        if not self._handle:
            raise PdfError(_REASONS.get(pdfium.FPDF_GetLastError(), "it cannot be opened"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._handle:
            pdfium.FPDF_CloseDocument(self._handle)
            self._handle = None

    @property
    def page_count(self) -> int:
        return int(pdfium.FPDF_GetPageCount(self._handle))

    @property
    def intact(self) -> bool:
        """False where the cross-reference table was damaged and had to be guessed anew: pages may be missing."""
        return bool(pdfium.FPDF_DocumentHasValidCrossReferenceTable(self._handle))

    def page_size(self, index: int) -> tuple[float, float]:
        """Width and height in points, cropped and turned as the page asks for, without its UserUnit."""
        size = pdfium.FS_SIZEF()
        if not pdfium.FPDF_GetPageSizeByIndexF(self._handle, index, size):
            raise PdfError(f"page {index + 1} cannot be read")
        return float(size.width), float(size.height)

    def has_color(self, index: int, dpi: float = RENDER_DPI) -> bool:
        """Whether the page would print with colour: what cannot have any is left out first, a find is confirmed
        with it.
        """
        with self._page(index) as page:
            sieve = Sieve(ctypes.cast(page, ctypes.c_void_p).value or 0)
            sieve.sift()
            found = is_color(self._draw(page, index, dpi))
        return found and (not sieve.left_out or is_color(self.render(index, dpi)))

    def render(self, index: int, dpi: float = RENDER_DPI) -> Pixels:
        """The page as it would be printed, as 0xffRRGGBB, a row a line. The next drawing goes over it."""
        with self._page(index) as page:
            return self._draw(page, index, dpi)

    @contextmanager
    def _page(self, index: int) -> Iterator[_Handle]:
        page = pdfium.FPDF_LoadPage(self._handle, index)
        if not page:
            raise PdfError(f"page {index + 1} cannot be read")
        try:
            yield page
        finally:
            pdfium.FPDF_ClosePage(page)

    def _pixels(self, count: int) -> Pixels:
        if self._bitmap.size < count:
            self._bitmap = np.empty(count, dtype=np.uint32)
        pixels = self._bitmap[:count]
        pixels.fill(_WHITE)
        return pixels

    def _draw(self, page: _Handle, index: int, dpi: float) -> Pixels:
        width, height = _pixel_size(self.page_size(index), dpi)
        pixels = self._pixels(width * height)
        address = ctypes.c_void_p(pixels.ctypes.data)
        bitmap = pdfium.FPDFBitmap_CreateEx(width, height, pdfium.FPDFBitmap_BGRx, address, width * 4)
        if not bitmap:
            raise PdfError("there is no memory to draw a page")
        try:
            pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, _FLAGS)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
        return pixels.reshape(height, width)


def is_color(pixels: Pixels, tolerance: int = COLOR_TOLERANCE, least: int = COLOR_PIXELS) -> bool:
    """Whether at least `least` pixels have channels further apart than `tolerance`.

    Equal channels are by far the most common, and are told by one shift over whole words; only the rest is taken
    apart.
    """
    flat = pixels.ravel()
    uneven = flat[((flat ^ (flat >> 8)) & 0xFFFF) != 0]
    if uneven.size < least:
        return False
    blue, green, red = (uneven.view(np.uint8)[channel::4] for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return int(np.count_nonzero(spread > tolerance)) >= least


def is_blank(pixels: Pixels) -> bool:
    return bool(np.all((pixels & _RGB) == _RGB))


def _pixel_size(size_pt: tuple[float, float], dpi: float) -> tuple[int, int]:
    """Pixels of a page at `dpi`, at least one each way, fewer where it would pass MAX_PIXELS."""
    width, height = (edge * dpi / 72 if math.isfinite(edge) and edge > 0 else 1.0 for edge in size_pt)
    shrink = min(1.0, math.sqrt(MAX_PIXELS / (width * height)))
    columns = min(max(1, round(width * shrink)), MAX_PIXELS)
    return columns, max(1, min(round(height * shrink), MAX_PIXELS // columns))
