"""The conversation about one action: ask for the plan, show it, ask for the deed once, follow it. Pure.

A `Talk` is what the dialog knows, `step` what one more thing that happened makes of it, `screen` what it shows. The
dialog itself only carries out: it sends what the person asked for and hands in what came back.

Invariant: the deed is asked for once. After an answer that was lost the only way on is to look, or to begin a new
talk with a new dry run.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from app.core.operations import ANY, CALM, WORDS, PlanView, Verb, plan_view
from app.core.progress import WAIT_S, Seen, Wish
from app.core.viewdata import Tone
from backend.wire.cluster import Plan

Phase = Literal["asking", "planned", "unplanned", "acting", "following", "unknown", "done", "failed", "refused"]
OVER: Final[frozenset[Phase]] = frozenset({"done", "failed", "refused"})
WATCHED: Final[frozenset[Phase]] = frozenset({"following", "unknown"})


@dataclass(frozen=True, slots=True)
class Talk:
    """`subject` is what was chosen (ANY: whichever is best), `plan` the last one told for it, `problem` says in a few
    words what went wrong and `why` in a line, `acted_at` when the deed was asked for, on the monotonic clock."""

    verb: Verb
    subject: str = ANY
    phase: Phase = "asking"
    plan: PlanView | None = None
    forced: bool = False
    problem: str = ""
    why: str = ""
    again: bool = False
    wish: Wish | None = None
    acted_at: float = 0.0
    seen: Seen | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Another subject, or the same to be planned anew."""

    subject: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The dry run's answer."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class NoPlan:
    """The dry run was refused or not answered: what in a few words, and why; `again` says whether asking again may
    help."""

    title: str
    text: str
    again: bool


@dataclass(frozen=True, slots=True)
class Force:
    on: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """The deed is on its way."""

    wish: Wish


@dataclass(frozen=True, slots=True)
class Answered:
    """The deed's answer: the plan as it was carried out, or the one that blocks it by now."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class NotDone:
    """Certainly nothing was done: refused, or no server could be asked."""

    title: str
    text: str
    again: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The answer did not come: it was done or it was not."""

    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    seen: Seen


Happening: TypeAlias = Chosen | Planned | NoPlan | Force | Asked | Answered | NotDone | Lost | Looked


def step(talk: Talk, what: Happening, now: float) -> Talk:
    """What one more happening makes of the talk. What comes too late for its phase changes nothing."""
    match what:
        case Chosen(subject) if talk.phase in ("asking", "planned", "unplanned", "refused"):
            return Talk(talk.verb, subject, plan=talk.plan if subject == talk.subject else None, forced=talk.forced)
        case Planned(plan) if talk.phase == "asking":
            view = plan_view(talk.verb, plan)
            return replace(talk, phase="planned", plan=view, forced=talk.forced and view.forcible, problem="")
        case NoPlan(title, text, again) if talk.phase == "asking":
            return replace(talk, phase="unplanned", plan=None, problem=title, why=text, again=again)
        case Force(on) if talk.phase == "planned":
            return replace(talk, forced=on)
        case Asked(wish) if may_act(talk):
            return replace(talk, phase="acting", wish=wish, acted_at=now, problem="")
        case Answered(plan) if talk.phase == "acting":
            return _answered(talk, plan)
        case NotDone(title, text, again) if talk.phase == "acting":
            return replace(talk, phase="refused", problem=f"Nothing was done: {title}", why=text, again=again)
        case Lost(text) if talk.phase == "acting":
            return replace(talk, phase="unknown", problem="The answer was lost", why=text)
        case Looked(seen) if talk.phase in WATCHED:
            return _looked(talk, seen)
        case _:
            return talk


def _answered(talk: Talk, plan: Plan) -> Talk:
    view = plan_view(talk.verb, plan)
    if plan.done:
        return replace(talk, phase="following", plan=view)
    text = "; ".join(view.against or view.notes) or "the server did nothing"
    return replace(
        talk, phase="refused", plan=view, problem="Nothing was done: it is blocked now", why=text, again=True
    )


def _looked(talk: Talk, seen: Seen) -> Talk:
    """After a lost answer only what is as it was wished for counts: "failed" may be another's doing."""
    if seen.outcome == "done":
        return replace(talk, phase="done", seen=seen)
    if seen.outcome == "failed" and talk.phase == "following":
        return replace(talk, phase="failed", seen=seen)
    return replace(talk, seen=seen)


def may_act(talk: Talk) -> bool:
    plan = talk.plan
    if talk.phase != "planned" or plan is None:
        return False
    return plan.possible or (plan.forcible and talk.forced)


def is_late(talk: Talk, now: float) -> bool:
    """Whether the end should have been seen by now."""
    return talk.phase in WATCHED and now - talk.acted_at > WAIT_S[talk.verb]


# ---------------------------------------------------------------- what is shown


@dataclass(frozen=True, slots=True)
class Screen:
    """`headline` with its mark; `lines` each with a mark of its own; `hint` is said below them. The button for the
    deed stands out as `danger` where it is forced, and is the default where it is `calm`."""

    tone: Tone
    headline: str
    lines: tuple[tuple[Tone, str], ...] = ()
    hint: str = ""
    act: str = ""
    can_act: bool = False
    danger: bool = False
    calm: bool = False
    force: str = ""
    again: str = ""
    choosing: bool = False
    close: str = "Cancel"


def screen(talk: Talk, live: bool, now: float) -> Screen:
    """What the dialog shows. `live` says whether the state that it follows is a fresh one."""
    base = Screen("unknown", "", act=_act_text(talk))
    match talk.phase:
        case "asking":
            text = "Asking what it would do …" if talk.plan is None else "Things changed; asking anew …"
            return replace(base, tone="waiting", headline=text, choosing=True)
        case "planned":
            return _planned(talk, base)
        case "unplanned":
            again = "Ask again" if talk.again else ""
            return replace(
                base, tone="error", headline=talk.problem, lines=_why(talk), again=again, choosing=True, act=""
            )
        case "acting":
            return replace(base, tone="waiting", headline="Asking the cluster to do it …", close="Close")
        case "following":
            return _following(talk, base, live, now)
        case "unknown":
            return _unknown(talk, base, live)
        case "done":
            lines = talk.seen.lines if talk.seen is not None else ()
            return replace(base, tone="ok", headline=_done_text(talk), lines=lines, act="", close="Close")
        case "failed":
            lines = talk.seen.lines if talk.seen is not None else ()
            return replace(base, tone="warning", headline="It came otherwise", lines=lines, act="", close="Close")
        case "refused":
            again = "Look again" if talk.again else ""
            lines = _why(talk)
            return replace(base, tone="error", headline=talk.problem, lines=lines, act="", again=again, close="Close")


def _why(talk: Talk) -> tuple[tuple[Tone, str], ...]:
    return (("plain", talk.why),) if talk.why else ()


def _act_text(talk: Talk) -> str:
    if talk.plan is not None:
        return talk.plan.act
    return WORDS[talk.verb].act.format(talk.subject) if talk.subject else WORDS[talk.verb].title


def _planned(talk: Talk, base: Screen) -> Screen:
    plan = talk.plan
    assert plan is not None  # a planned talk has one
    lines: tuple[tuple[Tone, str], ...] = (
        *(("error", f"Against it: {text}") for text in plan.against),
        *(("warning", f"To be known: {text}") for text in plan.notes),
    )
    return replace(
        base,
        tone=plan.tone,
        headline=plan.verdict,
        lines=lines,
        can_act=may_act(talk),
        danger=plan.forcible and talk.forced,
        calm=talk.verb in CALM and plan.possible,
        force="Do it &anyway" if plan.forcible else "",
        choosing=True,
        act=plan.act if plan.steps else "",
        close="Cancel" if plan.steps else "Close",
    )


def _following(talk: Talk, base: Screen, live: bool, now: float) -> Screen:
    lines = talk.seen.lines if talk.seen is not None else ()
    hint = "The window may be closed; it goes on by itself, and the history tells how it ends."
    if not live:
        lines = (*lines, ("unknown", "The state cannot be read now: this is what was seen last"))
    if is_late(talk, now):
        text = f"Not seen to be done within {WAIT_S[talk.verb]:.0f} s; it may still come. Look at the cluster’s state."
        return replace(base, tone="warning", headline=text, lines=lines, hint=hint, act="", close="Close")
    text = f"Under way for {max(0, int(now - talk.acted_at))} s"
    return replace(base, tone="active", headline=text, lines=lines, hint=hint, act="", close="Close")


def _unknown(talk: Talk, base: Screen, live: bool) -> Screen:
    seen = talk.seen.lines if talk.seen is not None and live else ()
    state: tuple[tuple[Tone, str], ...] = seen or (("unknown", "The state cannot be read now"),)
    return replace(
        base,
        tone="warning",
        headline="Unknown: the answer was lost. Look at the state before you ask again",
        lines=(*_why(talk), *state),
        hint="It is not asked for a second time by itself. If it was done, this window shows it.",
        act="",
        close="Close",
    )


def _done_text(talk: Talk) -> str:
    return "Done" if talk.problem == "" else "Done: the answer was lost, but the state shows it"
