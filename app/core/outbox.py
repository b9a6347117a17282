"""The console's outbox: every command that moves money or a job, from before it is first sent until its end was read.

`step(box, happening, now)` is pure: the driver (app/qt/desk.py) carries the effects out in their order, `Keep` on the
disk before `Send` on the network. So a console that dies between the two finds the command again and asks under the
very id it would have used, and a server that did it already only says so again.

Invariants: an entry is kept before it is sent, and sent by nobody but the operator who made it, to no cluster but the
one it was made for. One id is asked for by one request at a time. Nothing is called done or refused but by a server's
word, and once it is called so it is never sent again. A refusal after an answer that was lost tells nothing of what
the lost one did: such an entry stays unknown. An entry leaves the disk only once it has ended and its end was shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

import msgspec

Verb = Literal["release", "cancel", "tick-off", "adjust", "set-balance", "refund", "reverse"]
Phase = Literal["open", "unknown", "done", "refused"]
"""open: not sent yet, or certainly not done; unknown: an answer was lost. Both are asked until they are answered."""

OPEN: Final[frozenset[Phase]] = frozenset({"open", "unknown"})
MAX_OPEN: Final = 500
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
AGAIN_MS: Final = 120_000
"""The same thing for the same person within this time is most often a mistake: the dialog says so."""


class Owner(msgspec.Struct, frozen=True):
    """Whose command it is: the operator (a name is one person's or one program's), in which cluster."""

    cluster: str
    name: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One command as it is kept and sent: `body` goes to `path`, the same each time. The rest is for people: whom and
    which job (`title`) it is about, how much (minor units, signed as the person sees it)."""

    command_id: str
    verb: Verb
    owner: Owner
    path: str
    body: msgspec.Raw
    made_at_ms: int
    user_name: str
    title: str = ""
    job_id: str = ""
    sequence: int = 0
    amount: int | None = None
    comment: str = ""


class Ending(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server's word on a command. `text` says why it was refused; the amounts are those of the answer."""

    done: bool
    text: str = ""
    code: str = ""
    amount: int | None = None
    balance: int | None = None
    available: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry and how it stands. `text` says why no answer came; `doubted` that one was lost at least once, so that
    it may have been done; `barred` that it waits for its owner to log in again. `due_at` is on the monotonic clock."""

    entry: Entry
    phase: Phase = "open"
    text: str = ""
    ending: Ending | None = None
    asking: bool = False
    doubted: bool = False
    barred: bool = False
    tries: int = 0
    due_at: float = 0.0
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """`items` by command id, in the order in which they were made. `owner` is who is logged in, None for nobody."""

    items: Mapping[str, Item] = field(default_factory=dict)
    owner: Owner | None = None

    def mine(self) -> list[Item]:
        """What may be told to, and sent for, who is logged in."""
        return [item for item in self.items.values() if item.entry.owner == self.owner]

    def foreign(self) -> list[Item]:
        """What waits for another operator, or for the same one in another cluster."""
        return [item for item in self.items.values() if item.entry.owner != self.owner and item.phase in OPEN]


# ---------------------------------------------------------------- what happens


@dataclass(frozen=True, slots=True)
class Made:
    """A person decided. Made twice under the same id (a double click) it is one command."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody is logged in, or (None) nobody is any more."""

    owner: Owner | None


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class AskNow:
    """Do not wait for the pause to end: somebody wants to know, or a server is back. "" for all."""

    command_id: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    command_id: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came: it was done or it was not."""

    command_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """It certainly did not leave: the connection was given up before."""

    command_id: str


@dataclass(frozen=True, slots=True)
class Turned:
    """A server turned this request away (a problem, not an answer). `later` where it may go through once the owner has
    logged in again."""

    command_id: str
    text: str
    later: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """The ends of these were on the screen."""

    command_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What ended and was shown may leave the screen."""


Happening: TypeAlias = (
    Made | Entered | Ticked | AskNow | Answered | Lost | Unsent | Turned | Shown | Forgotten
)  # fmt: skip


# ---------------------------------------------------------------- what is to be done


class Added(msgspec.Struct, frozen=True, tag="add", tag_field="is"):
    entry: Entry


class Ended(msgspec.Struct, frozen=True, tag="end", tag_field="is"):
    command_id: str
    ending: Ending


class Dropped(msgspec.Struct, frozen=True, tag="drop", tag_field="is"):
    command_id: str


class Reason(msgspec.Struct, frozen=True, tag="reason", tag_field="is"):
    """A reason that somebody gave: offered the next time."""

    text: str


Record = Added | Ended | Dropped | Reason


@dataclass(frozen=True, slots=True)
class Keep:
    """Bring this to the disk before anything that comes after it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Send:
    entry: Entry


Effect: TypeAlias = Keep | Send


def step(box: Box, what: Happening, now: float) -> tuple[Box, list[Effect]]:
    """What one more happening makes of the box, and what is to be done. What comes too late changes nothing."""
    match what:
        case Made(entry):
            return _made(box, entry, now)
        case Entered(owner):
            return _entered(box, owner, now)
        case Ticked():
            return _send_due(box, now)
        case AskNow(command_id):
            wanted = [item for item in box.mine() if item.phase in OPEN and command_id in ("", item.entry.command_id)]
            return _send_due(_with(box, *(replace(item, due_at=now, barred=False) for item in wanted)), now)
        case Shown(command_ids):
            return _shown(box, command_ids)
        case Forgotten():
            kept = {key: item for key, item in box.items.items() if not (item.ending is not None and item.shown)}
            return replace(box, items=kept), []
        case _:
            item = box.items.get(what.command_id)
            return _told(box, item, what, now) if item is not None and item.phase in OPEN else (box, [])


def too_many(box: Box) -> bool:
    """Whether so much is unanswered that nothing more may be begun."""
    return sum(item.phase in OPEN for item in box.items.values()) >= MAX_OPEN


def restored(records: list[Record]) -> tuple[Box, tuple[str, ...]]:
    """The box and the reasons, newest first, that a file's records stand for. What is still open may have been sent
    before the console ended: it is unknown."""
    items: dict[str, Item] = {}
    reasons: dict[str, None] = {}
    for record in records:
        match record:
            case Added(entry):
                items.setdefault(entry.command_id, Item(entry, phase="unknown", doubted=True, text=RESTARTED))
            case Ended(command_id, ending) if command_id in items:
                phase: Phase = "done" if ending.done else "refused"
                items[command_id] = replace(items[command_id], phase=phase, ending=ending, text=ending.text)
            case Dropped(command_id):
                items.pop(command_id, None)
            case Reason(text):
                reasons.pop(text, None)
                reasons[text] = None
    return Box(items), tuple(reversed(reasons))


def records_of(box: Box, reasons: tuple[str, ...]) -> list[Record]:
    """The fewest records that `restored` makes the same of."""
    found: list[Record] = [Reason(text) for text in reversed(reasons)]
    for item in box.items.values():
        if item.ending is not None and item.shown:
            continue
        found.append(Added(item.entry))
        if item.ending is not None:
            found.append(Ended(item.entry.command_id, item.ending))
    return found


RESTARTED: Final = "the console was closed before its answer came"


def pause_s(tries: int) -> float:
    """How long to wait after the n-th try (from 1) without an answer: doubling, bounded."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10))


def same_as(box: Box, entry: Entry) -> Item | None:
    """The newest other command that does the same to the same person and is still open or was made just now."""
    found = [
        item
        for item in box.mine()
        if item.entry.command_id != entry.command_id
        and (item.entry.verb, item.entry.user_name, item.entry.job_id, item.entry.sequence, item.entry.amount)
        == (entry.verb, entry.user_name, entry.job_id, entry.sequence, entry.amount)
        and (item.phase in OPEN or (item.phase == "done" and entry.made_at_ms - item.entry.made_at_ms < AGAIN_MS))
    ]
    return found[-1] if found else None


def _made(box: Box, entry: Entry, now: float) -> tuple[Box, list[Effect]]:
    if entry.command_id in box.items or too_many(box):
        return box, []
    box, effects = _send_due(_with(box, Item(entry, due_at=now)), now)
    return box, [Keep(Added(entry)), *effects]


def _entered(box: Box, owner: Owner | None, now: float) -> tuple[Box, list[Effect]]:
    """Requests under way belong to the connection that ends here: whether they arrived is not known."""
    if owner == box.owner:
        return _send_due(_with(box, *(replace(item, barred=False) for item in box.mine() if item.barred)), now)
    left = [
        replace(item, asking=False, doubted=True, phase="unknown", text="its connection was left")
        for item in box.items.values()
        if item.asking
    ]
    box = replace(_with(box, *left), owner=owner)
    mine = [replace(item, barred=False, due_at=now) for item in box.mine() if item.phase in OPEN]
    return _send_due(_with(box, *mine), now)


def _send_due(box: Box, now: float) -> tuple[Box, list[Effect]]:
    due = [
        replace(item, asking=True, tries=item.tries + 1)
        for item in box.mine()
        if box.owner is not None and item.phase in OPEN and not item.asking and not item.barred and item.due_at <= now
    ]
    return _with(box, *due), [Send(item.entry) for item in due]


def _told(
    box: Box, item: Item, what: Answered | Lost | Unsent | Turned, now: float
) -> tuple[Box, list[Effect]]:  # fmt: skip
    """A request came to its end."""
    item = replace(item, asking=False)
    match what:
        case Answered(_, ending):
            return _ended(box, item, ending)
        case Lost(_, text):
            lost = replace(item, phase="unknown", doubted=True, text=text, due_at=now + pause_s(item.tries))
            return _with(box, lost), []
        case Unsent():
            return _with(box, replace(item, due_at=now + FIRST_PAUSE_S)), []
        case Turned(_, text, later):
            if later:
                return _with(box, replace(item, text=text, barred=True)), []
            if item.doubted:
                return _with(box, replace(item, text=text, due_at=now + LONGEST_PAUSE_S)), []
            return _ended(box, item, Ending(done=False, text=text))


def _ended(box: Box, item: Item, ending: Ending) -> tuple[Box, list[Effect]]:
    phase: Phase = "done" if ending.done else "refused"
    ended = replace(item, phase=phase, ending=ending, text=ending.text)
    return _with(box, ended), [Keep(Ended(item.entry.command_id, ending))]


def _shown(box: Box, command_ids: frozenset[str]) -> tuple[Box, list[Effect]]:
    seen = [
        item
        for item in box.mine()
        if item.entry.command_id in command_ids and item.ending is not None and not item.shown
    ]
    box = _with(box, *(replace(item, shown=True) for item in seen))
    return box, [Keep(Dropped(item.entry.command_id)) for item in seen]


def _with(box: Box, *items: Item) -> Box:
    return replace(box, items={**box.items, **{item.entry.command_id: item for item in items}}) if items else box
