"""Who gives a command in the simulation, and how much they may move: told by its comment, so that whoever gives it
again is the same."""

from typing import Final, NamedTuple

from backend.intake.model import NO_LIMITS, Body, Limits, Money

CLERKS: Final = ("hedy", "ivo")  # of the help desk: they log in
LIMITS: Final = Limits(each=2_500, day=4_500)
_BY: Final = "given by "


class Giver(NamedTuple):
    """As the intake knows them."""

    actor: str
    role: str
    limits: Limits


def by(clerk: str) -> str:
    """The comment of a command that this clerk gives."""
    return f"{_BY}{clerk}"


def clerk_of(body: Body) -> str:
    """The clerk who gives this, "" where it is somebody else."""
    name = body.comment.removeprefix(_BY) if isinstance(body, Money) else ""
    return name if name in CLERKS else ""


def giver(body: Body) -> Giver:
    """Some of the commands that move money by hand are given by somebody of the help desk, who has limits."""
    if not isinstance(body, Money):
        return Giver("simulation", "", NO_LIMITS)
    if clerk := clerk_of(body):
        return Giver(f"helpdesk:{clerk}", "helpdesk", LIMITS)
    return Giver("admin:ann", "admin", NO_LIMITS)
