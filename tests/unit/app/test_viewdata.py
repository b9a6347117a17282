"""Words, ages, amounts and the one-sentence verdict."""

from dataclasses import replace

import pytest

from app.core import viewdata
from app.core.freshness import age_text, ago_text, is_stale, shown_health
from app.core.reducer import Connection, State
from backend.jobs.model import mark_names
from backend.wire.base import Ledger
from backend.wire.cluster import Health
from tests.support.console_world import LEDGER, NOW_MS, job, mixed_jobs, people, small_topology, transfers, user

LIVE = Connection(phase="live", endpoint="http://app-01:9191", servers=("http://app-01:9191",))
STATE = State(connection=LIVE, topology=small_topology(), topology_at=100.0, jobs_at=100.0, ledger=LEDGER)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "never"), (0, "now"), (2.9, "now"), (3, "3 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"),
     (3600, "1 h"), (47 * 3600, "47 h"), (48 * 3600, "2 d")],
)  # fmt: skip
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def test_ages_in_sentences() -> None:
    assert [ago_text(s) for s in (0, 12, -1)] == ["just now", "12 s ago", "never"]


@pytest.mark.parametrize("health", ["ok", "warning", "error", "draining", "unknown"])
def test_nothing_stale_is_healthy(health: Health) -> None:
    assert shown_health(health, 0.5, 5.1) == "unknown"
    assert shown_health(health, 11.0, 1.0) in ("unknown", "error")
    assert shown_health(health, 1.0, 1.0) == health
    assert is_stale(10.1)
    assert not is_stale(9.9)


def test_amounts_have_a_real_minus_and_a_dash_while_the_scale_is_unknown() -> None:
    assert viewdata.money(-12_500, LEDGER) == "−1.25 EUR"
    assert viewdata.money(150, LEDGER) == "0.015 EUR"
    assert viewdata.money(100, Ledger(currency="", decimals=0)) == "100"
    assert viewdata.money(1, None) == "–"


def test_the_verdict_is_the_clusters_while_it_is_fresh() -> None:
    verdict = viewdata.verdict(STATE, 101.0)
    assert (verdict.health, verdict.text) == ("ok", STATE.topology.verdict if STATE.topology else "")
    assert verdict.source == "as seen by app-01, just now"


def test_a_picture_that_grew_old_is_never_green() -> None:
    verdict = viewdata.verdict(STATE, 112.0)
    assert (verdict.health, verdict.text) == ("unknown", "This picture is 12 s old.")


def test_when_no_server_answers_the_verdict_says_so_and_how_old_the_picture_is() -> None:
    reason = "http://a:9191: cannot be reached (connection refused); http://b:9191: did not answer in time"
    lost = replace(STATE, connection=replace(LIVE, phase="reconnecting", reason=reason, retry_at=142.0))
    verdict = viewdata.verdict(lost, 138.0)
    assert verdict.health == "error"
    assert verdict.text == "No server answers. Shown is what was known 38 s ago."
    assert verdict.detail == "a:9191: cannot be reached; b:9191: did not answer in time"
    assert viewdata.indicator(lost, 138.2).word == "Reconnecting in 4 s"


@pytest.mark.parametrize(
    ("connection", "word", "health"),
    [
        (Connection(), "No cluster", "unknown"),
        (Connection(phase="connecting", servers=("http://a:1", "http://b:1")), "Connecting", "unknown"),
        (Connection(phase="reconnecting", endpoint="http://a:1"), "Reconnecting", "error"),
        (Connection(phase="failed", reason="No"), "Not connected", "error"),
        (LIVE, "Live", "unknown"),
    ],
)
def test_each_phase_has_its_word(connection: Connection, word: str, health: Health) -> None:
    state = State(connection=connection)
    assert viewdata.indicator(state, 0.0).word == word
    assert viewdata.verdict(state, 0.0).health == health


def test_a_role_that_may_not_see_the_cluster_is_told_so() -> None:
    verdict = viewdata.verdict(replace(STATE, forbidden=frozenset({"topology"})), 100.0)
    assert "may not see" in verdict.text


def test_the_databases_clock_goes_on_by_the_consoles_own() -> None:
    assert viewdata.database_now_ms(STATE, 103.5, 0) == NOW_MS + 3500
    assert viewdata.database_now_ms(State(), 103.5, 77) == 77


def test_jobs_say_what_they_cost_or_what_is_reserved() -> None:
    texts = [viewdata.job_cost_text(found, LEDGER) for found in mixed_jobs()]
    assert texts == ["0.60 EUR", "3.00 EUR", "–", "0.60 EUR", "0.00 EUR", "0.00 EUR", "7.40 EUR res.", "0.10 EUR res."]


def test_a_denied_job_says_why() -> None:
    denied = job(1, state="denied", code="account-limit-reached")
    assert viewdata.job_remark(denied) == "The account does not cover this job"
    assert viewdata.job_remark(job(1, state="denied", code="new-code")) == "new-code"


def test_every_mark_that_the_ledger_sets_has_words() -> None:
    names = mark_names(2**16 - 1)
    assert len(names) >= 6
    assert set(names) <= set(viewdata.MARK_WORDS)
    assert viewdata.mark_words(job(1, marks=("brand_new",))) == ("brand new",)


def test_standing() -> None:
    assert viewdata.standing(user("a", restricted=True, available=1)) == (("Restricted to credit", "plain"),)
    empty = user("a", restricted=True, available=-500, overdraft=500)
    assert viewdata.standing(empty)[-1] == ("No credit left", "error")
    assert viewdata.standing(user("a", disabled=True, restricted=False))[0] == ("Printing switched off", "error")


def test_small_texts() -> None:
    mira = people()[0]
    assert viewdata.person_subtitle(mira) == "mira  ·  Physics  ·  mira@example.org  ·  card 0471 2290"
    assert viewdata.transfer_word(transfers()[1]) == "Print job"
    assert viewdata.transfer_word(transfers()[0]) == "Print job, reserved"
    assert viewdata.transfer_word(transfers()[0], settled=True) == "Print job, was reserved"
    assert viewdata.actor_text("provider:print-01") == "by print-01"
    assert viewdata.found_text(50, 204) == "50 of 204 people — type more to narrow it down"
    assert viewdata.found_text(50, 1000).startswith("50 of 1,000 or more people")
    assert viewdata.found_text(1, 1) == "1 person"
    assert viewdata.host_text("https://a.example:9192/") == "a.example:9192"
    assert viewdata.cluster_text("01890000-0000-7000-8000-000000000001") == "cluster 01890000"
    assert viewdata.cluster_text("campus") == "campus"


def test_long_amounts_stand_in_groups() -> None:
    assert viewdata.money(12_345_678_901, LEDGER) == "1\u202f234\u202f567.8901 EUR"
    assert (viewdata.money(-123_456_700, LEDGER), viewdata.money(99_990_000, LEDGER)) == (
        "−12\u202f345.67 EUR",
        "9999.00 EUR",
    )
