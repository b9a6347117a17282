"""PDFs whose counts are known because they are built here, page by page: for tests and benches alike.

A page is a list of content operators on a sheet of a given size. `mixed_document` is the benches' long document: what
an office prints, in even parts, every eighth page in colour. The same seed gives the same bytes.
"""

import io
import random
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pikepdf
from PIL import Image

A4 = (595.276, 841.89)
LETTER = (612.0, 792.0)
WORDS = ("the", "account", "of", "every", "printer", "is", "kept", "in", "one", "ledger", "and", "each", "sheet")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`content` are PDF operators; `entries` go into the page's dictionary as they are; `color` is what is to be
    found.
    """

    content: str = ""
    size: tuple[float, float] = A4
    entries: dict[str, object] = {}
    color: bool = False


GREY = Page(content="0.4 g 100 100 300 300 re f")
RED = Page(content="1 0 0 rg 100 100 300 300 re f", color=True)
BLANK = Page()


def write_pdf(
    path: Path,
    pages: Sequence[Page],
    *,
    encryption: pikepdf.Encryption | None = None,
    object_streams: bool = False,
) -> Path:
    """Write the pages, with /F1 (Helvetica) at hand on each."""
    mode = pikepdf.ObjectStreamMode.generate if object_streams else pikepdf.ObjectStreamMode.disable
    with pikepdf.new() as pdf:
        font = pdf.make_indirect(
            pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        )
        for page in pages:
            _add(pdf, page.size, page.content, {}, font, page.entries)
        pdf.save(path, static_id=encryption is None, encryption=encryption, object_stream_mode=mode)
    return path


def text_lines(lines: int, seed: int, *, top: int = 780, words: int = 12) -> str:
    rng = random.Random(seed)
    return "\n".join(
        f"BT /F1 10 Tf 60 {top - 15 * line} Td ({' '.join(rng.choices(WORDS, k=words))}) Tj ET" for line in range(lines)
    )


def chart(points: int, seed: int, color: str = "0.3 G") -> str:
    rng = random.Random(seed)
    steps = (f"{60 + 470 * n / points:.1f} {120 + rng.randrange(160)} {'l' if n else 'm'}" for n in range(points))
    bars = (f"{60 + 24 * n} 60 18 {rng.randrange(5, 50)} re f" for n in range(18))
    return f"{color} 0.7 w {' '.join(steps)} S 0.6 g {' '.join(bars)}"


def table(rows: int, seed: int) -> str:
    rng = random.Random(seed)
    lines = [f"0.7 G 0.25 w 60 {760 - 16 * row} m 535 {760 - 16 * row} l S" for row in range(rows)]
    for row in range(rows):
        lines += [
            f"BT /F1 9 Tf {64 + 80 * column} {764 - 16 * row} Td ({rng.randrange(10**7) / 100:.2f}) Tj ET"
            for column in range(6)
        ]
    return "\n".join(lines)


def mixed_document(path: Path, pages: int, seed: int = 1) -> int:
    """Letters, reports with charts, tables, pages with a photograph and scans, a fifth each; returns the pages in
    colour.
    """
    color_count = 0
    with pikepdf.new() as pdf:
        font = pdf.make_indirect(
            pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        )
        for number in range(pages):
            in_color = number % 8 == 3
            color_count += in_color
            content, images = _mixed_page(pdf, number % 5, in_color, seed + number)
            _add(pdf, A4, content, images, font, {})
        pdf.save(path, static_id=True, compress_streams=True)
    return color_count


def _mixed_page(pdf: pikepdf.Pdf, kind: int, in_color: bool, seed: int) -> tuple[str, dict[str, pikepdf.Object]]:
    accent = "0.1 0.2 0.7 rg 60 800 120 12 re f\n0 g\n" if in_color else ""
    if kind == 0:
        return accent + text_lines(45, seed), {}
    if kind == 1:
        return text_lines(28, seed) + "\n" + chart(90, seed, "0.8 0.2 0.1 RG" if in_color else "0.3 G"), {}
    if kind == 2:
        return accent + table(42, seed), {}
    if kind == 3:
        photo = jpeg_image(pdf, (480, 360), seed, in_color)
        return text_lines(24, seed) + "\nq 440 0 0 330 75 60 cm /I0 Do Q", {"/I0": photo}
    return accent + "q 500 0 0 730 48 50 cm /I0 Do Q", {"/I0": jpeg_image(pdf, (826, 1169), seed, False)}


def jpeg_image(pdf: pikepdf.Pdf, size: tuple[int, int], seed: int, in_color: bool) -> pikepdf.Object:
    """A JPEG of soft shapes with some grain, as an image object."""
    rng = random.Random(seed)
    mode = "RGB" if in_color else "L"
    small = Image.frombytes(mode, (16, 16), rng.randbytes(16 * 16 * len(mode)))
    data = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(data, "JPEG", quality=70)
    image = pikepdf.Stream(pdf, data.getvalue())
    image.stream_dict = pikepdf.Dictionary(
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=size[0],
        Height=size[1],
        BitsPerComponent=8,
        ColorSpace=pikepdf.Name.DeviceRGB if in_color else pikepdf.Name.DeviceGray,
        Filter=pikepdf.Name.DCTDecode,
    )
    return pdf.make_indirect(image)


def _add(
    pdf: pikepdf.Pdf,
    size: tuple[float, float],
    content: str,
    images: dict[str, pikepdf.Object],
    font: pikepdf.Object,
    entries: dict[str, object],
) -> None:
    page = pdf.add_blank_page(page_size=size)
    page.obj["/Resources"] = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font), XObject=pikepdf.Dictionary(images))
    page.obj["/Contents"] = pdf.make_stream(content.encode("latin-1"))
    for key, value in entries.items():
        page.obj[key] = value


def solid_pages(pages: Iterable[bool]) -> list[Page]:
    """A page for each: red where true, grey where false."""
    return [RED if in_color else GREY for in_color in pages]


def endless_pdf(levels: int = 12, width: int = 40) -> bytes:
    """One small page whose forms draw forms that draw forms: looking at it takes longer than anybody waits."""
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R/Resources<</XObject<</X 6 0 R>>>>>>",
        "<<>>",
        _stream("/X Do"),
    ]
    for level in range(levels):
        number = len(objects) + 2
        resources = f"/Resources<</XObject<</X {number} 0 R>>>>" if level < levels - 1 else ""
        body = "/X Do " * width if level < levels - 1 else "0 0 9 9 re f"
        objects.append(_stream(body, f"/Type/XObject/Subtype/Form/BBox[0 0 595 842]{resources}"))
    body = "".join(f"{number} 0 obj{text}endobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R/Size {len(objects) + 1}>>\n%%EOF".encode()


def _stream(body: str, entries: str = "") -> str:
    return f"<</Length {len(body)}{entries}>>stream\n{body}\nendstream "


def _dot(millimetres: float, color: str) -> str:
    """A filled circle, of four curves, whose centre lies on no pixel's."""
    radius, x, y = millimetres * 72 / 25.4 / 2, 81.3, 33.7
    bend = 0.5523 * radius
    curves = (
        (radius, bend, bend, radius, 0.0, radius),
        (-bend, radius, -radius, bend, -radius, 0.0),
        (-radius, -bend, -bend, -radius, 0.0, -radius),
        (bend, -radius, radius, -bend, radius, 0.0),
    )
    path = " ".join(
        " ".join(f"{centre + step:.3f}" for step, centre in zip(curve, (x, y) * 3, strict=True)) + " c"
        for curve in curves
    )
    return f"{color} rg {x + radius:.3f} {y:.3f} m {path} f"


# Little things in colour that somebody pays for, on a page of text, and things without colour that somebody must not.
COLORED = {
    "dot of 3 mm": _dot(3, "1 0 0"),
    "dot of 1 mm": _dot(1, "1 0 0"),
    "pale dot of 3 mm": _dot(3, "1 0.8 0.8"),
    "hairline": "0 0.6 0 RG 0.1 w 60 30 m 200 31 l S",
    "line of 0.25 pt": "0 0 1 RG 0.25 w 60 30 m 300 30 l S",
    "underline of 2 cm": "0 0 1 RG 0.5 w 60 30 m 116 30 l S",
    "tint of 5 %": "1 1 0.95 rg 50 20 300 30 re f",
    "tint of 10 % CMYK": "0.1 0 0 0 k 50 20 300 30 re f",
    "dark blue text": "0 0 0.5 rg BT /F1 9 Tf 60 30 Td (Signed in dark blue) Tj ET",
    "one red word": "1 0 0 rg BT /F1 9 Tf 60 30 Td (Overdue) Tj ET",
    "blue link of 8 pt": "0.02 0.39 0.76 rg BT /F1 8 Tf 60 30 Td (example.org/terms) Tj ET",
    "dark green outline text": "0 0.3 0 RG 1 Tr 0.4 w BT /F1 14 Tf 60 30 Td (Draft) Tj ET 0 Tr",
    "composite grey": "0.5 0.5 0.5 0 k 50 20 40 40 re f",
    "logo of 5 mm": "0.9 0.3 0.1 rg 60 25 7 14 re f 0 0.3 0.6 rg 67 25 7 14 re f",
}
COLORLESS = {
    "black": "0 g 60 20 40 20 re f",
    "grey": "0.35 g 60 20 40 20 re f",
    "grey as RGB": "0.4 0.4 0.4 rg 60 20 40 20 re f",
    "black as CMYK": "0 0 0 1 k 60 20 40 20 re f",
    "half black as CMYK": "0 0 0 0.5 k 60 20 40 20 re f",
    "grey text": "0.6 g BT /F1 9 Tf 60 30 Td (Confidential) Tj ET",
    "black text as CMYK": "0 0 0 1 k BT /F1 9 Tf 60 30 Td (Confidential) Tj ET",
    "grey hairline": "0.5 G 0.1 w 60 30 m 200 31 l S",
    "white on white": "1 1 1 rg 60 20 40 20 re f",
    "colour off the page": "1 0 0 rg -90 -90 40 40 re f",
    "invisible red text": "1 0 0 rg 3 Tr BT /F1 9 Tf 60 30 Td (recognised) Tj ET 0 Tr",
}


def converted(source: Path, device: str, *options: str, dpi: int = 100) -> bytes:
    """The document as one of Ghostscript's drivers writes it, for printers of that language."""
    command = ["gs", "-q", "-dSAFER", f"-sDEVICE={device}", f"-r{dpi}", *options, "-o", "-", str(source)]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def raster_of(source: Path, kind: str, *options: str, gray: bool = False, dpi: int = 100) -> bytes:
    """The document as CUPS's own filter writes it: `kind` is image/urf or image/pwg-raster, `options` a job's."""
    space = ("-dcupsColorSpace=18",) if gray else ("-dcupsColorSpace=19",)
    cups_raster = converted(source, "cups", *space, "-dcupsBitsPerColor=8", dpi=dpi)
    ppd = source.with_suffix(".ppd")
    ppd.write_text(_RASTER_PPD)
    command = ["/usr/lib/cups/filter/rastertopwg", "1", "user", "title", "1", " ".join(options)]
    environment = {"PPD": str(ppd), "PATH": "/usr/bin:/bin", "FINAL_CONTENT_TYPE": kind}
    done = subprocess.run(command, input=cups_raster, env=environment, capture_output=True, check=True, timeout=120)
    return done.stdout


_RASTER_PPD = """*PPD-Adobe: "4.3"
*FormatVersion: "4.3"
*FileVersion: "1.0"
*LanguageVersion: English
*LanguageEncoding: ISOLatin1
*PCFileName: "TEST.PPD"
*Manufacturer: "Test"
*Product: "(Test)"
*ModelName: "Test"
*ShortNickName: "Test"
*NickName: "Test"
*PSVersion: "(3010.000) 0"
*LanguageLevel: "3"
*ColorDevice: True
*OpenUI *PageSize/Media: PickOne
*DefaultPageSize: A4
*PageSize A4/A4: "<</PageSize[595 842]>>setpagedevice"
*CloseUI: *PageSize
*DefaultImageableArea: A4
*ImageableArea A4/A4: "0 0 595 842"
*DefaultPaperDimension: A4
*PaperDimension A4/A4: "595 842"
"""
