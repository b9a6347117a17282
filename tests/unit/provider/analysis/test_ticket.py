"""Options and PPD keywords, in IPP's words."""

import pytest

from provider.analysis.ticket import AnalysisRequest, Ticket, clean_request, delivered_copies, sheets_of, ticket_of

LONG, SHORT, ONE = "two-sided-long-edge", "two-sided-short-edge", "one-sided"


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ("", ONE),
        ("sides=two-sided-long-edge", LONG),
        ("sides=TWO-SIDED-SHORT-EDGE", SHORT),
        ("Duplex=DuplexNoTumble", LONG),
        ("Duplex=DuplexTumble", SHORT),
        ("Duplex=None", ONE),
        ("sides=two-sided-long-edge Duplex=None", ONE),
        ("sides=one-sided JCLDuplex=DuplexTumble", SHORT),
        ("sides=both", ONE),
        ("sides=two-sided-short-edge Duplex=whatever", SHORT),
        ("EFDuplex=True", LONG),
    ],
)
def test_sides(options: str, sides: str) -> None:
    assert ticket_of(AnalysisRequest(options=options)).sides == sides


@pytest.mark.parametrize(
    ("options", "color"),
    [
        ("", True),
        ("print-color-mode=monochrome", False),
        ("print-color-mode=auto-monochrome", False),
        ("print-color-mode=bi-level", False),
        ("print-color-mode=color ColorModel=Gray", True),
        ("print-color-mode=auto ColorModel=Gray", False),
        ("ColorModel=Gray", False),
        ("ColorModel=RGB", True),
        ("ColorModel=KGray", False),
    ],
)
def test_color(options: str, color: bool) -> None:
    assert ticket_of(AnalysisRequest(options=options)).color is color


def test_the_queues_defaults_count_where_the_options_are_silent() -> None:
    defaults = {"Duplex": "DuplexNoTumble", "ColorModel": "Gray", "PageSize": "A4"}
    assert ticket_of(AnalysisRequest(defaults=defaults)) == Ticket(sides=LONG, color=False, media="iso_a4_210x297mm")
    mine = "sides=one-sided print-color-mode=color media=Letter"
    assert ticket_of(AnalysisRequest(options=mine, defaults=defaults)) == Ticket(media="na_letter_8.5x11in")


@pytest.mark.parametrize(
    ("changes", "document_format", "noted", "copies"),
    [
        ({}, "application/pdf", None, 3),
        ({"inner_scheme": "ipp"}, "application/pdf", 1, 1),  # pdftopdf has made the copies: the printer is told one
        ({"inner_scheme": "ipp"}, "application/pdf", 3, 3),
        ({"inner_scheme": "socket"}, "application/pdf", 1, 1),
        ({"inner_scheme": "socket"}, "application/pdf", 3, 3),  # it has left them to the printer
        ({"inner_scheme": "socket"}, "application/pdf", None, 3),
        ({"inner_scheme": "ipp", "by_name": True}, "application/pdf", 1, 3),
        ({"inner_scheme": "socket", "by_name": True}, "application/pdf", 1, 3),  # a client's own claim
        ({}, "image/urf", None, 1),
        ({}, "image/pwg-raster", None, 1),
        ({}, "image/jpeg", None, 3),
        ({"copies": 0}, "application/pdf", None, 1),
        ({"copies": -7}, "application/pdf", None, 1),
        ({"copies": 10**9}, "application/pdf", None, 9999),
        ({"inner_scheme": "socket"}, "application/pdf", 0, 1),
    ],
)
def test_copies_as_cups_delivers_them(
    changes: dict[str, object], document_format: str, noted: int | None, copies: int
) -> None:
    request = AnalysisRequest(**{"copies": 3, **changes})  # type: ignore[arg-type]
    assert delivered_copies(request, document_format, noted) == copies


def test_sheets() -> None:
    assert [sheets_of(n, ONE) for n in (0, 1, 5)] == [0, 1, 5]
    assert [sheets_of(n, LONG) for n in (0, 1, 2, 5)] == [0, 1, 1, 3]


def test_a_request_can_always_be_sent() -> None:
    wild = AnalysisRequest(
        options="a=\udc80" + "x" * 10**6, document_format="\udcff" * 999, defaults={"\udc80": "\udc81"}
    )
    tame = clean_request(wild)
    assert tame.options.startswith("a=?x")
    assert len(tame.options) <= 200_000
    assert tame.document_format == "?" * 255
    assert tame.defaults == {"?": "?"}
