"""The journal on disk: what was appended is found again after any end, however torn; its size has a bound."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.errors import JournalError
from provider.journal.file import JournalFile, Label

DAY_MS = 86_400_000


class Entry(msgspec.Struct):
    key: str
    value: int
    settled_at: int | None = None
    padding: str = ""


class Kept:
    """A journal of small entries, with what replay saw."""

    def __init__(self, folder: Path, now_ms: int = 0, segment_bytes: int = 1 << 20) -> None:
        self.newest: dict[str, int] = {}
        self.now_ms = now_ms
        self.file = JournalFile(folder, self._label, lambda: self.now_ms, segment_bytes=segment_bytes)
        self.file.open()

    def _label(self, payload: bytes) -> Label | None:
        try:
            entry = msgspec.json.decode(payload, type=Entry)
        except msgspec.DecodeError:
            return None
        self.newest[entry.key] = entry.value
        return Label(entry.key, entry.settled_at)

    def add(self, key: str, value: int, settled_at: int | None = None, padding: int = 0) -> list[str]:
        entry = Entry(key, value, settled_at, "x" * padding)
        return self.file.append([(Label(key, settled_at), msgspec.json.encode(entry))])

    def value(self, key: str) -> int | None:
        payload = self.file.read(key)
        return None if payload is None else msgspec.json.decode(payload, type=Entry).value


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_newest_record_of_each_key_is_found_after_a_restart(tmp_path: Path) -> None:
    first = Kept(tmp_path)
    for value in range(5):
        first.add("a", value)
        first.add("b", -value)
    again = Kept(tmp_path)
    assert again.newest == {"a": 4, "b": -4}
    assert (again.value("a"), again.value("b"), again.value("c")) == (4, -4, None)
    assert again.file.damage == []


def test_a_cut_at_every_byte_loses_only_what_comes_after_it(tmp_path: Path) -> None:
    journal = Kept(tmp_path / "whole")
    for value in range(4):
        journal.add(f"k{value}", value)
    data = (tmp_path / "whole" / "00000001.journal").read_bytes()
    ends = [place.start + place.length for place in journal.file.places.values()]
    cut_folder = tmp_path / "cut"
    cut_folder.mkdir()
    for cut in range(len(data) + 1):
        (cut_folder / "00000001.journal").write_bytes(data[:cut])
        found = Kept(cut_folder)
        assert found.newest == {f"k{n}": n for n, end in enumerate(ends) if end <= cut}
        assert all(damage.torn for damage in found.file.damage)
        assert bool(found.file.damage) == (cut not in (0, *ends))


def test_every_flipped_bit_leaves_all_other_records(tmp_path: Path) -> None:
    journal = Kept(tmp_path / "whole")
    for value in range(3):
        journal.add(f"k{value}", value)
    data = (tmp_path / "whole" / "00000001.journal").read_bytes()
    starts = [place.start for place in journal.file.places.values()]
    folder = tmp_path / "flipped"
    folder.mkdir()
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        (folder / "00000001.journal").write_bytes(flipped)
        hit = max(n for n, start in enumerate(starts) if start <= bit // 8)
        found = Kept(folder)
        assert found.newest == {f"k{n}": n for n in range(3) if n != hit}, bit
        assert len(found.file.damage) == 1


def test_after_a_torn_end_the_journal_goes_on(tmp_path: Path) -> None:
    Kept(tmp_path).add("a", 1)
    segment = tmp_path / "00000001.journal"
    segment.write_bytes(segment.read_bytes() + b"IKJ1\x01\x00\x00")
    Kept(tmp_path).add("b", 2)
    found = Kept(tmp_path)
    assert found.newest == {"a": 1, "b": 2}
    assert [damage.torn for damage in found.file.damage] == [True]


def test_a_whole_record_that_is_no_entry_is_told_as_damage(tmp_path: Path) -> None:
    journal = Kept(tmp_path)
    journal.file.append([(Label("x"), b'{"no":"entry"}')])
    journal.add("a", 1)
    found = Kept(tmp_path)
    assert found.newest == {"a": 1}
    assert [damage.torn for damage in found.file.damage] == [False]


def test_settled_jobs_go_after_their_time_and_the_size_stays_bounded(tmp_path: Path) -> None:
    journal = Kept(tmp_path, segment_bytes=4096)
    biggest = 0
    for day in range(200):
        journal.now_ms = day * DAY_MS
        for n in range(5):
            key = f"{day}.{n}"
            for value in range(2):
                journal.add(key, value, padding=100)
            journal.add(key, 2, settled_at=journal.now_ms, padding=100)
        biggest = max(biggest, size_of(tmp_path))
    kept_days = {int(key.partition(".")[0]) for key in journal.file.places}
    assert min(kept_days) >= 199 - 35 - 8  # a segment holds some days
    assert set(range(199 - 35, 200)) <= kept_days
    assert biggest < 2 * (36 + 10) * 5 * 200  # not the three records a job, and not 200 days
    again = Kept(tmp_path, now_ms=journal.now_ms)
    assert again.file.places.keys() == journal.file.places.keys()
    assert all(again.value(key) == 2 for key in again.file.places)


def test_an_unsettled_job_is_kept_for_ever_and_never_comes_back_younger_than_it_was(tmp_path: Path) -> None:
    journal = Kept(tmp_path, segment_bytes=2048)
    journal.add("unsent", 7)
    for day in range(120):
        journal.now_ms = day * DAY_MS
        journal.add(f"d{day}", 1, padding=100)
        journal.add(f"d{day}", 2, settled_at=journal.now_ms, padding=100)
    again = Kept(tmp_path, now_ms=journal.now_ms)
    assert again.value("unsent") == 7
    assert {again.value(key) for key in again.file.places if key != "unsent"} == {2}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.integers(0, 40), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_a_restart_finds_what_a_dict_would_hold(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool, int, bool]]
) -> None:
    """Steps of (key, settled, days later, restart): nothing unsettled is lost, nothing settled goes back to an
    older value.
    """
    folder = tmp_path_factory.mktemp("journal")
    journal = Kept(folder, segment_bytes=400)
    expected: dict[str, tuple[int, int | None]] = {}
    now_ms = 0
    for value, (key, settled, days, restart) in enumerate(steps):
        now_ms += days * DAY_MS
        if restart:
            journal.file.close()
            journal = Kept(folder, now_ms, segment_bytes=400)
            journal.file.shrink()
        journal.now_ms = now_ms
        journal.add(key, value, now_ms if settled else None)
        expected[key] = (value, now_ms if settled else None)
        for name, (wanted, settled_at) in expected.items():
            found = journal.value(name)
            gone_for_its_age = found is None and settled_at is not None and settled_at < now_ms - 35 * DAY_MS
            assert found == wanted or gone_for_its_age, name


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files may not grow past 600 bytes: the kernel then fails writes as a full disk does (EFBIG for ENOSPC)."""
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.usefixtures("small_files")
def test_a_failed_write_is_told_and_leaves_no_trace(tmp_path: Path) -> None:
    journal = Kept(tmp_path)
    journal.add("a", 1, padding=100)
    with pytest.raises(JournalError, match="cannot be written: File too large"):
        journal.file.append([(Label(key), msgspec.json.encode(Entry(key, 9, None, "x" * 300))) for key in "ab"])
    assert journal.value("a") == 1
    assert (tmp_path / "00000001.journal").stat().st_size < 200
    journal.add("c", 3, padding=100)
    assert Kept(tmp_path).newest == {"a": 1, "c": 3}
    assert Kept(tmp_path).file.damage == []


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=f"the journal in {tmp_path}/file/journal cannot be written"):
        Kept(tmp_path / "file" / "journal")


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    Kept(folder).add("a", 1)
    assert {oct(os.stat(path).st_mode & 0o777) for path in (folder, folder / "00000001.journal")} == {"0o700", "0o600"}
