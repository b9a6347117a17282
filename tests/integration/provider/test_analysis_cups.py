"""Our reading of CUPS held to CUPS itself: libcups parses the same options, pdftopdf makes the documents, and a real
cupsd hands its backend documents of every format through queues of every kind.
"""

import ctypes
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.wire.jobs import JobFacts
from provider.analysis.document import analyse_document
from provider.analysis.options import parse_options
from provider.analysis.pdf import PdfFindings, examine_pdf
from provider.analysis.ticket import AnalysisRequest
from provider.cups.identity import analysis_request
from provider.local.protocol import Question
from tests.support.cupsd import PrivateCupsd
from tests.support.documents import GREY, RED, converted, write_pdf
from tests.support.folders import scratch_folder
from tests.support.printer import IppPrinter
from tests.support.processes import run

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


@pytest.mark.parametrize(
    ("scheme", "options", "blank_backs"), [("ipp", TWO_SIDED, 3), ("socket", "", 0), ("socket", TWO_SIDED, 3)]
)
def test_copies_that_the_filter_makes(tmp_path: Path, scheme: str, options: str, blank_backs: int) -> None:
    request = AnalysisRequest(copies=3, options=options, inner_scheme=scheme)
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


KEEPER = """#!/usr/bin/python3 -IS
import json, os, sys
base = os.path.join(os.environ["CUPS_REQUESTROOT"], "..", "kept", sys.argv[1])
with open(sys.argv[6], "rb") if len(sys.argv) > 6 else sys.stdin.buffer as source, open(base, "wb") as out:
    while chunk := source.read(1 << 20):
        out.write(chunk)
with open(base + ".json", "w") as out:
    json.dump({"arguments": sys.argv, "environ": dict(os.environ)}, out)
"""
POSTSCRIPT_PPD = PPD.replace(
    "application/vnd.cups-pdf application/pdf", "application/vnd.cups-postscript application/postscript"
)
IPP_FORMATS = {
    "pdf": ("application/pdf", "image/jpeg"),
    "urf": ("image/urf", "image/jpeg"),
    "pwg": ("image/pwg-raster", "image/jpeg"),
}


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a cupsd handed to the backend, and what we make of it."""

    content_type: str
    by_name: bool
    facts: JobFacts

    @property
    def counted(self) -> tuple[int, int, int, int]:
        return self.facts.impressions, self.facts.sheets, self.facts.color_impressions, self.facts.blank_backs


class Office:
    """A cupsd whose queues all end in a backend that keeps what it gets; `documents` are all of the same three pages,
    grey, red, grey, where they have pages.
    """

    def __init__(self, folder: Path) -> None:
        self.cupsd = PrivateCupsd(folder / "c")
        self._kept = folder / "c" / "kept"
        self._kept.mkdir()
        self._kept.chmod(0o777)
        (folder / "keeper").write_text(KEEPER)
        self.cupsd.install_backend(folder / "keeper", "keep")
        self._folder = folder
        self._documents()

    def set_up(self) -> None:
        for name, formats in IPP_FORMATS.items():
            with IppPrinter(self._folder / name, name, formats=formats) as printer:
                self.cupsd.add_queue(name, printer.uri)
                self.cupsd.set_device_uri(name, f"keep:/{printer.uri}")
        for manual, name in ((False, "ps"), (True, "manual")):
            ppd = self._folder / f"{name}.ppd"
            ppd.write_text(POSTSCRIPT_PPD.format(manual_copies=manual, even_duplex=True))
            for scheme in ("socket", "ipp"):
                device = f"keep:/{scheme}://127.0.0.1"
                run(["lpadmin", "-p", f"{name}-{scheme}", "-E", "-v", device, "-P", ppd], env=self.cupsd.env)
        for scheme in ("socket", "ipp"):
            self.cupsd.add_raw_queue(f"raw-{scheme}", f"keep:/{scheme}://127.0.0.1")

    def _documents(self) -> None:
        source = write_pdf(self._folder / "a.pdf", [GREY, RED, GREY])
        for name, device in (("a.ps", "ps2write"), ("a.pcl", "ljet4"), ("a.pxl", "pxlmono"), ("red.pcl", "cdj970")):
            (self._folder / name).write_bytes(converted(source, device, dpi=300))
        (self._folder / "a.txt").write_text("a line\n" * 130)
        Image.new("RGB", (90, 90), (255, 0, 0)).save(self._folder / "a.jpg")

    def deliver(self, queue: str, document: str, copies: int, *options: str) -> Delivery:
        job = self.cupsd.lp(queue, self._folder / document, copies=copies, options=options)
        self.cupsd.wait_for_state(job)
        told = json.loads((self._kept / f"{job}.json").read_text())
        arguments, environ = told["arguments"], told["environ"]
        kept = (self._kept / str(job)).read_bytes()
        content_type = environ.get("FINAL_CONTENT_TYPE") or environ["CONTENT_TYPE"]
        question = Question(
            cups_job_id=job, user="", title="", copies=int(arguments[4]), options=arguments[5], queue=queue,
            device_uri=environ["DEVICE_URI"].partition(":/")[2], content_type=content_type, document_bytes=len(kept),
            request_root="", incarnation="", named_file=len(arguments) > 6, ppd=environ.get("PPD", ""),
        )  # fmt: skip
        facts = analyse_document(kept, analysis_request(question), 60.0)
        return Delivery(content_type=content_type, by_name=question.named_file, facts=facts)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with scratch_folder() as folder:
        made = Office(folder)
        with made.cupsd:
            made.set_up()
            yield made


TWO = "sides=two-sided-long-edge"
A6 = "media=A6"  # of the 600 dpi that such a queue has, a quarter of the time


@pytest.mark.parametrize(
    ("queue", "document", "copies", "options", "content_type", "counted"),
    [
        ("pdf", "a.ps", 2, (), "application/pdf", (6, 6, 2, 0)),
        ("pdf", "a.ps", 3, (TWO,), "application/pdf", (9, 6, 3, 3)),
        ("pdf", "a.txt", 2, (), "application/pdf", (6, 6, 0, 0)),
        ("urf", "a.pdf", 3, (TWO, A6), "image/urf", (9, 6, 3, 3)),
        ("urf", "a.pdf", 2, ("print-color-mode=monochrome", A6), "image/urf", (6, 6, 0, 0)),
        ("pwg", "a.pdf", 3, (TWO, A6), "image/pwg-raster", (9, 6, 3, 3)),
        ("pwg", "a.ps", 2, (TWO, A6, "page-delivery=same-order"), "image/pwg-raster", (6, 4, 2, 2)),
        ("ps-socket", "a.pdf", 3, (), "application/postscript", (9, 9, 3, 0)),
        ("ps-socket", "a.pdf", 3, (TWO,), "application/postscript", (9, 6, 3, 3)),
        ("ps-ipp", "a.ps", 3, (), "application/postscript", (9, 9, 3, 0)),
        ("manual-ipp", "a.pdf", 3, (TWO,), "application/postscript", (9, 6, 3, 3)),
    ],
)
def test_what_the_filters_made(
    office: Office,
    queue: str,
    document: str,
    copies: int,
    options: tuple[str, ...],
    content_type: str,
    counted: tuple[int, int, int, int],
) -> None:
    delivery = office.deliver(queue, document, copies, *options)
    assert (delivery.content_type, delivery.by_name) == (content_type, False)
    assert delivery.counted == counted
    assert A6 not in options or delivery.facts.media == "iso_a6_105x148mm"
    assert delivery.facts.sides == (TWO.partition("=")[2] if TWO in options else "one-sided")
    assert not delivery.facts.estimated


@pytest.mark.parametrize(
    ("queue", "document", "kind", "counted"),
    [
        ("pdf", "a.jpg", "image/jpeg", (3, 3, 3, 0)),
        ("raw-socket", "a.jpg", "image/jpeg", (3, 3, 3, 0)),
        ("raw-socket", "a.pcl", "application/vnd.hp-pcl", (9, 9, 0, 0)),
        ("raw-socket", "red.pcl", "application/vnd.hp-pcl", (9, 9, 3, 0)),
        ("raw-ipp", "red.pcl", "application/vnd.hp-pcl", (9, 9, 0, 0)),
        ("raw-socket", "a.pxl", "application/vnd.hp-pclxl", (9, 9, 0, 0)),
        ("raw-socket", "a.ps", "application/postscript", (9, 9, 3, 0)),
    ],
)
def test_what_no_filter_saw(
    office: Office, queue: str, document: str, kind: str, counted: tuple[int, int, int, int]
) -> None:
    """cupsd asks for monochrome on every raw queue. A printer behind IPP is told so, one behind a socket is not."""
    delivery = office.deliver(queue, document, 3)
    assert delivery.by_name
    assert delivery.facts.document_format == kind
    assert (delivery.counted, delivery.facts.copies) == (counted, 3)
    assert not delivery.facts.estimated
