"""The history's words, order, filter and table."""

import csv
import io
from datetime import timedelta, timezone
from typing import get_args

import msgspec
import pytest

from app.core import history
from app.core.events import joined, newest_first
from app.core.history import about, as_csv, away_text, line, matches, moment_text, moment_tip, row
from app.core.reducer import HISTORY_WINDOW, Closed, Forbidden, HistoryChanged, HistoryRead, State, step
from app.models.history import ENOUGH_FOUND, MAX_EVENTS, HistoryModel
from backend.cluster.history import Kind
from backend.wire.cluster import ClusterEvent

AT = 1_790_000_000_123  # 2026-09-21 14:13:20.123 UTC


def event(number: int = 1, kind: str = "member-joined", subject: str = "app-2", **more: object) -> ClusterEvent:
    found = ClusterEvent(event_id=f"{number}.{number}", at=AT + number * 1000, kind=kind, subject=subject)
    return msgspec.structs.replace(found, **more)


EXPIRED = event(
    4,
    "leader-changed",
    "app-2",
    cause="lease expired",
    term=8,
    away_ms=2140,
    actor="system",
    detail={"before": "app-1"},
)
DRAIN = event(5, "member-draining", "app-3", actor="admin:grace", cause="wanted", term=8)
GONE = event(6, "member-gone", "app-1", cause="no sign of life", detail={"url": "http://a:9191", "silent_ms": 3100})
FAILOVER = event(
    7,
    "database-changed",
    "pg-b",
    cause="failover from pg-a to pg-b",
    away_ms=9400,
    detail={"timeline": 8, "before": "pg-a"},
)


def test_every_kind_of_the_servers_has_its_words() -> None:
    assert set(history._KINDS) == set(get_args(Kind))


def test_what_a_newer_server_tells_is_shown_as_it_is_called() -> None:
    shown = row(event(kind="moon-eclipsed"))
    assert (shown.what, shown.severity_word) == ("Moon eclipsed", "Info")


@pytest.mark.parametrize(
    ("told", "severity", "what", "why"),
    [
        (EXPIRED, "Warning", "Leader failed over", "lease expired · before: app-1"),
        (event(kind="leader-changed", cause="handed over"), "Info", "New leader", "handed over"),
        (DRAIN, "Action", "Drain begun", ""),
        (GONE, "Failure", "Server gone", "no sign of life · silent for 3.1 s · http://a:9191"),
        (FAILOVER, "Warning", "Database failed over", "failover from pg-a to pg-b · timeline 8"),
        (event(kind="database-changed", cause="switchover at pg-b"), "Info", "New primary", "switchover at pg-b"),
        (event(kind="member-restarted", cause="started again after it had died"), "Recovered", "Server started again",
         "started again after it had died"),
        (event(kind="redundancy-lost", cause="no synchronous standby"), "Failure", "Redundancy lost",
         "no synchronous standby"),
    ],
)  # fmt: skip
def test_events_in_words(told: ClusterEvent, severity: str, what: str, why: str) -> None:
    shown = row(told)
    assert (shown.severity_word, shown.what, shown.why) == (severity, what, why)


def test_each_severity_has_a_shape_of_its_own() -> None:
    tones = [tone for _, tone in history.SEVERITIES.values()]
    assert len(set(tones)) == len(tones)


def test_who_and_how_long() -> None:
    assert (row(DRAIN).actor, row(EXPIRED).actor, row(EXPIRED).away, row(EXPIRED).term) == ("grace", "", "2.1 s", "8")
    spans = {
        None: "",
        0: "0.0 s",
        9_940: "9.9 s",
        12_300: "12 s",
        60_000: "1 min",
        200_000: "3 min 20 s",
        7_260_000: "2 h 1 min",
    }
    assert {away_ms: away_text(away_ms) for away_ms in spans} == spans


def test_moments_are_local_and_their_tips_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert moment_text(AT, AT, zone) == "21 Sep, 16:13:20"
    assert moment_text(AT - 366 * 86_400_000, AT, zone) == "20 Sep 2025, 16:13:20"
    assert moment_tip(AT, AT + 65_000) == "2026-09-21 14:13:20.123 UTC by the database’s clock, 1 min ago"


def test_the_filter() -> None:
    every = (EXPIRED, DRAIN, GONE, FAILOVER)

    def found(text: str, group: history.Group = "all") -> list[int]:
        return [int(one.event_id.split(".")[0]) for one in every if matches(one, text, group)]

    assert found("") == [4, 5, 6, 7]
    assert found("app-1") == [4, 6]
    assert found("LEASE app-2") == [4]
    assert found("grace") == [5]
    assert found("no such thing") == []
    assert found("", "trouble") == [4, 6, 7]
    assert found("", "people") == [5]
    assert found("", "database") == [7]
    assert found("", "leader") == [4]
    assert found("", "servers") == [5, 6]


def test_what_concerned_a_node_lately() -> None:
    every = (EXPIRED, DRAIN, GONE, FAILOVER)
    assert about(every, "server:app-1") == [GONE, EXPIRED]
    assert about(every, "database:pg-a") == [FAILOVER]
    assert about(every, "provider:1") == []


def test_a_table_for_other_programs() -> None:
    sly = event(9, "member-removed", "=1+1", actor="admin:@x", cause='a, "b"\nc')
    rows = list(csv.reader(io.StringIO(as_csv((FAILOVER, sly)))))
    assert rows[1][:5] == ["7.7", "2026-09-21T14:13:27.123Z", "database-changed", "warning", "pg-b"]
    assert rows[1][8:] == ["9400", '{"before": "pg-a", "timeline": 8}']
    assert (rows[2][4], rows[2][7]) == ("'=1+1", 'a, "b"\nc')


def test_a_line_to_copy() -> None:
    assert line(EXPIRED) == (
        "2026-09-21 14:13:24 UTC  Warning: Leader failed over  app-2  lease expired · before: app-1  away 2.1 s  term 8"
    )


# ---------------------------------------------------------------- keeping


def test_the_order_is_that_of_the_commits_not_of_the_clocks() -> None:
    early = msgspec.structs.replace(event(2), event_id="9.100", at=AT + 99_000)
    late = msgspec.structs.replace(event(3), event_id="10.7", at=AT)
    assert newest_first((early, late)) == [late, early]


def test_the_window_is_bounded_and_has_no_gap() -> None:
    known = {one.event_id: one for one in map(event, range(1, 6))}
    held, gap = joined(known, [event(5), event(6)], full=True, window=4)
    assert (sorted(held), gap) == (["3.3", "4.4", "5.5", "6.6"], False)
    held, gap = joined(known, [event(8), event(9)], full=True, window=9)
    assert (sorted(held), gap) == (["8.8", "9.9"], True)
    held, gap = joined(known, [event(8)], full=False, window=9)
    assert (len(held), gap) == (6, False)


def test_the_reducer_takes_events_in_and_says_so() -> None:
    state, changes = step(State(), HistoryRead((event(1), event(2)), full=False), 1.0)
    assert (sorted(state.history), state.history_at, changes.history) == (["1.1", "2.2"], 1.0, True)
    again, changes = step(state, HistoryRead((event(1), event(2)), full=False), 2.0)
    assert (changes.history, again.history_at) == (False, 2.0)
    state, changes = step(again, HistoryChanged(event(3)), 3.0)
    assert (changes.history, changes.history_replaced) == (True, False)
    state, changes = step(state, HistoryRead((event(9),), full=False, replace=True), 4.0)
    assert (list(state.history), changes.history_replaced) == (["9.9"], True)
    state, _ = step(state, Forbidden("history"), 5.0)
    assert "history" in state.forbidden
    assert step(state, Closed(), 6.0)[0] == State()


def test_an_empty_history_is_news_once() -> None:
    state, changes = step(State(), HistoryRead((), full=False), 1.0)
    assert changes.history
    assert not step(state, HistoryRead((), full=False), 2.0)[1].history


# ---------------------------------------------------------------- the table


def pages(asked: list[str], model: HistoryModel, last: int, page: int = 50) -> None:
    """Answer everything that was asked for from a history of events 1 to `last`."""
    while asked:
        before = asked.pop(0)
        number = int(before.split(".")[0])
        model.add_page(before, [event(n, subject=f"app-{n}") for n in range(max(1, number - page), number)])


def window(first: int, last: int) -> dict[str, ClusterEvent]:
    return {one.event_id: one for one in (event(n, subject=f"app-{n}") for n in range(first, last + 1))}


def test_older_pages_follow_the_window_without_gap_or_repetition() -> None:
    asked: list[str] = []
    model = HistoryModel(fetch=asked.append)
    model.show_events(window(401, 500), AT, fresh=True)
    model.fetchMore(model.index(-1, -1))
    assert asked == ["401.401"]
    model.fetchMore(model.index(-1, -1))
    assert asked == ["401.401"]
    pages(asked, model, 500)
    assert [one.event_id for one in model.shown()] == [f"{n}.{n}" for n in range(500, 350, -1)]
    model.show_events(window(411, 510), AT, fresh=False)
    assert [one.event_id for one in model.shown()] == [f"{n}.{n}" for n in range(510, 350, -1)]
    model.show_events(window(900, 910), AT, fresh=True)
    assert model.rowCount() == 11


def test_a_filter_searches_the_whole_history_and_ends() -> None:
    asked: list[str] = []
    model = HistoryModel(fetch=asked.append)
    model.show_events(window(301, 500), AT, fresh=True)
    model.filter("app-7", "all")
    pages(asked, model, 500)
    found = {one.subject for one in model.shown()}
    assert found == {"app-7", *(f"app-7{n}" for n in range(10))}
    assert (model.complete, model.searching, model.loaded) == (True, False, 500)
    model.filter("", "all")
    assert model.rowCount() == 500
    assert len(found) < ENOUGH_FOUND


def test_the_search_is_bounded() -> None:
    asked: list[str] = []
    model = HistoryModel(fetch=asked.append)
    model.show_events(window(9_801, 10_000), AT, fresh=True)
    model.filter("nobody", "all")
    pages(asked, model, 10_000, page=200)
    assert (model.loaded, model.rowCount(), model.complete) == (MAX_EVENTS, 0, False)


def test_a_page_that_failed_is_told_and_asked_for_again() -> None:
    asked: list[str] = []
    model = HistoryModel(fetch=asked.append)
    model.show_events(window(1, 100), AT, fresh=True)
    model.fetchMore(model.index(-1, -1))
    model.page_failed("no server answers")
    assert (model.page_problem, model.searching) == ("no server answers", False)
    model.fetchMore(model.index(-1, -1))
    assert len(asked) == 2
    model.add_page(asked[-1], ())
    assert (model.page_problem, model.complete) == ("", True)


def test_the_window_of_the_reducer_is_larger_than_a_page() -> None:
    assert HISTORY_WINDOW >= 200
