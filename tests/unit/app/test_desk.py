"""Releases and cancels in words, and what may be asked for."""

from dataclasses import replace

from app.core.commands import Maker, act_on_job, adjust, job_ending, money_ending
from app.core.desk import able, foreign_text, job_facts, listed, sentence, why_not
from app.core.outbox import Item, Owner, Verb
from app.core.reducer import Rights
from backend.wire.jobs import JobActionAnswer, JobView
from backend.wire.money import MoneyAnswer
from tests.support.console_world import LEDGER, job

HELD = job(1, state="held", title="Essay", charged=0, cost=6000)
PRINTING = job(2, state="printing", title="Poster", reserved=3000, charged=0)
OVER = job(3)


def test_what_may_be_asked_for_of_which_job() -> None:
    desk = Rights(False, "no admin")
    assert why_not("release", [HELD], desk) == ""
    assert why_not("release", [PRINTING, OVER], desk) == "no chosen job is held"
    assert why_not("cancel", [PRINTING, OVER], desk) == ""
    assert why_not("cancel", [OVER], desk) == "the chosen jobs are over"
    assert why_not("cancel", [], desk) == "choose a job first"
    assert "not known yet" in why_not("cancel", [HELD], None)
    assert why_not("release", [HELD], Rights(True, desk="it takes the role helpdesk")) == "it takes the role helpdesk"
    assert able("release", [HELD, PRINTING, OVER]) == [HELD]
    assert able("cancel", [HELD, PRINTING, OVER]) == [HELD, PRINTING]


def item(verb: Verb, job_: JobView = HELD, **more: object) -> Item:
    by = Maker("0190", Owner("campus", "maria"), 5)
    return replace(Item(act_on_job(by, verb, job_, "wrong")), **more)  # type: ignore[arg-type]


def test_only_an_answer_makes_it_done() -> None:
    asked = item("cancel")
    assert sentence([asked]) == ("waiting", "Canceling “Essay” of mira …")
    done = replace(asked, phase="done", ending=job_ending(JobActionAnswer(state="canceled")))
    assert sentence([done]) == ("ok", "Canceled: “Essay” of mira.")
    ending = job_ending(JobActionAnswer(state="authorised"))
    stopping = item("cancel", PRINTING, phase="done", ending=ending)
    assert sentence([stopping])[1].startswith("Its print server is told to stop “Poster” of mira")
    ending = job_ending(JobActionAnswer(code="job-not-held", message="This job is not held.", state="completed"))
    refused = replace(asked, phase="refused", ending=ending, text=ending.text)
    assert sentence([refused]) == ("error", "Not canceled: “Essay” of mira. This job is not held; it is completed.")
    tone, text = sentence([done, refused, asked])
    assert (tone, text) == ("error", "1 canceled. 1 refused: This job is not held; it is completed. 1 being asked for.")
    lost = replace(asked, phase="unknown", text="a:9191: did not answer in time")
    tone, text = sentence([done, refused, lost])
    assert (tone, "1 unknown" in text) == ("warning", True)
    wanted = "Unknown whether “Essay” of mira was canceled; it is asked again under the same id: a:9191: did not answer"
    assert sentence([lost])[1].startswith(wanted)


def test_money_is_told_with_its_sign_and_the_new_balance() -> None:
    by = Maker("0190", Owner("campus", "maria"), 5)
    ending = money_ending(MoneyAnswer(amount=25_000, balance=30_000, available=30_000))
    done = Item(adjust(by, "mira", 25_000, "jam"), phase="done", ending=ending)
    assert sentence([done], LEDGER) == ("ok", "Adjusted: +2.50 EUR for mira. The balance is 3.00 EUR now.")
    ending = money_ending(MoneyAnswer(code="daily-limit-reached"))
    refused = Item(adjust(by, "mira", -25_000, "jam"), phase="refused", ending=ending, text=ending.text)
    wanted = "Not adjusted: −2.50 EUR for mira. That would be more than you may move in a day."
    assert sentence([refused], LEDGER) == ("error", wanted)


def test_what_waits_for_somebody_else_is_told_without_what_it_is() -> None:
    assert foreign_text([]) == ""
    assert foreign_text([item("cancel")]) == "1 command waits on this computer until maria logs in"


def test_a_job_in_one_line_and_many_in_few() -> None:
    assert job_facts(HELD, LEDGER) == "“Essay” of mira: 12 pages on library, 0.60 EUR"
    assert job_facts(PRINTING, LEDGER).endswith("0.30 EUR")
    assert len(listed([HELD] * 9, LEDGER)) == 5
    assert listed([HELD] * 9, LEDGER)[-1] == "and 5 more"
