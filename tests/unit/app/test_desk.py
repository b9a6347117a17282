"""Releases and cancels in words, and what may be asked for."""

from app.core.desk import able, answered, deed, job_facts, listed, sentence, why_not
from app.core.reducer import Rights
from backend.wire.messages import JobActionAnswer
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


def test_only_an_answer_makes_it_done() -> None:
    asked = deed("cancel", HELD, "id-1", "wrong")
    assert sentence([asked]) == ("waiting", "Canceling “Essay” of mira …")
    done = answered(asked, JobActionAnswer(state="canceled"))
    assert sentence([done]) == ("ok", "Canceled: “Essay” of mira.")
    stopping = answered(deed("cancel", PRINTING, "id-2"), JobActionAnswer(state="authorised"))
    assert sentence([stopping])[1].startswith("Its print server is told to stop “Poster” of mira")
    refused = answered(asked, JobActionAnswer(code="job-not-held", message="This job is not held.", state="completed"))
    assert sentence([refused]) == ("error", "Not canceled: “Essay” of mira. This job is not held; it is completed.")
    tone, text = sentence([done, refused, asked])
    assert (tone, text) == ("error", "1 canceled. 1 refused: This job is not held; it is completed. 1 being asked for.")


def test_a_job_in_one_line_and_many_in_few() -> None:
    assert job_facts(HELD, LEDGER) == "“Essay” of mira: 12 pages on library, 0.60 EUR"
    assert job_facts(PRINTING, LEDGER).endswith("0.30 EUR")
    assert len(listed([HELD] * 9, LEDGER)) == 5
    assert listed([HELD] * 9, LEDGER)[-1] == "and 5 more"
