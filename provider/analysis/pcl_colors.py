"""Colour in PCL 5c: what the palette and the raster configuration make of a row's planes or pixels.

Configured by `Esc*r#U` (simple colour), `Esc*v#W` (configure image data) and `Esc*g#W` (configure raster data); HP,
PCL 5 Color Technical Reference, chapters 2 to 5. What a row comes to:

- planes of RGB or CMY: colour where two planes differ. They are compared as they are written, for equal planes are
  written alike;
- planes of KCMY: colour where one of C, M and Y holds anything;
- pixels of 8 bits a channel: colour where the channels are more than a tolerance apart, after the row is unpacked;
- indices: colour where the palette holds any, because the row has a mark.

Pure.
"""

import struct
from typing import Final

import numpy as np

TOLERANCE: Final = 8
_SIMPLE_PLANES: Final = {1: 1, 3: 3, -3: 3, -4: 4}
_BY_PIXEL: Final = (1, 3)
_DIRECT_BY_PIXEL: Final = 3
_RGB_BITS: Final = (8, 8, 8)
MAX_ROW: Final = 1 << 20


class Colors:
    """The configuration that holds now. It begins in black and white."""

    def __init__(self) -> None:
        self.planes = 1
        self._inks = False
        self._blacks = 1
        self._encoding = 0
        self._bits: tuple[int, ...] = (1, 1, 1)
        self._palette: dict[int, bool] = {}
        self._default_colors = 0
        self._components = [0.0, 0.0, 0.0]
        self._row: list[bytes] = []
        self._seed = bytearray()

    @property
    def needs_rows(self) -> bool:
        """Whether a row may have colour, so that it has to be looked at."""
        return self.planes > 1 or self._encoding in _BY_PIXEL

    def simple(self, value: int) -> None:
        """`Esc*r#U`."""
        self.planes = _SIMPLE_PLANES.get(value, 1)
        self._inks, self._blacks = value == -4, 1
        self._encoding = 0
        self._palette = {}
        self._default_colors = 8 if self.planes > 1 else 0

    def image_data(self, data: bytes) -> None:
        """`Esc*v#W`: colour space, encoding, bits an index, bits of each primary."""
        if len(data) < 6:
            return
        self._encoding, bits = data[1], data[2]
        self._bits = tuple(data[3:6])
        self._inks = False
        self._palette = {}
        self._default_colors = min(1 << min(bits, 8), 8) if bits > 1 else 0
        self.planes = {0: max(bits, 1), 2: 3}.get(self._encoding, 1)

    def raster_data(self, data: bytes) -> None:
        """`Esc*g#W`: a format, how many components, then for each of them resolutions and levels (16 bits each).

        Black comes first of four. A component of more levels has more planes, one of twice the resolution twice as
        many rows.
        """
        components = data[1] if len(data) > 1 else 1
        if components not in (1, 3, 4):
            return
        self.planes, self._inks, self._encoding, self._palette = components, components == 4, 0, {}
        told = [struct.unpack_from(">3H", data, 2 + 6 * n) for n in range(components) if len(data) >= 8 + 6 * n]
        least = min((rows for _, rows, _ in told), default=1) or 1
        blacks = [max(levels - 1, 1).bit_length() * max(rows // least, 1) for _, rows, levels in told[:1]]
        self._blacks = blacks[0] if blacks else 1

    def component(self, which: int, value: float) -> None:
        self._components[which] = value

    def assign(self, index: int) -> None:
        """`Esc*v#I`: the components become the colour of an index."""
        self._set(index, max(self._components) - min(self._components) > TOLERANCE / 255)
        self._components = [0.0, 0.0, 0.0]

    def pen(self, index: int, values: list[float]) -> None:
        """HP-GL/2's `PC`."""
        self._set(index, max(values) - min(values) > 0)

    def default_pens(self, count: int) -> None:
        """HP-GL/2's `NP`: a palette of so many colours."""
        self._palette, self._default_colors = {}, min(count, 8)

    def is_color(self, index: int) -> bool:
        """Whether an index of the palette is a colour. Of the palettes that are there to begin with, the first and the
        last of eight are black and white.
        """
        known = self._palette.get(index)
        return known if known is not None else self._default_colors > 2 and 0 < index < 7

    def plane(self, data: bytes) -> None:
        """A plane of a row that has more to come."""
        self._row.append(data)

    def row(self, data: bytes, method: int) -> bool:
        """The last plane, or the whole of a row; whether there is colour in it."""
        planes, self._row = (*self._row, data), []
        if self._encoding == _DIRECT_BY_PIXEL:
            return self._pixels(data, method)
        if self._encoding in _BY_PIXEL or self.planes not in (3, 4) or len(self._palette) > 0:
            return self.planes + self._encoding > 1 and any(planes) and self._has_colors()
        if self._inks:
            return any(any(unpack(plane, method, bytearray())) for plane in planes[self._blacks :])
        return len(set(planes)) > 1

    def start_raster(self) -> None:
        self._seed = bytearray()
        self._row = []

    def _set(self, index: int, in_color: bool) -> None:
        if 0 <= index < 256:
            self._palette[index] = in_color

    def _has_colors(self) -> bool:
        return any(self._palette.values()) or (not self._palette and self._default_colors > 2)

    def _pixels(self, data: bytes, method: int) -> bool:
        if self._bits != _RGB_BITS:
            return bool(data)
        self._seed = unpack(data, method, self._seed)
        whole = len(self._seed) // 3 * 3
        pixels = np.frombuffer(bytes(self._seed[:whole]), dtype=np.uint8).reshape(-1, 3)
        return bool(whole) and bool((pixels.max(axis=1) - pixels.min(axis=1) > TOLERANCE).any())


def unpack(data: bytes, method: int, seed: bytearray) -> bytearray:
    """A row's bytes by its compression method (`Esc*b#M`): 0 none, 1 run lengths, 2 TIFF PackBits, 3 delta row over
    `seed`. Of any other method the bytes as they are. At most MAX_ROW bytes.
    """
    if method == 1:
        return bytearray(
            b"".join(data[at + 1 : at + 2] * (data[at] + 1) for at in range(0, len(data) - 1, 2))[:MAX_ROW]
        )
    if method == 2:
        return _packbits(data)
    if method == 3:
        return _delta_row(data, seed)
    return bytearray(data[:MAX_ROW])


def _packbits(data: bytes) -> bytearray:
    row, position = bytearray(), 0
    while position < len(data) and len(row) < MAX_ROW:
        control = data[position]
        if control < 128:
            row += data[position + 1 : position + 2 + control]
            position += 2 + control
        elif control == 128:
            position += 1
        else:
            row += data[position + 1 : position + 2] * (257 - control)
            position += 2
    return row


def _delta_row(data: bytes, seed: bytearray) -> bytearray:
    """The seed row with bytes replaced: 3 bits how many (and one more), 5 bits how far on, more where these are 31."""
    row, position, at = bytearray(seed), 0, 0
    while position < len(data) and at < MAX_ROW:
        count, offset = (data[position] >> 5) + 1, data[position] & 31
        position += 1
        more = offset == 31
        while more and position < len(data):
            offset += data[position]
            more = data[position] == 255
            position += 1
        at += offset
        if at + count > len(row):
            row.extend(bytes(min(at + count, MAX_ROW) - len(row)) if at + count <= MAX_ROW else b"")
        row[at : at + count] = data[position : position + count]
        at += count
        position += count
    return row
