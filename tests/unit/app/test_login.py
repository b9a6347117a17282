"""Logging in, in words: what went wrong, how long to wait, who is logged in and until when."""

import pytest

from app.core.login import about, ends_soon, ends_text, refusal, wait_text, who_text
from backend.client.errors import NoServer, ServerProblem
from backend.wire.access import Caller
from backend.wire.errors import problem
from tests.support.console_world import LEDGER

MARIA = Caller(
    role="helpdesk", name="maria", full_name="Maria Berg", person=True, expires_at=1_000_000, limit_each=200_000
)


@pytest.mark.parametrize(
    ("error", "words", "wait_s"),
    [
        (ServerProblem(problem("login-refused")), "name or the password is wrong", 0),
        (ServerProblem(problem("login-delayed"), 4.0), "Too many log-ins failed", 4),
        (ServerProblem(problem("login-delayed", "try again in 7 s")), "Too many log-ins failed", 7),
        (ServerProblem(problem("login-delayed")), "Too many log-ins failed", 1),
        (ServerProblem(problem("not-found")), "use an access token", 0),
        (NoServer({"http://a:9191": "did not answer in time"}), "No server answers: a:9191", 0),
        (ValueError("x"), "ValueError: x", 0),
    ],
)
def test_why_it_did_not_work(error: Exception, words: str, wait_s: int) -> None:
    found = refusal(error)
    assert words in found.text
    assert found.wait_s == wait_s


def test_the_wait_is_counted_down() -> None:
    found = refusal(ServerProblem(problem("login-delayed"), 4.0))
    assert wait_text(found, 3.2) == "Too many log-ins failed: wait 4 s."
    assert wait_text(found, -0.1) == "Too many log-ins failed. Now you may try again."


def test_who_is_logged_in_and_until_when() -> None:
    assert who_text(MARIA) == "Maria Berg · help desk"
    assert ends_text(MARIA, 1_000_000 - 8 * 60_000) == "the log-in ends in 8 min"
    assert ends_text(MARIA, 1_000_000 - 8 * 3_600_000) == "the log-in ends in 8 hours"
    assert ends_text(MARIA, 1_000_001) == "the log-in has ended"
    assert ends_text(Caller(role="admin", name="root"), 5) == ""
    assert ends_soon(MARIA, 1_000_000 - 9 * 60_000)
    assert not ends_soon(MARIA, 1_000_000 - 11 * 60_000)
    assert not ends_soon(None, 0)
    text = about(MARIA, LEDGER, 1_000_000 - 120_000)
    assert text == "maria, logged in\nMay move 20.00 EUR at once\nThe log-in ends in 2 min"
