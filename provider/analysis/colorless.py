"""Leave out of a page what cannot have colour, so that it need not be drawn to find out.

Most of the time to draw a page goes into grey text and grey scans, of which drawing can tell nothing. This walks
the page's objects, those inside forms too (pdftopdf wraps every page into one), and switches off:

- text whose paint is a plain grey, in a font with outlines (a Type 3 font's glyphs may paint what they like and
  have none);
- images of one grey channel. Stencil masks take the colour of their paint, palettes and spot colours may be
  anything, and asking about a JPEG 2000 image means to decode it: these stay.

Paths, shadings, annotations and all else stay. What is left out could only have *covered* colour, never added it.
So a page without colour is done, and one with colour has to be drawn again, whole: `pdfium.PdfDocument.has_color`
does both.

PDFium tells the paint of a pattern as one of two plain greys (`_PATTERN_PAINTS`): text in these stays. At most
MAX_OBJECTS objects of a page are looked at, and text only among at most MAX_TEXT_LIST objects: more are single
words or letters, which are faster drawn than asked about.
"""

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Final

import pypdfium2.raw as pdfium

MAX_OBJECTS: Final = 400
MAX_TEXT_LIST: Final = 100
MAX_DEPTH: Final = 6
GREY_SPREAD: Final = 8  # not above pdfium.COLOR_TOLERANCE, or text would be left out that the drawing calls coloured

_PATTERN_PAINTS: Final = ((191, 191, 191), (255, 255, 255))  # of tiling patterns, and of shadings
_FILLED: Final = pdfium.FPDF_TEXTRENDERMODE_FILL
_UNPAINTED: Final = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE
_GREY_SPACES: Final = (
    pdfium.FPDF_COLORSPACE_DEVICEGRAY,
    pdfium.FPDF_COLORSPACE_CALGRAY,
    pdfium.FPDF_COLORSPACE_ICCBASED,
)
_GREY_BITS: Final = 8  # a pixel of an ICC image with one channel; with three it is 24

_Pointer = int | None
_TEXT, _IMAGE, _FORM = pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM


def _bind(function: object, result: type, *arguments: type) -> "ctypes._FuncPointer":
    """The same C function with plain addresses for handles: a third of the time a call, and there are thousands a
    page.
    """
    return ctypes.PYFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value)  # type: ignore[arg-type]


_void, _int, _unsigned = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint
_count_objects = _bind(pdfium.FPDFPage_CountObjects, _int, _void)
_get_object = _bind(pdfium.FPDFPage_GetObject, _void, _void, _int)
_form_count = _bind(pdfium.FPDFFormObj_CountObjects, _int, _void)
_form_object = _bind(pdfium.FPDFFormObj_GetObject, _void, _void, ctypes.c_ulong)
_type_of = _bind(pdfium.FPDFPageObj_GetType, _int, _void)
_fill_color = _bind(pdfium.FPDFPageObj_GetFillColor, _int, _void, *[_void] * 4)
_render_mode = _bind(pdfium.FPDFTextObj_GetTextRenderMode, _int, _void)
_font_of = _bind(pdfium.FPDFTextObj_GetFont, _void, _void)
_font_data = _bind(pdfium.FPDFFont_GetFontData, _int, _void, _void, ctypes.c_size_t, _void)
_set_active = _bind(pdfium.FPDFPageObj_SetIsActive, _int, _void, _int)
_filter_count = _bind(pdfium.FPDFImageObj_GetImageFilterCount, _int, _void)
_filter = _bind(pdfium.FPDFImageObj_GetImageFilter, ctypes.c_ulong, _void, _int, _void, ctypes.c_ulong)
_metadata = _bind(pdfium.FPDFImageObj_GetImageMetadata, _int, _void, _void, _void)


class Sieve:
    """Goes through one page. `left_out` counts what was switched off."""

    def __init__(self, page: int) -> None:
        self.left_out = 0
        self._page = page
        self._budget = MAX_OBJECTS
        self._fonts: dict[int, bool] = {}
        self._rgba = (ctypes.c_uint * 4)()
        start = ctypes.addressof(self._rgba)
        self._channels = [start + 4 * n for n in range(4)]

    def sift(self) -> None:
        self._all(_count_objects(self._page), partial(_get_object, self._page), MAX_DEPTH)

    def _all(self, count: int, item_at: Callable[[int], _Pointer], depth: int) -> None:
        ask_text = count <= MAX_TEXT_LIST
        for index in range(count):
            if self._budget <= 0:
                return
            self._budget -= 1
            item = item_at(index)
            if item:
                self._one(item, ask_text, depth)

    def _one(self, item: int, ask_text: bool, depth: int) -> None:
        kind = _type_of(item)
        if kind == _FORM and depth:
            self._all(_form_count(item), partial(_form_object, item), depth - 1)
        elif (kind == _TEXT and ask_text and self._is_grey_text(item)) or (
            kind == _IMAGE and self._is_grey_image(item)
        ):
            self.left_out += _set_active(item, 0)

    def _is_grey_text(self, item: int) -> bool:
        mode = _render_mode(item)
        if mode == _UNPAINTED:
            return True
        if mode != _FILLED or not _fill_color(item, *self._channels):
            return False
        paint = tuple(self._rgba)[:3]
        grey = max(paint) - min(paint) <= GREY_SPREAD and paint not in _PATTERN_PAINTS
        return grey and self._has_outlines(_font_of(item))

    def _has_outlines(self, font: _Pointer) -> bool:
        if not font:
            return False
        known = self._fonts.get(font)
        if known is None:
            size = ctypes.c_size_t()
            known = bool(_font_data(font, None, 0, ctypes.addressof(size))) and size.value > 0
            self._fonts[font] = known
        return known

    def _is_grey_image(self, item: int) -> bool:
        if any(_filter_name(item, index) == b"JPXDecode" for index in range(max(_filter_count(item), 0))):
            return False
        about = pdfium.FPDF_IMAGEOBJ_METADATA()
        if not _metadata(item, self._page, ctypes.addressof(about)):
            return False
        return about.colorspace in _GREY_SPACES and 0 < about.bits_per_pixel <= _GREY_BITS


def _filter_name(item: int, index: int) -> bytes:
    name = ctypes.create_string_buffer(32)
    _filter(item, index, name, len(name))
    return name.value
