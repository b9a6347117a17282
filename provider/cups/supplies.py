"""What is left in the printers: each asked now and then by IPP, the answers kept for as long as they may be true.

Nobody waits for this. A few printers at a time are asked, each within ASK_S, so thousands of queues are asked one
handful after another, and those that do not answer ever more seldom. Printers behind other schemes are not asked: cupsd
tells what it knows of them. Queues that lead to one printer ask it once.

Invariant: what `of` tells was said by the printer at most FORGET_S ago; at most AT_ONCE questions are on their way.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from msgspec import structs

from backend.base.clock import Clock
from backend.client.names import Names
from backend.wire.printers import QueueReport, Supply
from provider.cups import ipp, markers
from provider.cups.client import SCHEME, Queue, printer_client
from provider.errors import CupsError
from provider.jobs.rules import IPP_SCHEMES
from provider.rounds import rounds

EVERY_S: Final = 60.0
FORGET_S: Final = 600.0
ASK_S: Final = 2.0
AT_ONCE: Final = 8
ROUND_S: Final = 0.4

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a printer said, and when by this process's clock."""

    at_s: float
    supplies: tuple[Supply, ...]
    media_ready: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass
class _Asked:
    due_s: float
    pause_s: float = EVERY_S
    answer: Answer | None = None


class Supplies:
    """The printers behind one cupsd's queues. Belongs to one event loop."""

    def __init__(self, clock: Clock, names: Names) -> None:
        self._clock = clock
        self._names = names
        self._asked: dict[str, _Asked] = {}
        self._printers: dict[str, str] = {}

    def note(self, queues: Iterable[Queue]) -> None:
        """The queues as cupsd has them now: who is new is asked soon, who is gone is forgotten."""
        now_s = self._clock.monotonic_s()
        self._printers = {queue.report.name: uri for queue in queues if (uri := printer_of(queue.device_uri))}
        wanted = set(self._printers.values())
        self._asked = {uri: asked for uri, asked in self._asked.items() if uri in wanted}
        for uri in wanted:
            self._asked.setdefault(uri, _Asked(now_s))

    def of(self, queue_name: str) -> tuple[tuple[Supply, ...], tuple[str, ...]]:
        """What the queue's printer said of its supplies and of the media in its trays; nothing where it said none."""
        answer = self._answer(queue_name)
        return (answer.supplies, answer.media_ready) if answer is not None else ((), ())

    def reasons(self, queue_name: str) -> tuple[str, ...]:
        """The printer's own printer-state-reasons: cupsd knows them only while it prints there."""
        answer = self._answer(queue_name)
        return answer.reasons if answer is not None else ()

    def complete(self, report: QueueReport) -> QueueReport:
        """cupsd's report of a queue with what its printer said."""
        supplies, media = self.of(report.name)
        reasons = tuple(dict.fromkeys((*report.printer_state_reasons, *self.reasons(report.name))))
        return structs.replace(
            report,
            printer_state_reasons=reasons[: markers.MOST_REASONS],
            supplies=supplies or report.supplies,
            media_ready=media or report.media_ready,
        )

    def _answer(self, queue_name: str) -> Answer | None:
        asked = self._asked.get(self._printers.get(queue_name, ""))
        if asked is None or asked.answer is None or self._clock.monotonic_s() - asked.answer.at_s > FORGET_S:
            return None
        return asked.answer

    async def run(self) -> None:
        """For ever."""
        await rounds(ROUND_S, self.look, "printers could not be asked for their supplies")

    async def look(self) -> None:
        """One round: those that have waited longest, as many as may be asked at once."""
        now_s = self._clock.monotonic_s()
        due = sorted((uri for uri, asked in self._asked.items() if asked.due_s <= now_s), key=self._due_s)[:AT_ONCE]
        await asyncio.gather(*(self._ask(uri, self._asked[uri]) for uri in due))

    def _due_s(self, uri: str) -> float:
        return self._asked[uri].due_s

    async def _ask(self, uri: str, asked: _Asked) -> None:
        try:
            async with asyncio.timeout(ASK_S):
                asked.answer = await self._answer_of(uri)
        except (CupsError, TimeoutError) as error:
            _log.debug("%s does not tell of its supplies: %s", uri, error or "no answer")
            asked.pause_s = min(2 * asked.pause_s, FORGET_S)
        else:
            asked.pause_s = EVERY_S
        asked.due_s = self._clock.monotonic_s() + asked.pause_s

    async def _answer_of(self, uri: str) -> Answer:
        client = printer_client(uri, self._names)
        attributes = {
            "printer-uri": ipp.uri(client.uri),
            "requesting-user-name": ipp.name("inkeeper"),
            "requested-attributes": ipp.keywords(markers.ASKED),
        }
        message = await client.ask(ipp.GET_PRINTER_ATTRIBUTES, attributes, ASK_S)
        group = next(iter(message.of(ipp.PRINTER_GROUP)), ipp.Group(ipp.PRINTER_GROUP))
        reasons = markers.read_reasons(group.texts("printer-state-reasons"))
        return Answer(self._clock.monotonic_s(), markers.read_supplies(group), markers.read_media(group), reasons)


def printer_of(device_uri: str) -> str:
    """The printer that may be asked behind this device URI, "" for none. Pure."""
    uri = device_uri.removeprefix(SCHEME)
    try:
        parts = urlsplit(uri)
        known = parts.scheme in IPP_SCHEMES and bool(parts.hostname)
    except ValueError:
        return ""
    return uri if known else ""
