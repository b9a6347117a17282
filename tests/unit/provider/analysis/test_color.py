"""Colour is found where there is some, however little, and not where there is none.

The things that must be found and the things that must not are what scripts/bench/analysis.py counts recall over.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pikepdf
import pytest

from provider.analysis.colorless import MAX_OBJECTS, MAX_TEXT_LIST
from provider.analysis.pdfium import PdfDocument, is_blank, is_color
from tests.support.documents import A4, COLORED, COLORLESS, Page, jpeg_image, text_lines, write_pdf

RGB = pikepdf.Name.DeviceRGB


def has_color(path: Path, index: int = 0) -> bool:
    with PdfDocument(np.fromfile(path, dtype=np.uint8)) as pdf:
        found = pdf.has_color(index)
        assert found == is_color(pdf.render(index))  # leaving out the colourless changes no answer
    return found


@pytest.mark.parametrize("what", COLORED)
def test_a_little_colour_is_found(tmp_path: Path, what: str) -> None:
    assert has_color(write_pdf(tmp_path / "a.pdf", [Page(content=text_lines(40, 1) + "\n" + COLORED[what])]))


@pytest.mark.parametrize("what", COLORLESS)
def test_no_colour_is_not_found(tmp_path: Path, what: str) -> None:
    assert not has_color(write_pdf(tmp_path / "a.pdf", [Page(content=text_lines(40, 1) + "\n" + COLORLESS[what])]))


def save(tmp_path: Path, pdf: pikepdf.Pdf, content: str, resources: Mapping[str, object], **entries: object) -> Path:
    page = pdf.add_blank_page(page_size=A4)
    page.obj["/Resources"] = pikepdf.Dictionary(resources)
    page.obj["/Contents"] = pdf.make_stream(content.encode())
    for key, value in entries.items():
        page.obj[f"/{key}"] = value
    pdf.save(tmp_path / "a.pdf")
    return tmp_path / "a.pdf"


def helvetica() -> pikepdf.Object:
    return pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)


def image(
    pdf: pikepdf.Pdf, data: bytes, space: object, bits: int = 8, entries: Mapping[str, object] = {}
) -> pikepdf.Object:
    stream = pikepdf.Stream(pdf, zlib.compress(data))
    about = {"/Type": pikepdf.Name.XObject, "/Subtype": pikepdf.Name.Image, "/Filter": pikepdf.Name.FlateDecode}
    shape = {"/Width": 64, "/Height": 64, "/BitsPerComponent": bits}
    stream.stream_dict = pikepdf.Dictionary({**about, **shape, **({"/ColorSpace": space} if space else {}), **entries})
    return pdf.make_indirect(stream)


def spot(pdf: pikepdf.Pdf, ink: list[float]) -> pikepdf.Object:
    tint = pikepdf.Dictionary(FunctionType=2, Domain=[0, 1], C0=[1, 1, 1], C1=ink, N=1)
    return pikepdf.Array([pikepdf.Name.Separation, pikepdf.Name.Spot, RGB, tint])


def test_images_by_colour_space(tmp_path: Path) -> None:
    grey, pairs = bytes(range(256)) * 16, bytes([0, 1]) * 2048
    red_palette = pikepdf.Array([pikepdf.Name.Indexed, RGB, 1, pikepdf.String(b"\xff\xff\xff\xff\0\0")])
    grey_palette = pikepdf.Array([pikepdf.Name.Indexed, RGB, 1, pikepdf.String(b"\xff\xff\xff\x40\x40\x40")])
    white = pikepdf.Dictionary(WhitePoint=[0.95, 1, 1.09])
    cases: list[tuple[bool, object, bytes, int, str]] = [
        (False, pikepdf.Name.DeviceGray, grey, 8, ""),
        (False, pikepdf.Array([pikepdf.Name.CalGray, white]), grey, 8, ""),
        (False, RGB, b"".join(bytes([n] * 3) for n in grey), 8, ""),
        (True, RGB, b"".join(bytes([n, 9, 255 - n]) for n in grey), 8, ""),
        (True, red_palette, pairs, 8, ""),
        (False, grey_palette, pairs, 8, ""),
        (True, "spot", grey, 8, ""),
        (True, None, b"\xaa" * 512, 1, "1 0 0 rg"),  # a stencil takes the paint's colour
        (False, None, b"\xaa" * 512, 1, "0.2 g"),
        (False, pikepdf.Name.DeviceGray, b"\xaa" * 512, 1, "1 0 0 rg"),
    ]
    for expected, space, data, bits, paint in cases:
        with pikepdf.new() as pdf:
            space = spot(pdf, [0.0, 0.6, 0.3]) if space == "spot" else space
            mask = {} if space else {"/ImageMask": True}
            resources = {"/XObject": pikepdf.Dictionary(I=image(pdf, data, space, bits, mask))}
            path = save(tmp_path, pdf, f"{paint} q 300 0 0 300 99 99 cm /I Do Q", resources)
        assert has_color(path) is expected, (space, bits, paint)


def test_a_colour_jpeg_that_claims_to_be_grey(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        liar = jpeg_image(pdf, (300, 300), 1, True)
        liar["/ColorSpace"] = pikepdf.Name.DeviceGray
        path = save(tmp_path, pdf, "q 300 0 0 300 99 99 cm /I Do Q", {"/XObject": pikepdf.Dictionary(I=liar)})
    has_color(path)  # whatever it is called, both ways to look agree


def test_glyphs_that_paint_themselves(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        glyph = pdf.make_stream(b"750 0 d0 0 0.5 0 rg 0 0 700 700 re f")
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type3, BaseFont=pikepdf.Name.Helvetica,
            FontBBox=[0, 0, 750, 750], FontMatrix=pikepdf.Object.parse(b"[0.001 0 0 0.001 0 0]"),
            CharProcs=pikepdf.Dictionary(sq=glyph), FirstChar=97, LastChar=97, Widths=[750],
            Encoding=pikepdf.Dictionary(Type=pikepdf.Name.Encoding, Differences=[97, pikepdf.Name.sq]),
            Resources=pikepdf.Dictionary(),
        )  # fmt: skip
        resources = {"/Font": pikepdf.Dictionary(F1=pdf.make_indirect(font))}
        path = save(tmp_path, pdf, "0 g BT /F1 24 Tf 99 99 Td (aaa) Tj ET", resources)
    assert has_color(path)


@pytest.mark.parametrize("kind", ["tiling", "shading"])
def test_text_painted_with_a_pattern(tmp_path: Path, kind: str) -> None:
    with pikepdf.new() as pdf:
        if kind == "tiling":
            pattern: pikepdf.Object = pdf.make_stream(b"1 0 0 rg 0 0 4 4 re f")
            about = {"PatternType": 1, "PaintType": 1, "TilingType": 1, "BBox": [0, 0, 5, 5], "XStep": 5, "YStep": 5}
            for key, value in about.items():
                pattern[f"/{key}"] = value
            pattern["/Resources"] = pikepdf.Dictionary()
        else:
            blend = pikepdf.Dictionary(FunctionType=2, Domain=[0, 1], C0=[1, 0, 0], C1=[0, 0, 1], N=1)
            axial = pikepdf.Dictionary(ShadingType=2, ColorSpace=RGB, Coords=[0, 0, 600, 0], Function=blend)
            pattern = pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Pattern, PatternType=2, Shading=axial))
        resources = {"/Pattern": pikepdf.Dictionary(P1=pattern), "/Font": pikepdf.Dictionary(F1=helvetica())}
        path = save(tmp_path, pdf, "/Pattern cs /P1 scn BT /F1 72 Tf 60 400 Td (pattern) Tj ET", resources)
    assert has_color(path)


def form(pdf: pikepdf.Pdf, content: str, resources: Mapping[str, object]) -> pikepdf.Object:
    stream = pdf.make_stream(content.encode())
    about = {"Type": pikepdf.Name.XObject, "Subtype": pikepdf.Name.Form, "BBox": [0, 0, 600, 850]}
    for key, value in about.items():
        stream[f"/{key}"] = value
    stream["/Resources"] = pikepdf.Dictionary(resources)
    return stream


@pytest.mark.parametrize(("paint", "expected"), [("0.3 g", False), ("0 0 0.5 rg", True)])
def test_pages_wrapped_in_forms_as_pdftopdf_does(tmp_path: Path, paint: str, expected: bool) -> None:
    with pikepdf.new() as pdf:
        content, resources = f"{paint} {text_lines(30, 2)}", {"/Font": pikepdf.Dictionary(F1=helvetica())}
        inner: pikepdf.Object = form(pdf, content, resources)
        for _ in range(9):  # deeper than is looked into
            inner = form(pdf, "/X1 Do", {"/XObject": pikepdf.Dictionary(X1=inner)})
        path = save(tmp_path, pdf, "q /X1 Do Q", {"/XObject": pikepdf.Dictionary(X1=inner)})
    assert has_color(path) is expected


def test_colour_that_grey_covers_is_no_colour(tmp_path: Path) -> None:
    with pikepdf.new() as pdf:
        scan = image(pdf, b"\x99" * 4096, pikepdf.Name.DeviceGray)
        content = "1 0 0 rg 100 100 100 100 re f q 300 0 0 300 50 50 cm /I Do Q"
        path = save(tmp_path, pdf, content, {"/XObject": pikepdf.Dictionary(I=scan)})
    assert not has_color(path)


def test_a_coloured_annotation_prints_when_it_may(tmp_path: Path) -> None:
    for flags, expected in ((4, True), (0, False)):  # 4: Print
        with pikepdf.new() as pdf:
            look = form(pdf, "1 0.8 0 rg 0 0 600 850 re f", {})
            note = pikepdf.Dictionary(
                Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Stamp, Rect=[60, 60, 200, 120], F=flags,
                AP=pikepdf.Dictionary(N=look),
            )  # fmt: skip
            path = save(tmp_path, pdf, "", {}, Annots=pikepdf.Array([pdf.make_indirect(note)]))
        assert has_color(path) is expected


@pytest.mark.parametrize("count", [MAX_TEXT_LIST - 1, MAX_TEXT_LIST + 1, MAX_OBJECTS + 1])
def test_the_last_of_many_objects_counts(tmp_path: Path, count: int) -> None:
    words = "\n".join(f"BT /F1 8 Tf {40 + n % 20 * 25} {800 - n // 20 * 15} Td (word) Tj ET" for n in range(count))
    assert has_color(write_pdf(tmp_path / "a.pdf", [Page(content=f"{words}\n1 0 0 rg 300 20 20 20 re f")]))
    assert not has_color(write_pdf(tmp_path / "b.pdf", [Page(content=words)]))


def test_pixels() -> None:
    pixels = np.full((20, 20), 0xFFFFFFFF, dtype=np.uint32)
    assert is_blank(pixels)
    assert not is_color(pixels)
    pixels[3, 4] = 0xFFFFFFF6
    assert not is_blank(pixels)
    assert is_color(pixels)
    assert not is_color(pixels, least=2)
    pixels[3, 4] = 0xFFFFFFF7
    assert not is_color(pixels)  # 8 apart is what black from CMYK may come to
