"""The IPP codec: what it writes it reads, what a real printer said it reads, and no bytes break it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.cups import ipp

ANSWER = (
    b"\x02\x00\x00\x00\x00\x00\x00\x07"
    b"\x01\x47\x00\x12attributes-charset\x00\x05utf-8"
    b"\x48\x00\x1battributes-natural-language\x00\x02en"
    b"\x02\x21\x00\x06job-id\x00\x04\x00\x00\x00\x2a"
    b"\x23\x00\x09job-state\x00\x04\x00\x00\x00\x09"
    b"\x44\x00\x11job-state-reasons\x00\x04none\x44\x00\x00\x00\x05other"
    b"\x36\x00\x08job-name\x00\x0b\x00\x02en\x00\x05title"
    b"\x13\x00\x11time-at-completed\x00\x00"
    b"\x22\x00\x09last-flag\x00\x01\x01"
    b"\x34\x00\x09media-col\x00\x00\x4a\x00\x00\x00\x01x\x34\x00\x00\x00\x00\x37\x00\x00\x00\x00\x37\x00\x00\x00\x00"
    b"\x21\x00\x05after\x00\x04\xff\xff\xff\xff"
    b"\x03DOCUMENT"
)


def test_an_answer_is_read() -> None:
    message = ipp.decode(ANSWER)
    (job,) = message.of(ipp.JOB_GROUP)
    assert (message.code, message.request_id, message.rest) == (0, 7, b"DOCUMENT")
    assert (job.number("job-id"), job.number("job-state"), job.number("after")) == (42, 9, -1)
    assert job.texts("job-state-reasons") == ["none", "other"]
    assert job.text("job-name") == "title"
    assert job.number("time-at-completed") is None
    assert job.flag("last-flag", default=False)
    assert job.number("last-flag") is None
    (collection,) = job.collections("media-col")
    assert [one.attributes for one in collection.collections("x")] == [{}]


def value(tag: int, data: bytes = b"", name: bytes = b"") -> bytes:
    return bytes([tag]) + len(name).to_bytes(2, "big") + name + len(data).to_bytes(2, "big") + data


MEMBER, BEGIN, END = 0x4A, ipp.BEGIN_COLLECTION, 0x37


def in_answer(*values: bytes) -> bytes:
    return b"".join([b"\x02\x00\x00\x00\x00\x00\x00\x07\x04", *values, b"\x03"])


def test_members_of_collections_are_read_with_all_their_values() -> None:
    size = value(MEMBER, b"x-dimension") + value(ipp.INTEGER, b"\0\0\x52\x08")
    tray = [value(MEMBER, b"media-size"), value(BEGIN), size, value(END), value(MEMBER, b"media-type")]
    kinds = [value(ipp.KEYWORD, kind) for kind in (b"stationery", b"labels")]
    first = [value(BEGIN, name=b"media-col-ready"), value(ipp.KEYWORD, b"nobody's"), *tray, *kinds, value(END)]
    message = ipp.decode(in_answer(*first, value(BEGIN), *tray, value(END), value(ipp.INTEGER, b"\0\0\0\1", b"after")))
    (group,) = message.groups
    one, two = group.collections("media-col-ready")
    assert one.collections("media-size")[0].number("x-dimension") == 21000
    assert (one.texts("media-type"), two.texts("media-type")) == (["stationery", "labels"], [])
    assert group.number("after") == 1


def test_collections_nest_so_deep_and_no_deeper() -> None:
    def nested(depth: int) -> bytes:
        inner = (value(MEMBER, b"m") + value(BEGIN)) * (depth - 1)
        return in_answer(value(BEGIN, name=b"c"), inner, value(END) * depth)

    assert ipp.decode(nested(ipp.MAX_DEPTH)).groups
    with pytest.raises(ipp.IppError, match="nests deeper"):
        ipp.decode(nested(100_000))


def test_what_is_written_is_read() -> None:
    attributes = {
        "printer-uri": ipp.uri("ipp://h/p"),
        "job-id": ipp.integer(-5),
        "requesting-user-name": ipp.name("ä" * 300),
        "requested-attributes": ipp.keywords(["job-id", "job-state"]),
        "my-jobs": ipp.Tagged(ipp.BOOLEAN, (True,)),
    }
    data = ipp.encode_request(ipp.GET_JOBS, 99, attributes, b"rest")
    message = ipp.decode(data)
    (group,) = message.groups
    assert (message.code, message.request_id, message.rest) == (ipp.GET_JOBS, 99, b"rest")
    assert list(group.attributes)[:2] == ["attributes-charset", "attributes-natural-language"]
    assert group.text("requesting-user-name") == "ä" * 255
    assert group.texts("requested-attributes") == ["job-id", "job-state"]
    assert group.number("job-id") == -5
    assert group.flag("my-jobs", default=False)


def test_every_cut_of_an_answer_is_an_error() -> None:
    whole = ANSWER.index(b"\x03DOCUMENT") + 1
    for cut in range(whole):
        with pytest.raises(ipp.IppError):
            ipp.decode(ANSWER[:cut])


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(noise: bytes) -> None:
    for data in (noise, b"\x02\x00\x00\x00\x00\x00\x00\x01\x02" + noise):
        try:
            ipp.decode(data)
        except ipp.IppError:
            continue


@given(st.integers(9, len(ANSWER) - 1), st.integers(0, 255))
def test_no_changed_byte_raises_anything_else(place: int, byte: int) -> None:
    changed = bytearray(ANSWER)
    changed[place] = byte
    try:
        ipp.decode(bytes(changed))
    except ipp.IppError:
        return


def test_a_foreign_version_is_refused() -> None:
    with pytest.raises(ipp.IppError, match="version 72"):
        ipp.decode(b"HTTP/1.1 400 Bad Request")
    with pytest.raises(ipp.IppError, match="before any group"):
        ipp.decode(struct.pack(">BBHI", 2, 0, 0, 1) + b"\x21\x00\x01a\x00\x04\x00\x00\x00\x01")
