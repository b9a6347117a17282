"""Pages of PCL XL: its binary operators are read one by one, embedded data are skipped or looked into.

A stream header (`) HP-PCL XL;…`, `(` where the high byte comes first) is followed by operators, each after its
attributes: tagged values, each followed by the tag and number of the attribute it is for. Data of images and fonts
stand behind `dataLength` tags. HP, PCL XL Feature Reference Protocol Class 2.1.

Asked for: BeginPage (media, sides), EndPage (copies), what draws in which colour. Every page is printed, also one
without marks. Operators that tell nothing of that are passed in one regular expression, at the speed of C.

Colour: a brush or pen of an RGB value that is no grey, or an image of RGB whose pixels are looked at where they are
written plainly, in run lengths or delta rows, else counted as colour. What is drawn with them is not asked.

Invariant: every byte is passed once; memory is one image block's. What is no PCL XL raises `PclXlError`.
"""

import io
import re
import struct
import time
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provider.analysis.media import media_name, media_of_option
from provider.analysis.pcl import OutOfTime
from provider.analysis.pcl_colors import TOLERANCE, unpack
from provider.analysis.pjl import Data, PjlSettings
from provider.analysis.tally import Page, Tally
from provider.analysis.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE

_FIXED: Final = (
    rb"\xc0.|[\xc1\xc3]..|[\xc2\xc4\xc5].{4}|\xd0..|[\xd1\xd3].{4}|[\xd2\xd4\xd5].{8}"
    rb"|\xe0.{4}|[\xe1\xe3].{8}|[\xe2\xe4\xe5].{16}|\xf8.|\xf9.."
)
# BeginPage, EndPage, SetBrushSource, SetColorSpace, SetPenSource, BeginImage, ReadImage.
_STOPS: Final = b"\x43\x44\x63\x6a\x79\xb0\xb1"
_PASSED: Final = b"".join(b"\\x%02x" % code for code in range(0x41, 0xC0) if code not in _STOPS)
_BORING: Final = re.compile(b"(?>(?>[\\x00\\x09-\\x0d ]|" + _FIXED + b")*+[" + _PASSED + b"])*+", re.DOTALL)
_SPACE: Final = re.compile(rb"[\x00\x09-\x0d ]*+")
_SCALARS: Final = {0xC0: "B", 0xC1: "H", 0xC2: "I", 0xC3: "h", 0xC4: "i", 0xC5: "f"}
_LOOK_AT_CLOCK: Final = 500
_HEADER: Final = re.compile(rb"[()] HP-PCL XL;[^\n]{0,1024}\n")

_BEGIN_PAGE, _END_PAGE, _BRUSH, _COLOR_SPACE, _PEN, _BEGIN_IMAGE, _READ_IMAGE = _STOPS
_SPACE_ATTRIBUTE, _PALETTE, _RGB_COLOR, _PRIMARIES = 3, 6, 11, 14
_MEDIA_SIZE, _CUSTOM_SIZE, _CUSTOM_UNITS, _PAGE_COPIES = 37, 47, 48, 49
_SIMPLEX, _DUPLEX = 52, 53  # 54, the side, is not asked: drivers call every page a front
_COLOR_DEPTH, _MAPPING, _COMPRESSION, _BLOCK_HEIGHT, _SOURCE_WIDTH = 98, 100, 101, 99, 108
_GRAY: Final = 1
_INDEXED: Final = 1
_PLAIN, _RUNS, _JPEG, _DELTA = range(4)

MEDIA: Final = (
    "na_letter_8.5x11in", "na_legal_8.5x14in", "iso_a4_210x297mm", "na_executive_7.25x10.5in", "na_ledger_11x17in",
    "iso_a3_297x420mm", "na_number-10_4.125x9.5in", "na_monarch_3.875x7.5in", "iso_c5_162x229mm", "iso_dl_110x220mm",
    "jis_b4_257x364mm", "jis_b5_182x257mm", "iso_b5_176x250mm", "", "jpn_hagaki_100x148mm", "jpn_oufuku_148x200mm",
    "iso_a5_148x210mm", "iso_a6_105x148mm", "jis_b6_128x182mm",
)  # fmt: skip
_UNIT_POINTS: Final = (72.0, 72 / 25.4, 72 / 254)

Value = int | float | bytes | tuple[int | float, ...]


class PclXlError(Exception):
    """From here on it is no PCL XL. The text completes "… because …"."""


class PclXlReader:
    """Reads one job's PCL XL. `position` is how far it has come, `looked_at` false where colour was not told."""

    def __init__(self, data: Data, tally: Tally, settings: PjlSettings, deadline: float, *, color: bool = True) -> None:
        self.position = 0
        self._data = data
        self._tally = tally
        self._settings = settings
        self._deadline = deadline
        self._look = color and not settings.gray
        self._order = "<"
        self._page: Page | None = None
        self._color = False
        self._media, self._sides = settings.media, settings.sides or ONE_SIDED
        self._space = _GRAY
        self._palette_color = False
        self._image: dict[int, Value] = {}
        self._line = 0

    def read(self, start: int) -> int:
        """From the stream header to the next UEL or the end of the data; where that is."""
        header = _HEADER.match(self._data, start)
        if header is None:
            raise PclXlError("its stream header is missing")
        self._order = ">" if header[0][:1] == b"(" else "<"
        self.position = header.end()
        attributes: dict[int, Value] = {}
        values: list[Value] = []
        for turn in range(1 << 62):
            if turn % _LOOK_AT_CLOCK == 0 and time.monotonic() > self._deadline:
                raise OutOfTime
            if not values and not attributes:
                boring = _BORING.match(self._data, self.position)
                self.position = boring.end() if boring else self.position
            space = _SPACE.match(self._data, self.position)
            self.position = space.end() if space else self.position
            tag = self._byte(self.position)
            if tag is None or tag == 0x1B:
                break
            if not self._token(tag, values, attributes):
                raise PclXlError(f"byte {self.position} is no tag")
        if self._page is not None:
            self._end_page({})
        return self.position

    def _byte(self, position: int) -> int | None:
        return self._data[position] if position < len(self._data) else None

    def _token(self, tag: int, values: list[Value], attributes: dict[int, Value]) -> bool:
        """One operator, value, attribute or block of data. False for what is none."""
        if 0x41 <= tag <= 0xBF:
            self.position += 1
            self._operator(tag, attributes)
            attributes.clear()
            values.clear()
        elif tag in (0xF8, 0xF9):
            size = tag - 0xF7
            number = int.from_bytes(self._data[self.position + 1 : self.position + 1 + size], self._endian)
            if values:
                attributes[number] = values.pop()
            values.clear()
            self.position += 1 + size
        elif tag in (0xFA, 0xFB):
            self._block(4 if tag == 0xFA else 1)
        elif 0xC0 <= tag <= 0xE5:
            return self._value(tag, values)
        else:
            return self._again(tag)
        return True

    @property
    def _endian(self) -> Literal["big", "little"]:
        return "big" if self._order == ">" else "little"

    def _again(self, tag: int) -> bool:
        """A further stream header, of a further session."""
        header = _HEADER.match(self._data, self.position)
        if header is None:
            return False
        self._order = ">" if tag == ord("(") else "<"
        self.position = header.end()
        return True

    def _value(self, tag: int, values: list[Value]) -> bool:
        base, count = (tag & 7) + 0xC0, {0xC0: 1, 0xD0: 2, 0xE0: 4}[tag & 0xF0]
        kind = _SCALARS.get(base)
        position = self.position + 1
        if kind is None or (tag & 8 and tag & 0xF0 != 0xC0):
            return False
        if tag & 8:
            length_kind = _SCALARS.get(self._byte(position) or 0)
            if length_kind not in ("B", "H"):
                return False
            count = self._unpack(length_kind, 1, position + 1)[0]  # type: ignore[assignment]
            position += 1 + struct.calcsize(length_kind)
        size = struct.calcsize(kind)
        if tag & 8 and kind == "B":
            values.append(bytes(self._data[position : position + count]))
        else:
            numbers = self._unpack(kind, count, position)
            values.append(numbers[0] if len(numbers) == 1 and not tag & 8 else numbers)
        self.position = position + count * size
        return True

    def _unpack(self, kind: str, count: int, position: int) -> tuple[int | float, ...]:
        try:
            return struct.unpack_from(f"{self._order}{count}{kind}", self._data, position)
        except struct.error:
            raise PclXlError("it ends in the middle of an operator") from None

    def _block(self, size_bytes: int) -> None:
        """Data that no operator asked for here: passed."""
        self.position += 1 + size_bytes + self._block_size(size_bytes)

    def _block_size(self, size_bytes: int) -> int:
        start = self.position + 1
        return int.from_bytes(self._data[start : start + size_bytes], self._endian)

    # --- operators

    def _operator(self, tag: int, attributes: dict[int, Value]) -> None:
        if tag == _BEGIN_PAGE:
            self._begin_page(attributes)
        elif tag == _END_PAGE:
            self._end_page(attributes)
        elif tag == _COLOR_SPACE:
            self._space = _number(attributes, _SPACE_ATTRIBUTE, self._space)
            if _PALETTE in attributes:
                self._palette_color = self._space != _GRAY and _uneven(_samples(attributes[_PALETTE]))
        elif tag in (_BRUSH, _PEN):
            self._source(attributes)
        elif tag == _BEGIN_IMAGE:
            self._image, self._line = dict(attributes), 0
        elif tag == _READ_IMAGE:
            self._read_image(attributes)

    def _begin_page(self, attributes: dict[int, Value]) -> None:
        if self._page is not None:
            self._end_page({})
        if _DUPLEX in attributes:
            self._sides = LONG_EDGE if attributes[_DUPLEX] else SHORT_EDGE
        elif _SIMPLEX in attributes:
            self._sides = ONE_SIDED
        self._media = self._page_media(attributes) or self._media
        self._page, self._color = Page(media=self._media, sides=self._sides), False
        self._space, self._palette_color = _GRAY, False

    def _page_media(self, attributes: dict[int, Value]) -> str:
        size = attributes.get(_MEDIA_SIZE)
        if isinstance(size, int):
            return MEDIA[size] if size < len(MEDIA) else ""
        if isinstance(size, bytes):
            return media_of_option(size.decode("latin-1"))
        custom = attributes.get(_CUSTOM_SIZE)
        unit = _number(attributes, _CUSTOM_UNITS, 0)
        if isinstance(custom, tuple) and len(custom) == 2 and unit < len(_UNIT_POINTS):
            return media_name(float(custom[0]) * _UNIT_POINTS[unit], float(custom[1]) * _UNIT_POINTS[unit])
        return ""

    def _end_page(self, attributes: dict[int, Value]) -> None:
        page = self._page or Page(media=self._media, sides=self._sides)
        copies = _number(attributes, _PAGE_COPIES, self._settings.copies)
        self._tally.add(Page(media=page.media, sides=page.sides, color=self._color, copies=max(copies, 1)))
        self._page, self._color = None, False

    def _source(self, attributes: dict[int, Value]) -> None:
        """A brush or pen; three primaries of one value are a grey."""
        primaries = attributes.get(_RGB_COLOR, attributes.get(_PRIMARIES))
        if self._look and primaries is not None and len(_samples(primaries)) >= 3:
            self._color |= _uneven(_samples(primaries)[:3])

    def _read_image(self, attributes: dict[int, Value]) -> None:
        """The block behind it, looked into where it may have colour."""
        tag = self._byte(self.position)
        if tag not in (0xFA, 0xFB):
            return
        size_bytes = 4 if tag == 0xFA else 1
        start, size = self.position + 1 + size_bytes, self._block_size(size_bytes)
        self.position = start + size
        if not self._look or self._color or self._space == _GRAY:
            return
        if _number(self._image, _MAPPING, 0) == _INDEXED:
            self._color = self._palette_color
        else:
            self._color = self._block_color(self._data[start : start + size], attributes)

    def _block_color(self, block: bytes, attributes: dict[int, Value]) -> bool:
        """Of direct pixels of three samples; what cannot be looked into counts as colour."""
        if _number(self._image, _COLOR_DEPTH, 0) != 2:
            return True
        row = -(-3 * _number(self._image, _SOURCE_WIDTH, 0) // 4) * 4
        rows = _number(attributes, _BLOCK_HEIGHT, 0)
        method = _number(attributes, _COMPRESSION, _JPEG)
        if method == _JPEG:
            return _jpeg_color(block)
        if not 0 < row * rows <= 1 << 26 or method not in (_PLAIN, _RUNS, _DELTA):
            return True
        pixels = block if method == _PLAIN else _runs(block) if method == _RUNS else _delta(block, row, rows)
        lines = np.frombuffer(pixels[: len(pixels) // row * row], dtype=np.uint8).reshape(-1, row)
        used = 3 * _number(self._image, _SOURCE_WIDTH, 0)
        return _uneven_pixels(lines[:, :used].reshape(-1, 3))


def _number(attributes: dict[int, Value], name: int, default: int) -> int:
    value = attributes.get(name, default)
    return int(value) if isinstance(value, int | float) else default


def _samples(value: Value) -> tuple[int | float, ...]:
    return tuple(value) if isinstance(value, bytes | tuple) else (value,)


def _uneven(samples: tuple[int | float, ...]) -> bool:
    """Whether triples of primaries are no greys; reals go from 0 to 1."""
    scale = 255.0 if any(isinstance(sample, float) for sample in samples) else 1.0
    triples = zip(*[iter(samples)] * 3, strict=False)
    return any((max(triple) - min(triple)) * scale > TOLERANCE for triple in triples)


def _uneven_pixels(pixels: NDArray[np.uint8]) -> bool:
    return bool(len(pixels)) and bool((pixels.max(axis=1) - pixels.min(axis=1) > TOLERANCE).any())


def _jpeg_color(block: bytes) -> bool:
    """At an eighth of its size, which is read off the coefficients."""
    try:
        with Image.open(io.BytesIO(block), formats=("JPEG",)) as image:
            if image.width * image.height > 1 << 26:
                return True
            image.draft("RGB", (image.width // 8, image.height // 8))
            return _uneven_pixels(np.asarray(image.convert("RGB")).reshape(-1, 3))
    except (OSError, ValueError):
        return True


def _runs(block: bytes) -> bytes:
    return bytes(unpack(block, 2, bytearray()))


def _delta(block: bytes, row: int, rows: int) -> bytes:
    """Delta rows: each behind a count of its bytes, over the row before."""
    seed, position, out = bytearray(row), 0, bytearray()
    for _ in range(rows):
        size = int.from_bytes(block[position : position + 2], "little")
        seed = unpack(block[position + 2 : position + 2 + size], 3, seed)
        position += 2 + size
        out += seed[:row].ljust(row, b"\0")
    return bytes(out)
