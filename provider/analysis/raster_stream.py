"""libcups's raster reader behind a small typed door: PWG raster, CUPS raster of every version, Apple's URF.

It is on every print server, reads what CUPS's own filters write, and goes over compressed lines at twenty pages of
600 dpi a second. (Tried: the same walk in Python, half as fast; with numpy, which follows all operations of a
window at once, half as fast too, for it moves eight times the memory.) Only the lines tell where a page ends.

Invariant: a stream that libcups does not take raises `RasterError`, one that ends early too, never less; memory is a
block of lines; between two blocks the caller may stop.
"""

import ctypes
import ctypes.util
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

BLOCK_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 1 << 24
MAX_LINES: Final = 1 << 22
_HEADER_BYTES: Final = 1796
_URF_HEADER_BYTES: Final = 32
_READ: Final = 0
_PLANAR: Final = 2
_IO = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class RasterError(Exception):
    """The stream cannot be read from here on; trying again will not help. The text completes "… because …"."""


class PageHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What of cups_page_header2_t (cups/raster.h) is asked for. `size_pt` is 0 by 0 where the page tells none."""

    two_sided: bool
    short_edge: bool
    size_pt: tuple[float, float]
    dpi: tuple[int, int]
    width: int
    height: int
    bits_per_color: int
    bits_per_pixel: int
    line_bytes: int
    color_order: int
    color_space: int
    colors: int

    @property
    def lines(self) -> int:
        return self.height * (self.colors if self.color_order == _PLANAR else 1)


class RasterStream:
    """Goes through one stream page by page: `header()`, then all of `blocks()`."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self.delivered = 0
        self._library = _library()
        self._callback = _IO(self._deliver)  # libcups keeps the address: it must live as long as the stream
        self._handle = self._library.cupsRasterOpenIO(self._callback, None, _READ)
        if not self._handle:
            del self._callback
            raise RasterError("it does not begin as a raster does")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._library.cupsRasterClose(self._handle)
        del self._callback  # it holds this object, which holds the document's mapping, until Python looks for cycles

    def header(self) -> PageHeader | None:
        """The next page's; None at the end of the stream."""
        raw = ctypes.create_string_buffer(_HEADER_BYTES)
        if not self._library.cupsRasterReadHeader2(self._handle, raw):
            if self._library.cupsRasterErrorString() or self.delivered < self._data.size:
                raise RasterError("a page's header is none")
            return None
        header = _header(raw.raw)
        if not (0 < header.line_bytes <= MAX_LINE_BYTES and 0 < header.lines <= MAX_LINES and header.width):
            raise RasterError("a page has no size, or one beyond reason")
        return header

    def cut_header(self) -> bool:
        """Whether what looks like a header's beginning stands at the very end, where none has room. (libcups tells a
        header that is cut off from the end of the stream no better, and of plain CUPS raster, whose headers begin with
        nothing, neither does this.)
        """
        tail = self._data[-_HEADER_BYTES:].tobytes()
        urf = self._data[:4].tobytes() == b"UNIR"
        begins = self._data[12:24].tobytes() if urf else self._data[4:68].tobytes()
        room = _URF_HEADER_BYTES if urf else _HEADER_BYTES
        at = tail.rfind(begins)
        return any(begins[:9]) and at >= 0 and len(tail) - at < min(room, self._data.size - 4)

    def blocks(self, header: PageHeader) -> Iterator[Bytes]:
        """The page's lines, many at a time. The next block goes over the last."""
        most = max(1, BLOCK_BYTES // header.line_bytes)
        block = np.empty(most * header.line_bytes, dtype=np.uint8)
        left = header.lines
        while left:
            size = min(left, most) * header.line_bytes
            if self._library.cupsRasterReadPixels(self._handle, block.ctypes.data, size) != size:
                raise RasterError("it ends in the middle of a page")
            left -= min(left, most)
            yield block[:size]

    def _deliver(self, context: object, buffer: int, size: int) -> int:
        count = min(size, self._data.size - self.delivered)
        ctypes.memmove(buffer, self._data.ctypes.data + self.delivered, count)
        self.delivered += count
        return count


def _library() -> ctypes.CDLL:
    """Raises RasterError where there is no libcups: on a machine that is no print server."""
    try:
        library = ctypes.CDLL("libcups.so.2")
    except OSError as error:
        raise RasterError(f"libcups cannot be loaded: {error}") from error
    library.cupsRasterOpenIO.restype = ctypes.c_void_p
    library.cupsRasterOpenIO.argtypes = [_IO, ctypes.c_void_p, ctypes.c_int]
    library.cupsRasterReadHeader2.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.cupsRasterReadPixels.restype = ctypes.c_uint
    library.cupsRasterReadPixels.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint]
    library.cupsRasterErrorString.restype = ctypes.c_char_p
    library.cupsRasterClose.argtypes = [ctypes.c_void_p]
    library.cupsRasterClose.restype = None
    return library


def _header(raw: bytes) -> PageHeader:
    """In the machine's byte order, whatever the stream's."""
    (duplex,) = struct.unpack_from("=I", raw, 272)
    dpi = struct.unpack_from("=2I", raw, 276)
    points = struct.unpack_from("=2I", raw, 352)
    (tumble,) = struct.unpack_from("=I", raw, 368)
    width, height = struct.unpack_from("=2I", raw, 372)
    bits_per_color, bits_per_pixel, line_bytes, order, space = struct.unpack_from("=5I", raw, 384)
    (colors,) = struct.unpack_from("=I", raw, 420)
    exact = struct.unpack_from("=2f", raw, 428)
    size = exact if min(exact) > 0 else points
    if min(size) <= 0 and min(dpi) > 0:
        size = (width * 72 / dpi[0], height * 72 / dpi[1])
    return PageHeader(
        two_sided=bool(duplex),
        short_edge=bool(tumble),
        size_pt=(float(size[0]), float(size[1])),
        dpi=(dpi[0], dpi[1]),
        width=width,
        height=height,
        bits_per_color=bits_per_color,
        bits_per_pixel=bits_per_pixel,
        line_bytes=line_bytes,
        color_order=order,
        color_space=space,
        colors=max(colors, 1),
    )
