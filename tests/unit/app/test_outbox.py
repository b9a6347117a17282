"""The outbox: kept before sent, one id one command, no end without a server's word; and its file on the disk."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.core.commands import Maker, adjust, command
from app.core.outbox import (
    LONGEST_PAUSE_S,
    MAX_OPEN,
    OPEN,
    Added,
    Answered,
    AskNow,
    Box,
    Dropped,
    Effect,
    Ended,
    Ending,
    Entered,
    Entry,
    Forgotten,
    Happening,
    Keep,
    Lost,
    Made,
    Owner,
    Reason,
    Record,
    Send,
    Shown,
    Ticked,
    Turned,
    Unsent,
    pause_s,
    records_of,
    restored,
    same_as,
    step,
)
from app.core.outbox_file import OutboxFile, OutboxHeld

MARIA, OTTO = Owner("campus", "maria"), Owner("campus", "otto")
DONE = Ending(done=True, amount=100, balance=300, available=300)


def entry(number: int, owner: Owner = MARIA, amount: int = 100, made_at_ms: int = 5) -> Entry:
    return adjust(Maker(f"id-{number}", owner, made_at_ms), "mira", amount, "jam")


def play(box: Box, *happenings: Happening, now: float = 0.0) -> tuple[Box, list[Effect]]:
    effects: list[Effect] = []
    for what in happenings:
        box, more = step(box, what, now)
        effects += more
    return box, effects


def sent(effects: list[Effect]) -> list[str]:
    return [effect.entry.command_id for effect in effects if isinstance(effect, Send)]


def test_a_command_is_kept_before_it_is_sent_and_a_double_click_is_one() -> None:
    box, effects = play(Box(), Entered(MARIA), Made(entry(1)), Made(entry(1)))
    assert [type(effect) for effect in effects] == [Keep, Send]
    assert len(box.items) == 1


def test_a_lost_answer_is_unknown_and_asked_again_with_growing_pauses_under_the_same_id() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)))
    now = 0.0
    for tries in range(1, 9):
        box, _ = step(box, Lost("id-1", "gone"), now)
        assert box.items["id-1"].phase == "unknown"
        box, effects = step(box, Ticked(), now + pause_s(tries) - 0.01)
        assert effects == []
        now += pause_s(tries)
        box, effects = step(box, Ticked(), now)
        assert sent(effects) == ["id-1"]
    assert pause_s(100) == LONGEST_PAUSE_S


def test_asked_now_it_does_not_wait_but_never_twice_at_a_time() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)), Lost("id-1", "gone"))
    box, effects = play(box, AskNow(), AskNow("id-1"), Ticked())
    assert sent(effects) == ["id-1"]


def test_nobody_sends_what_another_made() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)), Lost("id-1", "gone"))
    box, effects = play(box, Entered(None), Ticked(), Entered(OTTO), AskNow(), AskNow("id-1"), Ticked(), now=999)
    assert effects == []
    assert box.mine() == []
    assert [item.entry.command_id for item in box.foreign()] == ["id-1"]
    _, effects = play(box, Entered(Owner("other", "maria")), Ticked(), now=999)
    assert effects == []
    _, effects = play(box, Entered(MARIA), now=999)
    assert sent(effects) == ["id-1"]


def test_who_is_logged_out_meanwhile_goes_on_later() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)), Turned("id-1", "expired", later=True))
    box, effects = play(box, Ticked(), now=999)
    assert effects == []
    box, effects = play(box, Entered(MARIA), now=999)
    assert sent(effects) == ["id-1"]


def test_a_refusal_ends_it_only_where_no_answer_was_lost() -> None:
    box, effects = play(Box(), Entered(MARIA), Made(entry(1)), Turned("id-1", "forbidden"))
    assert box.items["id-1"].phase == "refused"
    assert isinstance(effects[-1], Keep)
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)), Lost("id-1", "gone"), AskNow(), Turned("id-1", "forbidden"))
    assert box.items["id-1"].phase == "unknown"


def test_what_was_cut_off_by_leaving_is_unknown() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)), Entered(None))
    assert box.items["id-1"].phase == "unknown"
    box, _ = play(Box(), Entered(MARIA), Made(entry(2)), Unsent("id-2"))
    assert box.items["id-2"].phase == "open"


def test_only_what_was_answered_and_shown_leaves_the_disk() -> None:
    box, effects = play(Box(), Entered(MARIA), Made(entry(1)), Shown(frozenset({"id-1"})), Forgotten())
    assert Keep(Dropped("id-1")) not in effects
    box, effects = play(box, Answered("id-1", DONE), Forgotten())
    assert effects == [Keep(Ended("id-1", DONE))]
    assert "id-1" in box.items
    box, effects = play(box, Shown(frozenset({"id-1"})), Forgotten())
    assert effects == [Keep(Dropped("id-1"))]
    assert box.items == {}


def test_too_much_unanswered_takes_nothing_more() -> None:
    box, _ = play(Box(), *(Made(entry(number)) for number in range(MAX_OPEN)))
    more, effects = play(box, Made(entry(MAX_OPEN)))
    assert effects == []
    assert more == box


def test_the_same_again_for_the_same_person_is_noticed() -> None:
    box, _ = play(Box(), Entered(MARIA), Made(entry(1)))
    assert same_as(box, entry(1)) is None
    assert same_as(box, entry(2)) is not None
    assert same_as(box, entry(2, amount=200)) is None
    box, _ = play(box, Answered("id-1", DONE))
    assert same_as(box, entry(2, made_at_ms=100_000)) is not None
    assert same_as(box, entry(2, made_at_ms=400_000)) is None


def test_the_body_is_the_same_after_a_restart() -> None:
    made = adjust(Maker("01890000-0000-7000-8000-000000000001", MARIA, 5), "mira", 100, "jam")
    line = msgspec.json.encode(Added(made))
    again = msgspec.json.decode(line, type=Record)
    assert isinstance(again, Added)
    assert bytes(again.entry.body) == bytes(made.body)
    assert msgspec.json.encode(command(again.entry)) == bytes(made.body)


# ---------------------------------------------------------------- whatever happens


class Desk(RuleBasedStateMachine):
    """A console with its disk, any order of happenings, crashes between any two effects, and a server that does each id
    once."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: list[Record] = []
        self.box = Box()
        self.now = 0.0
        self.made = 0
        self.under_way: list[tuple[Entry, bool]] = []
        self.server_done: dict[str, Owner] = {}
        self.told_done: set[str] = set()

    @initialize()
    def begin(self) -> None:
        self.happen(Entered(MARIA))

    def happen(self, what: Happening, dies_after: int = 10**6) -> None:
        self.box, effects = step(self.box, what, self.now)
        for effect in effects[:dies_after]:
            if isinstance(effect, Keep):
                self.disk.append(effect.record)
                continue
            assert any(isinstance(kept, Added) and kept.entry == effect.entry for kept in self.disk), "sent unkept"
            assert effect.entry.owner == self.box.owner, "sent under another's name"
            assert effect.entry.command_id not in self.told_done, "sent after its end"
            self.under_way.append((effect.entry, False))
        if dies_after < len(effects):
            self.die()

    def die(self) -> None:
        owner = self.box.owner
        box, _ = restored(self.disk)
        self.box, self.under_way = box, []
        self.happen(Entered(owner))

    @rule(dies_after=st.sampled_from([0, 1, 2, 9]))
    def make(self, dies_after: int) -> None:
        if self.box.owner is not None:
            self.made += 1
            self.happen(Made(entry(self.made, self.box.owner)), dies_after)

    @rule(owner=st.sampled_from([MARIA, OTTO, None]))
    def enter(self, owner: Owner | None) -> None:
        self.under_way = []
        self.happen(Entered(owner))

    @rule(passed=st.sampled_from([0.1, 1.0, 40.0]), ask=st.booleans())
    def wait(self, passed: float, ask: bool) -> None:
        self.now += passed
        self.happen(AskNow() if ask else Ticked())

    @precondition(lambda self: self.under_way)
    @rule(place=st.integers(0, 9), outcome=st.sampled_from(["done", "done unheard", "lost", "turned", "expired"]))
    def end(self, place: int, outcome: str) -> None:
        sent_entry, _ = self.under_way.pop(place % len(self.under_way))
        key = sent_entry.command_id
        if outcome.startswith("done"):
            self.server_done.setdefault(key, sent_entry.owner)
        match outcome:
            case "done":
                self.told_done.add(key)
                self.happen(Answered(key, DONE))
            case "turned":
                self.happen(Turned(key, "forbidden"))
            case "expired":
                self.happen(Turned(key, "expired", later=True))
            case _:
                self.happen(Lost(key, "gone"))

    @rule(crash=st.booleans())
    def read(self, crash: bool) -> None:
        self.happen(Shown(frozenset(self.box.items)))
        self.happen(Forgotten())
        if crash:
            self.die()

    @rule()
    def crash(self) -> None:
        self.die()

    @rule()
    def compact(self) -> None:
        self.disk = records_of(self.box, ())

    @invariant()
    def nothing_is_called_what_it_is_not(self) -> None:
        for item in self.box.items.values():
            key = item.entry.command_id
            if item.phase == "done":
                assert key in self.server_done
            if item.phase == "refused":
                assert key not in self.server_done, "refused though it was done"
            assert item.entry.owner == self.server_done.get(key, item.entry.owner)

    @invariant()
    def what_may_have_been_done_is_never_forgotten(self) -> None:
        for key in self.server_done.keys() - self.told_done:
            assert self.box.items[key].phase in OPEN


def test_whatever_happens_nothing_is_paid_twice_or_forgotten() -> None:
    run_state_machine_as_test(Desk, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))


# ---------------------------------------------------------------- on the disk


@dataclass
class Disk:
    path: Path
    open_files: list[OutboxFile] = field(default_factory=list)

    def take(self) -> tuple[OutboxFile, list[Record]]:
        file = OutboxFile(self.path)
        records = file.take()
        self.open_files.append(file)
        return file, records


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "state" / "outbox.log")


RECORDS: list[Record] = [Added(entry(1)), Ended("id-1", DONE), Reason("jam"), Added(entry(2)), Dropped("id-1")]


def test_what_is_written_is_read_and_only_its_owner_may(disk: Disk) -> None:
    file, _ = disk.take()
    file.append(RECORDS)
    assert stat.S_IMODE(os.stat(disk.path).st_mode) == 0o600
    file.close()
    _, records = disk.take()
    assert records == RECORDS
    box, reasons = restored(records)
    assert {key: item.phase for key, item in box.items.items()} == {"id-2": "unknown"}
    assert reasons == ("jam",)


def test_one_console_at_a_time(disk: Disk) -> None:
    first, _ = disk.take()
    with pytest.raises(OutboxHeld, match="another console"):
        OutboxFile(disk.path).take()
    first.close()
    disk.take()


@given(cut=st.integers(1, 10_000))
def test_a_torn_end_is_cut_off_and_the_rest_stays(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("torn") / "outbox.log"
    file = OutboxFile(path)
    file.take()
    file.append(RECORDS)
    file.close()
    content = path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    whole = content[: cut % len(content)].count(b"\n")
    file = OutboxFile(path)
    assert file.take() == RECORDS[:whole]
    assert file.damaged == 0
    file.append([Reason("after")])
    file.close()
    file = OutboxFile(path)
    assert file.take() == [*RECORDS[:whole], Reason("after")]
    file.close()


def test_damage_in_the_middle_is_kept_beside_and_the_rest_read(disk: Disk) -> None:
    file, _ = disk.take()
    file.append(RECORDS)
    file.close()
    content = bytearray(disk.path.read_bytes())
    content[15] ^= 1
    disk.path.write_bytes(content)
    file, records = disk.take()
    assert records == RECORDS[1:]
    assert file.damaged == 1
    assert disk.path.with_suffix(".damaged").read_bytes() == bytes(content)


def test_written_anew_it_is_small_and_says_the_same(disk: Disk) -> None:
    file, _ = disk.take()
    for number in range(40):
        file.append([Added(entry(number)), Ended(f"id-{number}", DONE), Dropped(f"id-{number}")])
    file.append(RECORDS)
    before = file.size
    box, reasons = restored([*RECORDS])
    file.rewrite(records_of(box, reasons))
    assert file.size < before / 10
    file.append([Reason("later")])
    file.close()
    _, records = disk.take()
    assert restored(records) == (box, ("later", "jam"))
