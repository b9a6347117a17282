"""The string of processJob: quoting, defaults, and a price that is exact however it divides."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.compat.faults import Fault
from backend.compat.job_details import JobDetails, read_job
from backend.wire.pricing import price

WHERE = "user=CAMPUS\\Bob,server=print-1,printer=Zebra"


def read(more: str = "") -> JobDetails:
    return read_job(WHERE + more, 4, 1000)


def test_the_three_that_must_be_there() -> None:
    job = read()
    assert (job.user, job.server, job.printer, job.cost, job.key, job.printed_at_s) == (
        "bob",
        "print-1",
        "Zebra",
        None,
        "",
        1000,
    )
    assert (job.facts.impressions, job.facts.sheets, job.facts.color_impressions, job.facts.copies) == (1, 1, 0, 1)


def test_quotes() -> None:
    job = read_job('user=bob,server=papercut,"printer=Library, rear","document-name=a ""b"", c"', 4, 0)
    assert (job.printer, job.title) == ("Library, rear", 'a "b", c')


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        (",total-pages=6,copies=2,duplex=TRUE", (6, 4, 0, 2)),
        (",total-pages=7,copies=2,duplex=y", (7, 4, 0, 2)),
        (",total-pages=6,grayscale=FALSE", (6, 6, 6, 1)),
        (",total-pages=6,grayscale=TRUE,total-color-pages=2", (6, 6, 0, 1)),
        (",total-pages=6,total-color-pages=2", (6, 6, 2, 1)),
        (",total-pages=2,total-color-pages=9", (2, 2, 2, 1)),
        (",total-pages=0", (0, 0, 0, 1)),
        (",copies=0,total-pages=", (1, 1, 0, 1)),
    ],
)
def test_counts(more: str, facts: tuple[int, int, int, int]) -> None:
    found = read(more).facts
    assert (found.impressions, found.sheets, found.color_impressions, found.copies) == facts


def test_all_else() -> None:
    more = (
        ",time=19700101T000010,cost=0.05,client-machine=pc-1,client-ip=10.0.0.1,document-size-kb=2,paper-size-name=A4,"
        "uuid=x y,job-type=PRINT,invoice=1,comment=c"
    )
    job = read(more)
    assert (job.printed_at_s, job.cost, job.host, job.facts.document_bytes, job.facts.media, job.key) == (
        10, 500, "pc-1", 2048, "a4", "x y",
    )  # fmt: skip
    assert read(",paper-width-mm=210,paper-height-mm=297").facts.media == "custom_job_210x297mm"


@pytest.mark.parametrize(
    "more",
    [
        ",cost=-1",
        ",cost=ten",
        ",cost=1e99",
        ",cost=1,total-pages=0",
        ",time=2024-02-29",
        ",total-pages=-1",
        ",total-pages=1.5",
        ",total-pages=99999999",
        ",duplex=maybe",
        ",nothing",
        ",user=again",
        ",colour=red",
        ',"open',
        ",shared-account=lab",
        "\n,copies=1",
    ],
)
def test_what_is_refused(more: str) -> None:
    with pytest.raises(Fault):
        read(more)


@given(st.integers(0, 10**9), st.integers(1, 500), st.integers(0, 500), st.booleans())
def test_a_cost_is_charged_to_the_last_unit(cost: int, pages: int, color: int, duplex: bool) -> None:
    text = f"{WHERE},total-pages={pages},total-color-pages={color},duplex={duplex},cost={cost / 10_000:.4f}"
    report = read_job(text, 4, 0).report("command", "job")
    assert report.offline_rule is not None
    assert price(report.offline_rule, report.printed) == cost
    assert report.printed.impressions == pages


@given(st.text(max_size=200))
def test_nothing_but_a_fault_comes_of_any_text(text: str) -> None:
    with contextlib.suppress(Fault):
        read_job(text, 4, 0)
