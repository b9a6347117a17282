"""Our reading of CUPS held to CUPS itself: libcups parses the same options, pdftopdf makes the documents."""

import ctypes
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.analysis.options import parse_options
from provider.analysis.pdf import PdfFindings, examine_pdf
from provider.analysis.ticket import AnalysisRequest
from tests.support.documents import GREY, RED, write_pdf

PDFTOPDF = "/usr/lib/cups/filter/pdftopdf"


class CupsOption(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_char_p))


@pytest.fixture(scope="module")
def libcups() -> ctypes.CDLL:
    library = ctypes.CDLL("libcups.so.2")
    library.cupsParseOptions.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(CupsOption))]
    return library


def parsed_by_cups(libcups: ctypes.CDLL, text: str) -> dict[str, str]:
    options = ctypes.POINTER(CupsOption)()
    count = libcups.cupsParseOptions(text.encode(), 0, ctypes.byref(options))
    found = {options[index].name.decode(): options[index].value.decode() for index in range(count)}
    libcups.cupsFreeOptions(count, options)
    return found


@settings(max_examples=3000, deadline=None)
@given(st.text(st.sampled_from("aAbBnNoO=1é,.- \t\v\n'\"\\{}"), max_size=24))
def test_options_are_parsed_as_libcups_does(libcups: ctypes.CDLL, text: str) -> None:
    assert parse_options(text) == parsed_by_cups(libcups, text)


@pytest.mark.parametrize(
    "text",
    [
        "sides=two-sided-long-edge print-color-mode=color job-uuid=urn:uuid:0b2c Duplex=DuplexNoTumble ColorModel=RGB",
        r"job-name=Über\ \'uns\' media-col={media-size={x-dimension=21000 y-dimension=29700} media-type=\"a\ b\"}",
        "nocollate fit-to-page page-ranges=1-3,5 number-up=2 job-sheets=none,none",
    ],
)
def test_what_cupsd_passes(libcups: ctypes.CDLL, text: str) -> None:
    assert parse_options(text) == parsed_by_cups(libcups, text)


PPD = """*PPD-Adobe: "4.3"
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
*cupsFilter2: "application/vnd.cups-pdf application/pdf 0 -"
*cupsManualCopies: {manual_copies}
*cupsEvenDuplex: {even_duplex}
*OpenUI *Duplex/2-Sided: PickOne
*DefaultDuplex: None
*Duplex None/Off: "<</Duplex false>>setpagedevice"
*Duplex DuplexNoTumble/Long: "<</Duplex true/Tumble false>>setpagedevice"
*CloseUI: *Duplex
*OpenUI *Collate/Collate: PickOne
*DefaultCollate: True
*Collate True/On: "<</Collate true>>setpagedevice"
*Collate False/Off: "<</Collate false>>setpagedevice"
*CloseUI: *Collate
*OpenUI *PageSize/Media: PickOne
*DefaultPageSize: A4
*PageSize A4/A4: "<</PageSize[595 842]>>setpagedevice"
*CloseUI: *PageSize
*OpenUI *PageRegion: PickOne
*DefaultPageRegion: A4
*PageRegion A4/A4: "<</PageSize[595 842]>>setpagedevice"
*CloseUI: *PageRegion
*DefaultImageableArea: A4
*ImageableArea A4/A4: "0 0 595 842"
*DefaultPaperDimension: A4
*PaperDimension A4/A4: "595 842"
"""


TWO_SIDED = "sides=two-sided-long-edge Duplex=DuplexNoTumble Collate=True"


def delivered(
    folder: Path, request: AnalysisRequest, *, manual_copies: bool = False, even: bool = False
) -> PdfFindings:
    """What we find in what pdftopdf delivers of a five-page document, the third page in colour."""
    document = write_pdf(folder / "in.pdf", [GREY, GREY, RED, GREY, GREY])
    ppd = folder / "test.ppd"
    ppd.write_text(PPD.format(manual_copies=manual_copies, even_duplex=even))
    command = [PDFTOPDF, "1", "user", "title", str(request.copies), request.options, str(document)]
    environment = {"PPD": str(ppd), "PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    return examine_pdf(done.stdout, request, 60.0)


@pytest.mark.parametrize("scheme", ["ipp", "socket"])
@pytest.mark.parametrize(
    ("options", "copies", "even", "blank_backs"),
    [("", 3, False, 0), (TWO_SIDED, 1, True, 1), (TWO_SIDED, 1, False, 0), (TWO_SIDED, 3, True, 3)],
)
def test_copies_that_the_printer_makes(
    tmp_path: Path, scheme: str, options: str, copies: int, even: bool, blank_backs: int
) -> None:
    found = delivered(tmp_path, AnalysisRequest(copies=copies, options=options, inner_scheme=scheme), even=even)
    assert (found.facts.impressions, found.facts.blank_backs) == (5 * copies, blank_backs)
    assert (found.facts.color_impressions, found.facts.copies) == (copies, copies)
    assert found.facts.media == "iso_a4_210x297mm"
    assert not found.facts.estimated


@pytest.mark.parametrize(("options", "blank_backs"), [("", 0), (TWO_SIDED, 3)])
def test_copies_that_the_filter_makes(tmp_path: Path, options: str, blank_backs: int) -> None:
    request = AnalysisRequest(copies=3, options=options, inner_scheme="socket")
    found = delivered(tmp_path, request, manual_copies=True, even=True)
    assert (found.facts.impressions, found.facts.blank_backs) == (15, blank_backs)
    assert (found.facts.color_impressions, found.facts.copies) == (3, 1)


@pytest.mark.parametrize(
    ("options", "copies", "impressions", "color"), [("number-up=2", 1, 3, 1), ("page-ranges=2-3", 2, 4, 2)]
)
def test_what_the_filter_has_done_is_not_done_again(
    tmp_path: Path, options: str, copies: int, impressions: int, color: int
) -> None:
    found = delivered(tmp_path, AnalysisRequest(copies=copies, options=options, inner_scheme="ipp"))
    assert (found.facts.impressions, found.facts.color_impressions) == (impressions, color)
