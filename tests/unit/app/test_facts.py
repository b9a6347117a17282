"""The facts beside the picture: supplies, media, print servers' own word."""

import msgspec
import pytest

from app.core import facts
from app.core.operations import node_offers
from app.core.reducer import Rights
from backend.wire.printers import ServerContact, Supply
from tests.support.console_world import provider, queue, small_topology


@pytest.mark.parametrize(
    ("level", "low", "shown"),
    [
        (64, False, ("text", "64 %")),
        (6, True, ("warning", "6 %, low")),
        (0, True, ("error", "Empty")),
        (-1, False, ("muted", "No limit")),
        (-2, False, ("muted", "Not known")),
        (-3, False, ("muted", "Some left")),
        (-3, True, ("warning", "Some left, low")),
    ],
)
def test_a_supply_in_words(level: int, low: bool, shown: tuple[str, str]) -> None:
    assert facts.supply_word(Supply(name="Black", level=level, low=low)) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("iso_a4_210x297mm", "A4, 210 × 297 mm"),
        ("na_letter_8.5x11in", "Letter, 8.5 × 11 in"),
        ("custom", "custom"),
    ],
)
def test_media_by_their_own_names(name: str, shown: str) -> None:
    assert facts.media_text(name) == shown


def test_a_queue_tells_what_it_does() -> None:
    held = queue(1, "print-01", "library", hold_jobs=True, offline_policy="hold", partial_charge="nothing")
    found = dict(facts.facts(small_topology(queues=(held,)), "queue:1", 0.0))
    assert found["Jobs"] == "held until released"
    assert found["While no server answers"] == "hold until a server answers"
    assert found["A print that broke off"] == "costs nothing"
    bare = queue(1, "print-01", "library", tracked=False)
    assert dict(facts.facts(small_topology(queues=(bare,)), "queue:1", 0.0))["Counted"] == "no: this queue is untracked"


def test_a_print_server_tells_of_its_servers_as_old_as_its_own_word() -> None:
    contacts = (ServerContact(url="http://a:9191", age_s=2.0), ServerContact(url="http://b:9191", trouble="refused"))
    view = msgspec.structs.replace(
        provider(1, "print-01", backlog=3),
        contacts=contacts,
        held_jobs=2,
        trouble="the disk is full",
        disk_free_bytes=80_000_000_000,
    )
    found = dict(facts.facts(small_topology(providers=(view,)), "provider:1", 9.0))
    assert found["Sees a:9191"] == "answered 12 s ago"
    assert found["Sees b:9191"] == "never answered; refused"
    assert (found["Held jobs"], found["Disk left"], found["Trouble"]) == ("2", "80 GB", "the disk is full")


def test_only_an_administrator_changes_a_queue() -> None:
    (offer,) = node_offers("queue:1", small_topology(), Rights(True))
    assert (offer.verb, offer.subject, offer.enabled) == ("edit-queue", "1", True)
    assert [found.reason for found in node_offers("queue:1", small_topology(), Rights(False, "no"))] == ["no"]
