"""Pages of PCL 5 (PCL 5e and 5c, HP-GL/2 within): every command is read, data are skipped or looked into.

What ends a page, after HP's PCL 5 Printer Language Technical Reference: a form feed always; `Esc E`, `Esc&l#H`, a
change of page size, orientation or sides, and the end of the job where something is on the page; a line feed that
leaves the text area (perforation skip). A page is printed in `Esc&l#X` copies.

What is on a page: text, rules, raster rows, HP-GL/2 that draws, macros that are run. Macros are looked into only
for their length: a page that ends inside one is not counted.

Invariant: every byte is passed once; memory is one row's.
"""

import re
import time
from typing import Final

from provider.analysis.media import MM_PER_INCH, edges_mm, media_name
from provider.analysis.pcl_colors import Colors
from provider.analysis.pjl import UEL, Data, PjlSettings
from provider.analysis.tally import Page, Tally
from provider.analysis.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE

_ROW: Final = re.compile(rb"\x1b\*b((?:\d+[mMyY])*)(\d+)([VWvw])")
_FAMILY: Final = re.compile(rb"\x1b([!-/])([`-~]?)")
_PARAMETER: Final = re.compile(rb"[ ]*([+-]?)(\d{0,9})\d*(\.\d{0,9})?\d*([@-^`-~])")
_STRANGE: Final = re.compile(rb"\x1b[a-z]\d{1,5}[A-Z]")  # some drivers forget the character before the group
_MARKS: Final = re.compile(rb"[!-~\xa1-\xff]")
_METHOD: Final = re.compile(rb"(\d+)[mM]")
_DRAWS: Final = re.compile(
    rb"(?:PD|PE|LB|FP|EP|RA|EA|RR|ER|WG|EW|AA|AR|AT|RT|CI|BR|BZ|PM|SB|RF)(?![A-Z]{3})", re.IGNORECASE
)
_PEN: Final = re.compile(rb"(SP|PC|NP)\s*([\d.,\s-]*)", re.IGNORECASE)
_NO_DATA_W: Final = (b"&k", b"*z")
_LOOK_AT_CLOCK: Final = 2000
_A4_LENGTH_MM: Final = 297.0

MEDIA: Final = {
    1: "na_executive_7.25x10.5in", 2: "na_letter_8.5x11in", 3: "na_legal_8.5x14in", 6: "na_ledger_11x17in",
    12: "jis_b5_182x257mm", 15: "iso_a5_148x210mm", 24: "iso_a6_105x148mm", 25: "iso_a5_148x210mm",
    26: "iso_a4_210x297mm", 27: "iso_a3_297x420mm", 28: "iso_a2_420x594mm", 29: "iso_a1_594x841mm",
    30: "iso_a0_841x1189mm", 44: "jis_b6_128x182mm", 45: "jis_b5_182x257mm", 46: "jis_b4_257x364mm",
    71: "jpn_hagaki_100x148mm", 72: "jpn_oufuku_148x200mm", 80: "na_monarch_3.875x7.5in",
    81: "na_number-10_4.125x9.5in", 90: "iso_dl_110x220mm", 91: "iso_c5_162x229mm", 100: "iso_b5_176x250mm",
}  # fmt: skip


class OutOfTime(Exception):
    """The deadline has passed."""


class PclReader:
    """Reads one job's PCL. `position` is how far it has come."""

    def __init__(self, data: Data, tally: Tally, settings: PjlSettings, deadline: float) -> None:
        self.position = 0
        self._data = data
        self._tally = tally
        self._settings = settings
        self._deadline = deadline
        self._reset()

    def read(self, start: int) -> int:
        """From `start` to the next UEL or the end of the data; where that is. Raises OutOfTime."""
        data, end = self._data, len(self._data)
        self.position = start
        commands = 0
        while self.position < end:
            commands += 1
            if commands % _LOOK_AT_CLOCK == 0 and time.monotonic() > self._deadline:
                raise OutOfTime
            row = _ROW.match(data, self.position)
            if row:
                self._raster_rows(row)
                continue
            escape = data.find(b"\x1b", self.position)
            escape = end if escape < 0 else escape
            if escape > self.position:
                self._text(data[self.position : escape])
                self.position = escape
            elif data[escape : escape + len(UEL)] == UEL:
                break
            else:
                self._command(escape)
        self._eject(always=False)
        return min(self.position, end)

    def _reset(self) -> None:
        """`Esc E`: what PJL asked for, else the defaults."""
        settings = self._settings
        self._copies = settings.copies
        self._sides = settings.sides
        self._media = settings.media
        self._colors = Colors()
        self._method = 0
        self._foreground = False
        self._marked = self._color = self._front = False
        self._defining = False
        self._custom = [0.0, 0.0]
        self._vmi, self._length, self._top, self._lines = 1 / 6, _length(self._media), 0.5, 0
        self._skip_perforation, self._cr_feeds = True, False
        self._units = 300.0
        self._y = 0.0  # inches below the top margin

    # --- what is printed

    def _mark(self, in_color: bool = False) -> None:
        if not self._defining:
            self._marked = True
            self._color |= in_color and not self._settings.gray

    def _eject(self, *, always: bool) -> None:
        if self._defining:
            return
        if self._marked or always:
            sides = self._sides or ONE_SIDED
            page = Page(media=self._media, color=self._color, sides=sides, copies=self._copies, front=self._front)
            self._tally.add(page)
            self._front = False
        self._marked = self._color = False
        self._y = 0.0

    def _text(self, text: bytes) -> None:
        parts = text.split(b"\x0c")
        for number, part in enumerate(parts):
            if number:
                self._eject(always=True)
            if part:
                self._lines_of(part.replace(b"\r", b"\n") if self._cr_feeds else part)

    def _lines_of(self, part: bytes) -> None:
        if self._y + part.count(b"\n") * self._vmi <= self._area() or not self._skip_perforation:
            self._y += part.count(b"\n") * self._vmi
            if _MARKS.search(part):
                self._mark(self._foreground)
            return
        for number, line in enumerate(part.split(b"\n")):
            if number:
                self._y += self._vmi
                if self._y > self._area():
                    self._eject(always=True)
            if _MARKS.search(line):
                self._mark(self._foreground)

    def _area(self) -> float:
        """How far below the top margin the last line may stand, in inches."""
        if self._lines:
            return self._lines * self._vmi - self._vmi / 2
        return max(self._length - self._top - 0.5 - self._vmi / 2, self._vmi)

    def _raster_rows(self, row: re.Match[bytes] | None) -> None:
        """Rows one after the other, which is most of what most streams are."""
        data, colors = self._data, self._colors
        rows = 0
        while row and rows < _LOOK_AT_CLOCK:
            rows += 1
            before, size, kind = row.groups()
            if before:
                for method in _METHOD.findall(before):
                    self._method = int(method)
            if kind in b"vw":  # more of the same command follows: the slower way
                self._command(row.start())
                return
            start, length = row.end(), int(size[:9])
            self.position = start + length
            if length and not self._color and colors.needs_rows:
                self._row(data[start : start + length], kind == b"W")
            elif length:
                self._marked = self._marked or not self._defining
            row = _ROW.match(data, self.position)

    def _row(self, data: bytes, last: bool) -> None:
        if last:
            self._mark(self._colors.row(data, self._method))
        else:
            self._colors.plane(data)
            self._mark()

    # --- commands

    def _command(self, escape: int) -> None:
        family = _FAMILY.match(self._data, escape)
        if family is None:
            if self._data[escape + 1 : escape + 2] == b"E":
                self._eject(always=False)
                self._reset()
            strange = _STRANGE.match(self._data, escape)
            self.position = strange.end() if strange else escape + 2
            return
        name = family[1] + family[2]
        self.position = family.end()
        while True:
            parameter = _PARAMETER.match(self._data, self.position)
            if parameter is None:
                return
            sign, digits, fraction, letter = parameter.groups()
            value = float((sign + (digits or b"0") + (fraction or b"")).decode())
            self.position = parameter.end()
            capital = letter.upper()
            if self._carries_data(name, capital):
                self._data_command(name, capital, abs(int(value)))
            else:
                self._plain_command(name + capital, value, bool(sign))
            if letter == capital:
                return

    @staticmethod
    def _carries_data(name: bytes, letter: bytes) -> bool:
        if letter == b"W":
            return name not in _NO_DATA_W
        return (name, letter) in ((b"*b", b"V"), (b"&p", b"X"))

    def _data_command(self, name: bytes, letter: bytes, size: int) -> None:
        start = self.position
        self.position = start + size
        short = self._data[start : start + min(size, 1 << 16)]
        if name == b"*b" and size:
            self._row(short, letter == b"W")
        elif name == b"*v":
            self._colors.image_data(short)
        elif name == b"*g":
            self._colors.raster_data(short)
        elif name == b"&p" and size:
            self._mark(self._foreground)

    def _plain_command(self, command: bytes, value: float, signed: bool) -> None:
        number = int(value)
        if command[:2] == b"&l":
            self._page_command(command[2:], value, number)
        elif command[:2] == b"*v":
            self._color_command(command[2:], value, number)
        elif command in (b"&aR", b"&aV", b"*pY"):
            each = {b"&aR": self._vmi, b"&aV": 1 / 720, b"*pY": 1 / self._units}[command]
            self._y = max(self._y + value * each, 0.0) if signed else value * each
        elif command == b"&aG":
            self._eject(always=False)
            self._front = number == 1
        elif command == b"*cP":
            self._mark(self._foreground)
        elif command == b"*rU":
            self._colors.simple(number)
        elif command in (b"*rA", b"*rB", b"*rC"):
            self._colors.start_raster()
            self._method = 0 if command != b"*rA" else self._method
        elif command == b"*bM":
            self._method = number
        elif command == b"&fX":
            self._macro(number)
        elif command in (b"&fI", b"&fJ"):
            self._custom[command == b"&fJ"] = value / 10
        elif command == b"&uD":
            self._units = max(value, 1.0)
        elif command == b"&kG":
            self._cr_feeds = number in (1, 3)
        elif command == b"%B":
            self._hpgl()

    def _page_command(self, letter: bytes, value: float, number: int) -> None:
        if letter == b"A":
            self._eject(always=False)
            self._media = media_name(*self._custom) if number == 101 else MEDIA.get(number, "")
            self._length = _length(self._media)
            self._lines = 0
        elif letter == b"X":
            self._copies = max(number, 1)
        elif letter == b"S":
            sides = {0: ONE_SIDED, 1: LONG_EDGE, 2: SHORT_EDGE}.get(number, self._sides)
            if sides != self._sides:
                self._eject(always=False)
                self._sides = sides
        elif letter in (b"H", b"O"):
            self._eject(always=False)
        elif letter == b"E":
            self._top = number * self._vmi
        elif letter == b"F":
            self._lines = min(max(number, 0), 10_000)
        elif letter == b"D" and number > 0:
            self._vmi = 1 / number
        elif letter == b"C" and value > 0:
            self._vmi = value / 48
        elif letter == b"L":
            self._skip_perforation = number != 0

    def _color_command(self, letter: bytes, value: float, number: int) -> None:
        if letter in (b"A", b"B", b"C"):
            self._colors.component(letter[0] - ord("A"), value)
        elif letter == b"I":
            self._colors.assign(number)
        elif letter == b"S":
            self._foreground = self._colors.is_color(number)

    def _macro(self, number: int) -> None:
        if number == 0:
            self._defining = True
        elif number == 1:
            self._defining = False
        elif number in (2, 3):
            self._mark()

    def _hpgl(self) -> None:
        """To the next escape, which is the first that HP-GL/2 does not know."""
        escape = self._data.find(b"\x1b", self.position)
        escape = len(self._data) if escape < 0 else escape
        content = self._data[self.position : escape]
        self.position = escape
        in_color = self._foreground
        for name, numbers in _PEN.findall(content):
            values = [float(number) for number in re.findall(rb"-?\d{1,9}(?:\.\d{1,9})?", numbers)[:8]]
            if name.upper() == b"SP":
                in_color |= bool(values) and self._colors.is_color(int(values[0]))
            elif name.upper() == b"NP":
                self._colors.default_pens(int(values[0]) if values else 8)
            elif len(values) >= 4:
                self._colors.pen(int(values[0]), values[1:4])
        if _DRAWS.search(content):
            self._mark(in_color)


def _length(media: str) -> float:
    """Inches from a page's top to its bottom, as it stands upright."""
    return (edges_mm(media)[1] if media else _A4_LENGTH_MM) / MM_PER_INCH
