"""Why a job was denied, held or charged so, in words for the person at the desk; what a ticket is told."""

from app.core.person import (
    Past,
    available_at,
    is_number,
    match_hint,
    media_text,
    overdraft_text,
    printed_text,
    remark,
    summary,
    why_lines,
)
from backend.jobs.model import Mark, mark_names
from backend.wire.jobs import JobView
from backend.wire.money import TransferView
from tests.support.console_world import LEDGER, job, user

MIRA = user("mira", "Mira Novak-Özdemir", email="m.novak@example.org", alias="mn7", card_number2="99 88")


def transfer(sequence: int, kind: str, amount: int, balance: int, **more: object) -> TransferView:
    values = {"code": "print-job", "at": sequence * 10, **more}
    return TransferView(sequence=sequence, kind=kind, amount=amount, balance=balance, **values)  # type: ignore[arg-type]


PAST = Past(
    (
        transfer(5, "pending", -900, 1200, job_id="j2"),
        transfer(4, "posted", -800, 1200, job_id="j1", earlier=3),
        transfer(3, "pending", -800, 2000, job_id="j1"),
        transfer(2, "posted", 2000, 2000, code="adjustment", comment="Start of term", actor="helpdesk:maria"),
    )
)


def texts(view: JobView, past: Past = PAST) -> list[str]:
    return [text for _, text in why_lines(view, LEDGER, past, MIRA)]


def test_what_was_available_at_a_moment() -> None:
    assert available_at(PAST, 25) == 2000
    assert available_at(PAST, 35) == 1200  # of 2000, 800 reserved
    assert available_at(PAST, 45) == 1200
    assert available_at(PAST, 99) == 300
    assert available_at(PAST, 5) is None
    assert available_at(Past((), whole=True), 5) == 0


def test_why_it_was_denied_says_what_it_would_have_cost_and_what_was_left() -> None:
    denied = job(1, state="denied", code="account-limit-reached", cost=4000, charged=0, updated_at=45)
    assert texts(denied)[0] == "Denied: it would have cost 0.40 EUR, 0.12 EUR was left"
    assert texts(denied, Past())[0] == "Denied: it would have cost 0.40 EUR"
    assert texts(denied, Past((), whole=True))[0] == "Denied: it would have cost 0.40 EUR, nothing was left"
    off = job(1, state="denied", code="printer-disabled", charged=0)
    assert texts(off) == ["Denied: printing on this queue is switched off", "Nothing was charged"]
    assert remark(denied, LEDGER, PAST, MIRA) == "it would have cost 0.40 EUR, 0.12 EUR was left"


def test_why_it_waits_and_why_it_was_charged_so() -> None:
    held = job(1, state="held", code="held-for-release", cost=4000, charged=0)
    assert texts(held) == ["Held: waits to be released; it would cost 0.40 EUR"]
    offline = job(1, charged=6000, refunded=2000, printed=12, marks=("offline", "estimated"))
    assert texts(offline) == [
        "Charged 0.60 EUR for 12 pages, 6 sheets",
        "0.20 EUR were given back; 0.40 EUR stay charged",
        "Printed while no server answered, charged afterwards",
        "The number of pages is estimated: it comes from a rule, not from the document",
    ]
    assert texts(job(1, refunded=6000))[1] == "0.60 EUR were given back, all of it"
    assert remark(job(1), LEDGER, PAST, MIRA) == ""


def test_every_mark_has_words() -> None:
    for mark in mark_names(int(sum(Mark))):
        assert texts(job(1, charged=0, marks=(mark,)))[-1][:1].isupper(), mark


def test_what_came_out() -> None:
    view = job(1, impressions=20, printed=12, sheets=6, color_impressions=3, copies=2, sides="two-sided-long-edge",
               media="iso_a4_210x297mm")  # fmt: skip
    assert printed_text(view) == "12 pages of 20, 3 in colour, 6 sheets, 2 copies, two-sided, A4"
    assert [media_text(name) for name in ("na_letter_8.5x11in", "A4", "iso_a3_297x420mm")] == ["letter", "A4", "A3"]


def test_why_somebody_was_found() -> None:
    assert match_hint(MIRA, "mir") == ""
    assert match_hint(MIRA, "özd mira") == ""
    assert match_hint(MIRA, "0471") == "card 0471 2290"
    assert match_hint(MIRA, "99") == "card 99 88"
    assert match_hint(MIRA, "m.nov") == "e-mail m.novak@example.org"
    assert match_hint(MIRA, "mn7") == "alias mn7"
    assert match_hint(MIRA, "zz") == ""


def test_a_whole_number_is_somebody() -> None:
    assert all(is_number(MIRA, text) for text in ("04712290", "0471 2290", "9988", "MN7", "mira"))
    assert not any(is_number(MIRA, text) for text in ("0471", "mir", "", "Novak"))


def test_the_overdraft_says_whose_it_is() -> None:
    assert overdraft_text(user("x", overdraft=50_000, overdraft_mode="individual"), LEDGER) == "5.00 EUR (individual)"
    assert overdraft_text(user("x", overdraft=50_000, overdraft_mode="default"), LEDGER) == "5.00 EUR"


def test_a_summary_for_a_ticket() -> None:
    denied = job(1, state="denied", code="account-limit-reached", cost=4000, charged=0, updated_at=45, created_at=45)
    when = {45: "27 Nov 10:00", 20: "27 Nov 09:00", 40: "27 Nov 09:30"}
    text = summary(MIRA, [denied], PAST, LEDGER, read_from="app-01:9191", when=when, now="27 Nov 2026 10:05")
    assert text == (
        "Mira Novak-Özdemir (mira)\n"
        "Physics, m.novak@example.org\n"
        "Balance 18.45 EUR, available 11.05 EUR, reserved 7.40 EUR, overdraft 0.00 EUR\n"
        "Restricted to credit\n"
        "As of 27 Nov 2026 10:05, from app-01:9191\n"
        "\n"
        "Jobs:\n"
        "- 27 Nov 10:00  library  “Thesis, chapter 1”  Denied: it would have cost 0.40 EUR, 0.12 EUR was left;"
        " Nothing was charged\n"
        "\n"
        "Transfers:\n"
        "- 27 Nov 09:30  Print job  −0.08 EUR  → 0.12 EUR\n"
        "- 27 Nov 09:00  Adjustment  +0.20 EUR  → 0.20 EUR  Start of term (helpdesk:maria)\n"
    )
