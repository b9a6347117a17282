"""Makes the demo documents in resources/demo, the same bytes every time: `python -m scripts.demo_documents
[FOLDER]`.

Small documents with known counts, such as a school prints on a day: a letter, an invoice, lecture notes for both
sides of the paper, a report of twelve pages of which some are in colour, a timetable, and a poster on A3. They use
the fonts that every PDF reader has, so that all of them together stay far below 100 kB. Everybody and everything in
them is invented.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pikepdf

MM = 72 / 25.4
INK, SOFT, PALE, BLUE, ORANGE, GREEN = "0.12", "0.42", "0.88", "0.09 0.30 0.55", "0.90 0.45 0.10", "0.16 0.52 0.36"
FONTS = {"F": "Helvetica", "B": "Helvetica-Bold", "I": "Helvetica-Oblique", "T": "Times-Roman", "TB": "Times-Bold"}
# Widths of Helvetica from the space to the tilde, in thousandths of the size; near enough for the other fonts too.
WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667,
    556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556,
    556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722,
    500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
FACTOR = {"F": 1.0, "I": 1.0, "B": 1.06, "T": 0.9, "TB": 0.95}


def width_of(text: str, size: float, font: str) -> float:
    thousandths = sum(WIDTHS[ord(c) - 32] if 32 <= ord(c) < 127 else 556 for c in text)
    return thousandths * size * FACTOR[font] / 1000


class Sheet:
    """One page; millimetres from the lower left corner, sizes of type in points."""

    def __init__(self, width_mm: float = 210, height_mm: float = 297) -> None:
        self.width, self.height = width_mm, height_mm
        self.operators: list[str] = []
        self.shadings: list[pikepdf.Object] = []

    def text(self, x: float, y: float, text: str, size: float = 10, font: str = "F", color: str = INK) -> None:
        plain = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        self._do(f"BT {_paint(color)} /{font} {size:g} Tf {x * MM:.2f} {y * MM:.2f} Td ({plain}) Tj ET")

    def centered(self, x: float, y: float, text: str, size: float = 10, font: str = "F", color: str = INK) -> None:
        self.text(x - width_of(text, size, font) / MM / 2, y, text, size, font, color)

    def right(self, x: float, y: float, text: str, size: float = 10, font: str = "F", color: str = INK) -> None:
        self.text(x - width_of(text, size, font) / MM, y, text, size, font, color)

    def paragraph(self, x: float, y: float, width: float, text: str, size: float = 10, font: str = "T") -> float:
        """Set `text` from the line `y` down, within `width`; returns where the next paragraph may begin."""
        line, leading = "", size * 1.4 / MM
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and width_of(longer, size, font) > width * MM:
                self.text(x, y, line, size, font)
                y, line = y - leading, word
            else:
                line = longer
        self.text(x, y, line, size, font)
        return y - leading * 1.6

    def box(self, x: float, y: float, width: float, height: float, color: str) -> None:
        self._do(f"{_paint(color)} {x * MM:.2f} {y * MM:.2f} {width * MM:.2f} {height * MM:.2f} re f")

    def line(self, x: float, y: float, to_x: float, to_y: float, width: float = 0.5, color: str = SOFT) -> None:
        ends = f"{x * MM:.2f} {y * MM:.2f} m {to_x * MM:.2f} {to_y * MM:.2f} l"
        self._do(f"{_paint(color).upper()} {width:g} w {ends} S")

    def curve(self, points: Sequence[tuple[float, float]], width: float, color: str) -> None:
        steps = " ".join(f"{x * MM:.2f} {y * MM:.2f} {'l' if n else 'm'}" for n, (x, y) in enumerate(points))
        self._do(f"{_paint(color).upper()} {width:g} w 1 J 1 j {steps} S")

    def disc(self, x: float, y: float, radius: float, color: str) -> None:
        self.area(
            [(x + radius * math.cos(a / 36 * math.pi), y + radius * math.sin(a / 36 * math.pi)) for a in range(72)],
            color,
        )

    def area(self, points: Sequence[tuple[float, float]], color: str) -> None:
        steps = " ".join(f"{x * MM:.2f} {y * MM:.2f} {'l' if n else 'm'}" for n, (x, y) in enumerate(points))
        self._do(f"{_paint(color)} {steps} f")

    def blend(self, bottom: str, top: str) -> None:
        """Fill the page with a colour that turns into another on the way up."""
        ends = [pikepdf.Object.parse(f"[{color}]".encode()) for color in (bottom, top)]
        function = pikepdf.Dictionary(FunctionType=2, Domain=[0, 1], C0=ends[0], C1=ends[1], N=1)
        coords = pikepdf.Object.parse(f"[0 0 0 {self.height * MM:.2f}]".encode())
        kind = {"ShadingType": 2, "ColorSpace": pikepdf.Name.DeviceRGB, "Coords": coords, "Function": function}
        self.shadings.append(pikepdf.Dictionary({f"/{name}": value for name, value in kind.items()}))
        self._do(f"/S{len(self.shadings) - 1} sh")

    def _do(self, operators: str) -> None:
        self.operators.append(operators)


def _paint(color: str) -> str:
    """The operator that sets a fill colour: one number is a grey, three are red, green and blue."""
    return f"{color} {'rg' if ' ' in color else 'g'}"


def letterhead(sheet: Sheet, color: str = INK) -> None:
    sheet.box(25, 272, 8, 8, color)
    sheet.text(36, 276.4, "Northfield College", 13, "B", color)
    sheet.text(36, 272.2, "Faculty office  ·  14 Mill Lane  ·  Northfield", 8, "F", SOFT)
    sheet.line(25, 268, 185, 268, 0.4)


def letter() -> list[Sheet]:
    sheet = Sheet()
    letterhead(sheet)
    for number, line in enumerate(("Ms Ada Marsh", "Library", "Northfield College")):
        sheet.text(25, 250 - 5 * number, line, 10.5, "T")
    sheet.right(185, 228, "3 November", 10.5, "T")
    sheet.text(25, 216, "New printers in the reading rooms", 12, "TB")
    y = 207.0
    for text in (
        "Dear Ms Marsh,",
        "the two printers in the reading rooms will be replaced on Friday. The new ones print on both sides of "
        "the paper by themselves, and they are faster: nobody should have to queue for a page before a lecture "
        "any more.",
        "Nothing changes for readers. They print from the same queues under the same names, and what they have "
        "on their accounts stays where it is. A page costs what it did; a sheet printed on both sides still "
        "counts as two.",
        "Should a page come out blank or torn, please send us the name of the reader and the time. We give "
        "back what the page has cost, and it is on the account a moment later.",
        "With kind regards,",
    ):
        y = sheet.paragraph(25, y, 160, text, 11)
    sheet.curve([(25 + t * 0.9, y - 6 + 4 * math.sin(t / 2.6) * math.cos(t / 7)) for t in range(40)], 0.8, INK)
    sheet.text(25, y - 18, "J. Okafor, faculty office", 10.5, "T")
    return [sheet]


def invoice() -> list[Sheet]:
    sheet = Sheet(215.9, 279.4)
    sheet.box(0, 251, 215.9, 28.4, BLUE)
    sheet.text(20, 263, "Invoice 2047", 24, "B", "1")
    sheet.right(196, 266, "Harbour Paper Supplies", 11, "B", "1")
    sheet.right(196, 260.5, "Pier 4, Saltwick", 9, "F", "1")
    rows = (
        ("Paper, 80 g, letter size, 5 reams", 12, 24.90), ("Paper, 80 g, ledger size, 5 reams", 3, 51.50),
        ("Toner, black", 4, 68.00), ("Toner, cyan", 1, 84.00), ("Toner, magenta", 1, 84.00),
        ("Toner, yellow", 1, 84.00), ("Staples, three cartridges", 2, 31.20),
    )  # fmt: skip
    for x, title in ((20, "Item"), (128, "Pieces"), (150, "Each"), (182, "Amount")):
        sheet.text(x, 232, title, 9, "B", BLUE)
    sheet.line(20, 229.5, 196, 229.5, 1, BLUE)
    for number, (item, pieces, price) in enumerate(rows):
        y = 222 - 9 * number
        if number % 2:
            sheet.box(20, y - 3, 176, 9, "0.95")
        sheet.text(22, y, item, 10)
        sheet.right(138, y, str(pieces), 10)
        sheet.right(160, y, f"{price:.2f}", 10)
        sheet.right(194, y, f"{pieces * price:.2f}", 10)
    total = sum(pieces * price for _, pieces, price in rows)
    sheet.line(128, 154, 196, 154, 1, BLUE)
    sheet.text(128, 146, "Total", 13, "B", BLUE)
    sheet.right(194, 146, f"{total:.2f} EUR", 13, "B", BLUE)
    sheet.paragraph(20, 128, 120, "Payable within thirty days. Thank you for ordering on recycled paper.", 10, "I")
    return [sheet]


LECTURES = (
    ("Waiting in line", "Why the last place in a queue moves so slowly",
     ("Jobs come in at a rate, the printer works at another. As long as the first is below the second the line "
      "is finite, and yet it grows without bound as the two come close. At half the load a job waits as long "
      "as it prints; at nine tenths it waits nine times as long.",
      "The rule needs few assumptions. The mean number of jobs in a room is the rate at which they come, times "
      "the mean time each of them stays. It holds for printers, for shops and for lecture halls alike.")),
    ("What is on a sheet", "Sides, sheets and copies",
     ("An impression is one side of one sheet. A page of a document is what its author wrote; two of them may "
      "share an impression, and one of them may be printed many times. Whoever counts has to say what.",
      "Printed on both sides, five pages need three sheets, and the last side stays blank. Three copies of "
      "them need nine sheets, not eight: every copy begins on a sheet of its own.")),
    ("Books that balance", "Two sides of every entry",
     ("Money is never made by writing a number. It goes from one account to another, and the sum of all "
      "accounts stays what it was. Five hundred years of bookkeeping rest on this one sentence.",
      "A mistake is not rubbed out. It is put right by another entry, so that everybody can see what happened, "
      "and when, and who has put it right.")),
    ("When things fail", "Once, twice, or not at all",
     ("A message was sent and no answer came. Was it lost, or was the answer? Nobody can tell from outside. "
      "Who asks again may do a thing twice, who does not may not do it at all.",
      "The way out is a number that the asker has chosen and written down beforehand. Asked twice under the "
      "same number, the other side answers twice and acts once.")),
)  # fmt: skip


def handout() -> list[Sheet]:
    return [_lecture(number, *lecture) for number, lecture in enumerate(LECTURES, 1)]


def _lecture(number: int, title: str, subtitle: str, texts: Sequence[str]) -> Sheet:
    sheet = Sheet()
    sheet.text(25, 272, f"Lecture {number}", 9, "B", SOFT)
    sheet.text(25, 261, title, 22, "TB")
    sheet.text(25, 253, subtitle, 12, "I", SOFT)
    sheet.line(25, 248, 185, 248, 0.4)
    y = 238.0
    for text in texts:
        y = sheet.paragraph(25, y, 160, text, 12)
    sheet.line(35, 80, 35, 150, 0.8, INK)
    sheet.line(35, 80, 175, 80, 0.8, INK)
    for step in range(1, 4):
        bend = number / 2 + step
        points = [(35 + 1.4 * t, 80 + 68 * (t / 100) ** bend) for t in range(101)]
        sheet.curve(points, 1.4 - 0.3 * step, f"{0.15 + 0.2 * step:.2f}")
    sheet.centered(105, 72, f"Figure {number}: load from none to all, and what it costs", 9, "I", SOFT)
    for line in range(4):
        sheet.line(25, 52 - 8 * line, 185, 52 - 8 * line, 0.3, "0.75")
    sheet.centered(105, 14, str(number), 9, "F", SOFT)
    return sheet


REPORT_TEXTS = (
    "Students and staff printed less than in the year before, for the third time in a row, and more of it on "
    "both sides of the paper. Colour has stayed where it was: one page in eight.",
    "The busiest hour of the week is Tuesday from nine to ten, the quietest weekday hour Friday after four. In "
    "the last week before the examinations the printers of the library alone do as much as all others "
    "together.",
    "Two thirds of all jobs are of three pages or fewer. One job in two hundred has more than a hundred pages; "
    "together these make up a sixth of the paper. They are theses, for the most part, and printed once.",
    "Of the jobs that were sent, one in forty was cancelled by the person who had sent it, half of them within "
    "ten seconds. What had not been printed by then was not charged.",
)
REPORT_TITLES = (
    "Summary", "How much was printed", "When it was printed", "Both sides", "Colour", "Where it was printed",
    "Jobs by length", "Paper", "What it has cost", "Faults and refunds", "Outlook",
)  # fmt: skip
REPORT_IN_COLOR = (2, 5, 9)  # chapters


def report() -> list[Sheet]:
    cover = Sheet()
    cover.box(0, 190, 210, 107, BLUE)
    cover.text(25, 236, "Printing", 44, "B", "1")
    cover.text(25, 220, "Annual report of the print service", 16, "F", "1")
    for step in range(9):
        cover.disc(
            118 + 9 * step, 205, 3.5, f"{0.35 + 0.07 * step:.2f} {0.5 + 0.05 * step:.2f} {0.7 + 0.03 * step:.2f}"
        )
    cover.text(25, 40, "Northfield College", 11, "B", BLUE)
    return [cover, *(_chapter(number, title) for number, title in enumerate(REPORT_TITLES, 1))]


def _chapter(number: int, title: str) -> Sheet:
    sheet = Sheet()
    color = (BLUE, ORANGE, GREEN)[number % 3] if number in REPORT_IN_COLOR else "0.35"
    sheet.text(25, 276, "Annual report of the print service", 8, "F", SOFT)
    sheet.right(185, 276, str(number + 1), 8, "F", SOFT)
    sheet.text(25, 258, f"{number}  {title}", 20, "B")
    y = 246.0
    for step in range(4):
        y = sheet.paragraph(25, y, 160, REPORT_TEXTS[(number + step) % len(REPORT_TEXTS)], 11)
    (_bars, _lines, _table)[number % 3](sheet, number, color)
    return sheet


def _bars(sheet: Sheet, seed: int, color: str) -> None:
    for month, name in enumerate("JFMAMJJASOND"):
        height = 18 + 40 * abs(math.sin(seed * 1.7 + month * 0.9))
        sheet.box(30 + 13 * month, 60, 8, height, color if month % 2 else PALE)
        sheet.centered(34 + 13 * month, 54, name, 8, "F", SOFT)
    sheet.line(25, 60, 185, 60, 0.8, INK)
    sheet.text(25, 44, f"Figure {seed}: pages a month, in thousands", 9, "I", SOFT)


def _lines(sheet: Sheet, seed: int, color: str) -> None:
    for level in range(5):
        sheet.line(25, 60 + 14 * level, 185, 60 + 14 * level, 0.3, "0.8")
    for step, paint in enumerate(("0.6", color)):
        points = [(25 + 2 * t, 88 + 22 * math.sin(t / 9 + seed + 2 * step) * math.cos(t / 23)) for t in range(81)]
        sheet.curve(points, 1 + step, paint)
    sheet.text(25, 50, f"Figure {seed}: this year and the year before", 9, "I", SOFT)


def _table(sheet: Sheet, seed: int, color: str) -> None:
    sheet.box(25, 128, 160, 9, color)
    for column, title in enumerate(("Place", "Jobs", "Pages", "Sheets")):
        sheet.text(28 + 42 * column, 131, title, 9, "B", "1")
    for row, place in enumerate(("Library", "Main hall", "Physics", "Languages", "Music", "Office", "Workshop")):
        y = 121 - 9 * row
        jobs = 310 + (seed * 977 + row * 613) % 4200
        for column, value in enumerate((place, f"{jobs:,}", f"{jobs * 4 + row:,}", f"{jobs * 3 - row:,}")):
            sheet.text(28 + 42 * column, y, value, 9.5)
        sheet.line(25, y - 3, 185, y - 3, 0.3, "0.8")
    sheet.text(25, 50, f"Table {seed}: by place", 9, "I", SOFT)


def timetable() -> list[Sheet]:
    sheet = Sheet(297, 210)
    sheet.text(20, 190, "Timetable", 26, "B", GREEN)
    sheet.right(277, 191, "Spring term, first year", 12, "F", SOFT)
    courses = ("Algebra", "Statistics", "English", "Physics", "Workshop", "Music", "")
    tints = (
        "0.86 0.93 0.98",
        "0.99 0.91 0.82",
        "0.87 0.95 0.89",
        "0.96 0.90 0.96",
        "0.99 0.97 0.82",
        "0.90 0.90 0.90",
        "1",
    )
    for day, name in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")):
        sheet.centered(66 + 48 * day, 176, name, 11, "B")
        for hour in range(6):
            which = (day * 5 + hour * 3 + day * hour * hour) % len(courses)
            y = 150 - 25 * hour
            sheet.box(44 + 48 * day, y, 44, 21, tints[which])
            sheet.centered(66 + 48 * day, y + 11, courses[which], 11, "B")
            if courses[which]:
                sheet.centered(66 + 48 * day, y + 5, f"Room {100 + 7 * which + day}", 8, "F", SOFT)
    for hour in range(6):
        sheet.right(38, 159 - 25 * hour, f"{8 + hour + hour // 3}:15", 10, "F", SOFT)
    return [sheet]


def poster() -> list[Sheet]:
    sheet = Sheet(297, 420)
    sheet.blend("0.98 0.72 0.38", "0.10 0.16 0.38")
    sheet.disc(205, 215, 46, "0.99 0.90 0.66")
    for depth, (height, color) in enumerate(((150, "0.36 0.30 0.46"), (118, "0.24 0.22 0.40"), (84, "0.12 0.14 0.29"))):
        ridge = [
            (x, height + 22 * math.sin(x / 31 + 2 * depth) + 9 * math.sin(x / 11 + depth)) for x in range(0, 298, 3)
        ]
        sheet.area([(0, 0), *ridge, (297, 0)], color)
    for number in range(60):
        x, y = (number * 97) % 297, 270 + (number * 61) % 145
        sheet.disc(x, y, 0.25 + number % 4 * 0.15, "1 0.97 0.88")
    sheet.centered(148.5, 352, "Night of", 54, "F", "1")
    sheet.centered(148.5, 318, "the open doors", 76, "B", "1")
    sheet.centered(148.5, 52, "Laboratories, workshops, the observatory and the old press", 20, "F", "1")
    sheet.centered(148.5, 36, "Saturday, from six until midnight  ·  Northfield College", 20, "B", "0.99 0.80 0.45")
    sheet.centered(148.5, 20, "Free for everybody", 14, "I", "1")
    return [sheet]


DOCUMENTS: dict[str, Callable[[], list[Sheet]]] = {
    "letter": letter,
    "invoice": invoice,
    "handout": handout,
    "report": report,
    "timetable": timetable,
    "poster": poster,
}


def write(path: Path, title: str, sheets: Sequence[Sheet]) -> None:
    with pikepdf.new() as pdf:
        fonts = pikepdf.Dictionary({f"/{key}": pdf.make_indirect(_font(name)) for key, name in FONTS.items()})
        shared = pdf.make_indirect(fonts)
        for sheet in sheets:
            page = pdf.add_blank_page(page_size=(round(sheet.width * MM, 2), round(sheet.height * MM, 2)))
            shadings = pikepdf.Dictionary({f"/S{n}": pdf.make_indirect(s) for n, s in enumerate(sheet.shadings)})
            page.obj["/Resources"] = pikepdf.Dictionary(Font=shared, Shading=shadings)
            page.obj["/Contents"] = pdf.make_stream("\n".join(sheet.operators).encode("cp1252"))
        pdf.docinfo["/Title"] = title
        pdf.save(path, static_id=True, compress_streams=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)


def _font(name: str) -> pikepdf.Object:
    kind = {"/Type": pikepdf.Name.Font, "/Subtype": pikepdf.Name.Type1, "/BaseFont": pikepdf.Name(f"/{name}")}
    return pikepdf.Dictionary({**kind, "/Encoding": pikepdf.Name.WinAnsiEncoding})


def main() -> None:
    top = Path(__file__).resolve().parent.parent
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else top / "resources" / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in DOCUMENTS.items():
        write(folder / f"{name}.pdf", name.capitalize(), make())


if __name__ == "__main__":
    main()
