"""Records survive being cut anywhere and having any bit flipped: what is whole is read, what is not is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.journal.record import HEADER, MAGIC, MAX_PAYLOAD_BYTES, Gap, Record, encode, scan

PAYLOADS = [b'{"a":1}', b"", b'{"title":"IKJ1 \\u0001 IKJ1"}', b'{"z":"' + b"y" * 40 + b'"}']


def whole(data: bytes) -> list[bytes]:
    return [part.payload for part in scan(data) if isinstance(part, Record)]


def covers(data: bytes) -> bool:
    edges = [0]
    for part in scan(data):
        if part.start != edges[-1] or part.end <= part.start:
            return False
        edges.append(part.end)
    return edges[-1] == len(data)


def test_what_is_written_is_read() -> None:
    data = b"".join(encode(payload) for payload in PAYLOADS)
    assert whole(data) == PAYLOADS
    assert not [part for part in scan(data) if isinstance(part, Gap)]


def test_cut_at_every_byte_keeps_every_record_before_the_cut() -> None:
    records = [encode(payload) for payload in PAYLOADS]
    data = b"".join(records)
    ends = [sum(map(len, records[: n + 1])) for n in range(len(records))]
    for cut in range(len(data) + 1):
        expected = [payload for payload, end in zip(PAYLOADS, ends, strict=True) if end <= cut]
        assert whole(data[:cut]) == expected
        assert covers(data[:cut])


def test_any_flipped_bit_loses_the_record_it_is_in_and_no_other() -> None:
    records = [encode(payload) for payload in PAYLOADS]
    data = b"".join(records)
    starts = [sum(map(len, records[:n])) for n in range(len(records))]
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        hit = max(n for n, start in enumerate(starts) if start <= bit // 8)
        expected = [payload for n, payload in enumerate(PAYLOADS) if n != hit]
        assert whole(bytes(flipped)) == expected, bit
        assert covers(bytes(flipped))


def test_a_torn_record_does_not_swallow_what_was_written_after_it() -> None:
    torn = encode(b'{"long":"' + b"x" * 500 + b'"}')[:40]
    data = torn + encode(PAYLOADS[0]) + encode(PAYLOADS[3])
    assert whole(data) == [PAYLOADS[0], PAYLOADS[3]]
    assert next(iter(scan(data))) == Gap(0, 40, blank=False)


def test_kept_space_is_a_blank_gap() -> None:
    data = encode(PAYLOADS[0]) + bytes(100)
    assert list(scan(data))[-1] == Gap(len(data) - 100, len(data), blank=True)


def test_a_length_beyond_the_bound_is_damage_and_is_not_written() -> None:
    assert whole(HEADER.pack(MAGIC, 1, MAX_PAYLOAD_BYTES + 1, 0) + encode(PAYLOADS[0])) == [PAYLOADS[0]]
    with pytest.raises(ValueError, match="longer than"):
        encode(bytes(MAX_PAYLOAD_BYTES + 1))


@given(st.binary(max_size=300))
def test_no_bytes_whatever_make_it_raise(noise: bytes) -> None:
    assert covers(noise)


@given(st.lists(st.tuples(st.binary(max_size=30).filter(lambda b: MAGIC not in b), st.binary(max_size=60)), max_size=6))
def test_records_are_found_between_any_noise(parts: list[tuple[bytes, bytes]]) -> None:
    data = b"".join(noise.replace(b"I", b"i") + encode(payload) for noise, payload in parts)
    assert whole(data) == [payload for _, payload in parts]
