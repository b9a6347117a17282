"""Both ends of the socket say and understand the same golden frames; neither imports the other."""

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.cups_backend import inkeeper as backend
from provider.jobs.events import Deny, Finished, Hold, Print, Reply, Superseded, Wait
from provider.journal.record import Record, scan
from provider.journal.runs import Ended, Started, read_words
from provider.local import protocol
from provider.local.protocol import ProtocolError, Question, RunOver, StatusAsked

ARGUMENTS = ["inkeeper", "42", "CAMPUS\\anna", "Über 100 %\nso", "3", "sides=two-sided job-uuid=x"]
ENVIRON = {
    "DEVICE_URI": "inkeeper:/ipp://printer.example/ipp/print",
    "PRINTER": "hall",
    "FINAL_CONTENT_TYPE": "application/pdf",
    "CUPS_REQUESTROOT": "/var/spool/cups",
    "PPD": "/etc/cups/ppd/hall.ppd",
}
QUESTION_FRAME = (
    b"\x00\x00\x01\x2f"
    b"v=1\nkind=ask\ncups_job_id=42\nuser=CAMPUS\\anna\ntitle=\xc3\x9cber 100 %25%0Aso\ncopies=3\n"
    b"options=sides=two-sided job-uuid=x\nnamed_file=0\nqueue=hall\ndevice_uri=ipp://printer.example/ipp/print\n"
    b"content_type=application/pdf\ndocument_bytes=1234\nrequest_root=/var/spool/cups\nincarnation=7.99\n"
    b"ppd=/etc/cups/ppd/hall.ppd\n"
)
QUESTION = Question(
    cups_job_id=42,
    user="CAMPUS\\anna",
    title="Über 100 %\nso",
    copies=3,
    options="sides=two-sided job-uuid=x",
    queue="hall",
    device_uri="ipp://printer.example/ipp/print",
    content_type="application/pdf",
    document_bytes=1234,
    request_root="/var/spool/cups",
    incarnation="7.99",
    named_file=False,
    ppd="/etc/cups/ppd/hall.ppd",
)
PRINT = Print(job_id="j", name="j.2", run=2, attempt=3, document=1, incarnation="7.99", offline=True)
REPLIES = [
    (
        PRINT,
        b"answer=print\njob_id=j\nruns=/runs\nname=j.2\nrun=2\nattempt=3\ndocument=1\nincarnation=7.99\noffline=1\n",
    ),
    (Deny(message="0.10 EUR left,\n100 % used"), b"answer=deny\nmessage=0.10 EUR left,%0A100 %25 used\n"),
    (Hold("Waits for its release."), b"answer=hold\nmessage=Waits for its release.\n"),
    (Wait("the disk is full", 2.5), b"answer=wait\nmessage=the disk is full\nseconds=2.5\n"),
    (Finished(), b"answer=finished\n"),
    (Superseded(), b"answer=superseded\n"),
]


def question_fields(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(backend, "incarnation", lambda: "7.99")
    return backend.describe(ARGUMENTS, ENVIRON, 1234)


def test_the_backend_s_question_is_the_golden_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.encode(question_fields(monkeypatch)) == QUESTION_FRAME


def test_the_daemon_understands_the_golden_question() -> None:
    assert protocol.frame_length(QUESTION_FRAME[:4]) == len(QUESTION_FRAME) - 4
    assert protocol.decode_request(QUESTION_FRAME[4:]) == QUESTION


@pytest.mark.parametrize(("reply", "body"), REPLIES)
def test_replies(reply: Reply, body: bytes) -> None:
    frame = protocol.encode_reply(reply, "/runs")
    assert frame == len(body).to_bytes(4, "big") + body
    told = backend.decode(body)
    assert told["answer"] == body.split(b"\n")[0].decode().partition("=")[2]
    if isinstance(reply, Deny | Hold | Wait):
        assert told["message"] == reply.message


def test_by_when_the_answer_comes() -> None:
    body = b"answer=working\ndecided_in=1.234\n"
    assert protocol.encode_decided_in(1.2341) == len(body).to_bytes(4, "big") + body
    assert protocol.encode_decided_in(-1).endswith(b"decided_in=0.000\n")
    assert backend.decode(body) == {"answer": "working", "decided_in": "1.234", "": ""}


def test_the_end_of_a_run_and_the_question_for_the_status() -> None:
    over = backend.encode({"v": "1", "kind": "ended", "job_id": "j"})
    assert protocol.decode_request(over[4:]) == RunOver(job_id="j")
    assert protocol.decode_request(protocol.encode_status_question()[4:]) == StatusAsked()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"kind=ask\n", "speaks protocol none, this daemon 1: run `inkeeper-provider track`"),
        (b"v=2\nkind=ask\n", "speaks protocol 2"),
        (b"v=1\nkind=sing\n", "no request 'sing'"),
        (b"v=1\nkind=ask\n", "lacks or garbles a field"),
        (QUESTION_FRAME[4:].replace(b"=42", b"=forty-two"), "lacks or garbles a field"),
    ],
)
def test_what_is_not_understood_is_said(body: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        protocol.decode_request(body)
    with pytest.raises(ProtocolError, match="longer than"):
        protocol.frame_length(b"\xff\xff\xff\xff")


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=40), max_size=5))
def test_any_text_crosses_either_way(fields: dict[str, str]) -> None:
    clean = {key: value.encode("utf-8", "replace").decode() for key, value in fields.items()}
    assert protocol.decode_fields(backend.encode(clean)[4:]) == clean
    read = backend.decode(protocol.encode_frame(clean)[4:])
    assert {key: value for key, value in read.items() if key} == clean


@given(st.binary(max_size=200))
def test_no_bytes_break_the_daemon(noise: bytes) -> None:
    try:
        protocol.decode_request(noise)
    except ProtocolError:
        return


def test_bytes_that_are_no_utf8_cross_as_replacement_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "incarnation", lambda: "7.99")
    title = b"caf\xe9".decode("utf-8", "surrogateescape")
    fields = backend.describe([*ARGUMENTS[:3], title, *ARGUMENTS[4:]], ENVIRON, 1)
    asked = protocol.decode_request(backend.encode(fields)[4:])
    assert isinstance(asked, Question)
    assert asked.title == "caf\ufffd"


def test_run_files_of_the_backend_are_read_by_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "now_ms", lambda: 1000)
    fields = question_fields(monkeypatch)
    permission = backend.decode(protocol.encode_reply(PRINT, "/runs")[4:])
    started = backend.record(backend.started_fields(fields, permission))
    ended = backend.record({"kind": "ended", "v": 1, "exit_code": 4, "canceled": True, "ended_at": 2000})
    assert [type(part) for part in scan(started + ended)] == [Record, Record]
    first, last, damaged = read_words(started + ended + bytes(100))
    assert isinstance(first, Started)
    assert (first.job_id, first.run, first.attempt, first.offline, first.title) == ("j", 2, 3, True, "Über 100 %\nso")
    assert (first.cups_job_id, first.copies, first.document_bytes, first.user) == (42, 3, 1234, "CAMPUS\\anna")
    assert last == Ended(v=1, exit_code=4, canceled=True, ended_at=2000)
    assert damaged == 0


@given(st.text(max_size=80))
def test_any_title_makes_a_record_that_is_read(title: str) -> None:
    started = backend.record({"kind": "started", "v": 1, "started_at": 1, "title": title})
    first, _, damaged = read_words(started)
    assert first is not None
    assert first.title == title.encode("utf-8", "replace").decode()
    assert damaged == 0


def test_the_room_for_the_end_holds_any_end() -> None:
    longest = backend.record({"kind": "ended", "v": 1, "exit_code": -(2**31), "canceled": False, "ended_at": 2**53})
    assert len(longest) <= backend.ROOM_FOR_END


def test_the_backend_imports_the_standard_library_only() -> None:
    tree = ast.parse(Path(str(backend.__file__)).read_text())
    imported = {
        (alias.name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("ipp://anna:secret@h:631/p", "ipp://h:631/p"),
        ("ipp://h/p", "ipp://h/p"),
        ("file:/dev/null", "file:/dev/null"),
        ("smb://a@b/c@d", "smb://b/c@d"),
    ],
)
def test_passwords_do_not_reach_the_process_list(uri: str, shown: str) -> None:
    assert backend.sanitized(uri) == shown
