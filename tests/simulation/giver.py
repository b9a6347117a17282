"""Who gives a command in the simulation, and how much they may move: told by its comment, so that whoever gives it
again is the same."""

from typing import Final, NamedTuple

from backend.intake.model import NO_LIMITS, Body, Limits, Money

HEDY: Final = "given by hedy"
LIMITS: Final = Limits(each=2_500, day=4_500)


class Giver(NamedTuple):
    """As the intake knows them."""

    actor: str
    role: str
    limits: Limits


def giver(body: Body) -> Giver:
    """Some of the commands that move money by hand are given by somebody of the help desk, who has limits."""
    if not isinstance(body, Money):
        return Giver("simulation", "", NO_LIMITS)
    if body.comment == HEDY:
        return Giver("helpdesk:hedy", "helpdesk", LIMITS)
    return Giver("admin:ann", "admin", NO_LIMITS)
