"""What is foreseen of a backend's question is, word for word, what the backend asks; events are read whole or not."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.cups import starts
from provider.cups_backend import inkeeper as backend
from provider.local import protocol
from provider.local.protocol import ProtocolError

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
GARBLED = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
WORD = TEXT | GARBLED | st.sampled_from(["a=b\nc=d", "100%0A", "ipp://u:p@h/x", "\r\n"])
NAMES = ("PRINTER", "DEVICE_URI", "CONTENT_TYPE", "FINAL_CONTENT_TYPE", "CUPS_REQUESTROOT", "PPD")


@given(
    st.lists(WORD, min_size=3, max_size=3),
    st.sampled_from(["1", "3", "0", "-1", "x"]),
    st.dictionaries(st.sampled_from(NAMES), WORD),
    st.integers(1, 1 << 40),
)
def test_what_is_foreseen_is_what_the_backend_asks(
    words: list[str], copies: str, environ: dict[str, str], size: int
) -> None:
    user, title, options = words
    arguments = ["/usr/lib/cups/backend/inkeeper", "12", user, title, copies, options, "/spool/d00012-001"]
    fields = {**backend.describe(arguments, environ, size), "incarnation": "7.99"}
    asked = protocol.decode_request(backend.encode(fields)[4:])
    assert starts.question_of(arguments, environ, size, "7.99") == asked


def test_a_job_without_a_number_is_not_foreseen() -> None:
    with pytest.raises(ProtocolError):
        starts.question_of(["x", "twelve", "u", "t", "1", "", "/f"], {}, 1, "1.1")


def event(name: bytes, mask: int = 0x20) -> bytes:
    padded = name + b"\0" * (16 - len(name)) if name else b""
    return struct.pack("iIII", 1, mask, 0, len(padded)) + padded


def test_the_names_in_events_are_read() -> None:
    assert starts.read_events(event(b"inkeeper") + event(b"socket")) == ({b"inkeeper", b"socket"}, True)
    assert starts.read_events(event(b"ipp") + event(b"", 0x8000)) == ({b"ipp", b""}, False)
    assert starts.read_events(b"") == (set(), True)
    assert starts.read_events(event(b"inkeeper")[:10]) == (set(), True)
