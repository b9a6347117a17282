"""What leaves the machine fits the contract whatever CUPS said; what people read says what to do."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.base.settings import SettingsError
from backend.wire.jobs import Authorise, JobFacts, Printing, Report
from backend.wire.pricing import Printed, SimpleCost
from backend.wire.printers import ServerContact
from provider import status
from provider.jobs.model import Ending, JobRecord, OfflineCharge, RunRecord
from provider.local import protocol
from provider.settings import (
    AnalysisSection,
    OfflineSection,
    ProviderSection,
    ProviderSettings,
    check,
)
from provider.uplink import messages

ID = "01a202de-4574-71f6-aadb-82ae58e22a36"
ENDING = Ending(
    command_id=ID, revision=2, outcome="completed", printed=Printed(impressions=1, sheets=1), estimated=True
)


def record(**values: object) -> JobRecord:
    printing = Printing(spool_id="s", cups_job_id=1, time_at_creation=1)
    plain = JobRecord(job_id=ID, printing=printing, queue="q", user_name="u", created_at=5, authorise_id=ID, attempt=1)
    return msgspec.structs.replace(plain, **values)


@given(st.text(max_size=400), st.text(max_size=1500))
def test_whatever_cups_said_fits_the_contract(name: str, text: str) -> None:
    known = record(queue=name, user_name=name, title=text, host=text, ending=ENDING)
    for message, kind in ((messages.authorise(known), Authorise), (messages.report(known), Report)):
        encoded = msgspec.json.encode(msgspec.to_builtins(message), enc_hook=str)
        msgspec.json.decode(encoded, type=kind)


def test_a_report_tells_the_runs_and_what_is_doubtful() -> None:
    runs = (
        RunRecord(number=1, name="a", started_at=1, offline=True, verdict="nothing", exit_code=1, ended_at=2),
        RunRecord(number=2, name="b", started_at=3, verdict="unknown"),
    )
    report = messages.report(
        record(ending=ENDING, runs=runs, possible_duplicate=True, facts=JobFacts(impressions=1, sheets=1))
    )
    assert (report.offline, report.possible_duplicate, report.estimated, report.revision) == (False, True, True, 2)
    assert [(run.number, run.exit_code) for run in report.runs] == [(1, 1), (2, None)]
    assert messages.report(record(ending=ENDING, runs=(msgspec.structs.replace(runs[0], verdict="printed"),))).offline
    with pytest.raises(ValueError, match="no ending"):
        messages.report(record())


def test_a_report_tells_by_which_rule_it_was_printed_offline_and_that_nobody_knows_how_much() -> None:
    rule = SimpleCost(per_impression=500, version=7)
    run = RunRecord(number=1, name="a", started_at=1, offline=True, verdict="unknown")
    known = record(
        ending=msgspec.structs.replace(ENDING, in_doubt=True), runs=(run,), offline=OfflineCharge(cost=500, rule=rule)
    )
    report = messages.report(known)
    assert (report.offline, report.offline_rule, report.in_doubt) == (True, rule, True)
    online = msgspec.structs.replace(known, runs=(msgspec.structs.replace(run, offline=False),))
    assert messages.report(online).offline_rule is None, "a server decided what was printed"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ProviderSettings(offline=OfflineSection(policy="allowance", allowance="5 EUR")), 'write it like "5.00"'),
        (ProviderSettings(provider=ProviderSection(state_dir="here")), "must be an absolute path"),
        (ProviderSettings(provider=ProviderSection(socket="/" + "x" * 107)), "longer than 107 bytes"),
        (ProviderSettings(analysis=AnalysisSection(workers=0)), "workers must be 1 to 16"),
        (ProviderSettings(provider=ProviderSection(name="x" * 256)), "at most 255 characters"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(settings: ProviderSettings, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check(settings)


def test_the_defaults_work() -> None:
    settings = check(ProviderSettings())
    assert str(settings.socket) == "/var/lib/inkeeper/provider/provider.sock"
    assert settings.name


STATUS = status.Status(
    name="print1",
    program_version="1",
    server="http://a",
    servers=("http://a", "http://b"),
    contacts=(ServerContact(url="http://a", age_s=0.5), ServerContact(url="http://b", age_s=90.0)),
    policies_version="3f2a",
    policies_age_s=1.6,
    held_jobs=2,
    trouble="",
    answered_age_s=0.5,
    generation=1,
    backlog=0,
    oldest_unsent_s=0,
    refused=0,
    open_jobs=1,
    journal_jobs=9,
    journal_trouble="",
    journal_damage=(),
    cups_trouble="",
    queues=(
        status.QueueStatus(name="hall", tracked=True, printer_state="idle"),
        status.QueueStatus(name="attic", tracked=False, printer_state="stopped"),
    ),
    disk_free_bytes=5 << 30,
)


def changed(**values: object) -> status.Status:
    return msgspec.structs.replace(STATUS, **values)


def test_the_status_of_a_healthy_provider() -> None:
    told = status.decode(protocol.encode_status(msgspec.json.encode(STATUS))[4:])
    assert told == STATUS
    assert told.healthy
    assert status.lines(told) == [
        "provider print1 1",
        "server http://a: answers, in use, answered 0 s ago",
        "server http://b: in reserve, answered 90 s ago",
        "reports not sent: 0",
        "jobs under way: 1, in the journal: 9",
        "jobs held: 2",
        "what queues cost and may do offline: version 3f2a, confirmed 2 s ago",
        "queue hall: tracked, idle",
        "queue attic: UNTRACKED, its jobs are not counted, stopped",
        "disk: 5120 MiB free",
    ]


def test_the_status_says_what_is_wrong() -> None:
    away = msgspec.structs.replace(
        STATUS,
        server="",
        trouble="cannot be reached",
        backlog=3,
        oldest_unsent_s=61.2,
        refused=1,
        contacts=(
            ServerContact(url="http://a", age_s=7.0, trouble="cannot be reached"),
            ServerContact(url="http://b", trouble="did not answer in time"),
            ServerContact(url="http://c"),
        ),
        policies_version="",
    )
    assert not away.healthy
    assert status.reason(away) == "no server answers: cannot be reached"
    told = status.lines(away)
    assert "server http://a: does not answer (cannot be reached), answered 7 s ago" in told
    assert "server http://b: does not answer (did not answer in time), never did" in told
    assert "server http://c: in reserve, has not been asked yet" in told
    assert "what queues cost and may do offline: no server has told yet" in told
    assert "reports not sent: 3, the oldest for 61 s" in told
    full = msgspec.structs.replace(
        STATUS, journal_trouble="the journal in /x cannot be written: No space left on device"
    )
    assert not full.healthy
    assert status.reason(full).endswith("No space left on device")
    with pytest.raises(protocol.ProtocolError, match="only for root"):
        status.decode(protocol.encode_frame({"answer": "refused", "message": "only for root"})[4:])
