"""Answers in any pieces, whole or cut or nonsense: read to the byte, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.client.transport import MAX_BODY_BYTES, MAX_HEAD_BYTES, AnswerReader

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1,2,3]"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n4;x=y\r\n2,3]\r\n0\r\nX-Late: 1\r\n\r\n"
AFTER_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@given(
    st.sampled_from([(PLAIN, b"[1,2,3]"), (CHUNKED, b"[1,2,3]"), (AFTER_CONTINUE, b"[1,2,3]"), (EMPTY, b"")]), st.data()
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(case: tuple[bytes, bytes], data: st.DataObject) -> None:
    raw, body = case
    cuts = sorted(data.draw(st.lists(st.integers(1, len(raw) - 1), max_size=6)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True) if b > a]
    reader = AnswerReader()
    whole = [reader.take(piece) for piece in pieces]
    assert whole == [False] * (len(pieces) - 1) + [True]
    assert (reader.body, reader.keeps_alive) == (body, True)
    assert reader.status in (200, 204)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = AnswerReader()
    assert not reader.take(b"HTTP/1.1 502 Bad Gateway\r\nServer: x\r\n\r\nno ")
    assert not reader.take(b"server")
    assert reader.ends_with_connection
    assert not reader.keeps_alive
    assert reader.body == b"no server"


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    reader = AnswerReader(head_only=True)
    assert reader.take(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_connection_that_the_server_gives_up_is_not_kept(head: bytes) -> None:
    reader = AnswerReader()
    assert reader.take(head)
    assert not reader.keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + str(MAX_BODY_BYTES + 1).encode() + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 12 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        AnswerReader().take(data)
