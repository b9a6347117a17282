"""Asking printers what is left in them: real ones, and ones that are hostile, frozen, many."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.base.clock import ManualClock, SystemClock
from backend.client.names import Names
from backend.wire.printers import QueueReport, Supply
from provider.cups import ipp
from provider.cups.client import Queue
from provider.cups.printer import UNREACHED, ask_about
from provider.cups.supplies import AT_ONCE, EVERY_S, FORGET_S, Supplies
from provider.jobs.model import PrinterWord, RunRecord
from tests.support.printer import IppPrinter

MARKERS = """\
ATTR name marker-names "Black","Drum","Waste box"
ATTR name marker-colors "#000000","none","none"
ATTR keyword marker-types toner,opc,waste-toner
ATTR integer marker-levels 4,-3,95
ATTR integer marker-low-levels 5,5,0
ATTR integer marker-high-levels 100,100,90
ATTR keyword media-ready iso_a4_210x297mm,iso_a3_297x420mm
ATTR keyword printer-state-reasons toner-low-warning
"""

TRAYS = """\
ATTR collection media-col-ready
{ MEMBER collection media-size { MEMBER integer x-dimension 21000 MEMBER integer y-dimension 29700 }
  MEMBER keyword media-source tray-1 },
{ MEMBER collection media-size { MEMBER integer x-dimension 21590 MEMBER integer y-dimension 35560 }
  MEMBER keyword media-source tray-2 }
"""


def queue(name: str, uri: str, *reasons: str) -> Queue:
    report = QueueReport(name=name, tracked=True, device_uri=uri, printer_state_reasons=reasons)
    return Queue(report, uri, is_class=False, unauthenticated=False)


async def asked_once(found: Supplies, *queues: Queue) -> Supplies:
    found.note(queues)
    await found.look()
    return found


def test_a_real_printer_tells_what_is_left(scratch: Path) -> None:
    """ippeveprinter's own words are PWG 5100.13's strings, with others of ours it has the lists beside them."""
    with (
        IppPrinter(scratch / "a", "a") as plain,
        IppPrinter(scratch / "b", "b", attributes=MARKERS) as listing,
        IppPrinter(scratch / "d", "d", attributes=TRAYS) as describing,
    ):
        queues = (
            queue("a", f"inkeeper:/{plain.uri}"),
            queue("b", listing.uri, "media-low"),
            queue("c", "socket://x"),
            queue("d", describing.uri),
        )
        found = asyncio.run(asked_once(Supplies(SystemClock(), Names()), *queues))
    told, media = found.of("a")
    assert Supply(name="Black Ink", level=75, color="#000000", kind="ink") in told
    assert [supply.level for supply in told] == [25, 75, 50, 33, 67]
    assert media == ("na_letter_8.5x11in", "na_index-4x6_4x6in")
    assert found.of("b") == (
        (
            Supply(name="Black", level=4, color="#000000", kind="toner", low=True),
            Supply(name="Drum", level=-3, kind="opc"),
            Supply(name="Waste box", level=95, kind="waste-toner", low=True),
        ),
        ("iso_a4_210x297mm", "iso_a3_297x420mm"),
    )
    assert found.of("d")[1] == ("iso_a4_210x297mm", "na_legal_8.5x14in")
    assert found.of("c") == found.of("unheard of") == ((), ())
    complete = found.complete(queues[1].report)
    assert (complete.supplies, complete.media_ready) == found.of("b")


def answer(**texts: str) -> bytes:
    """HTTP and IPP that tell these keywords of a printer."""
    parts = [ipp.encode_request(0, 1, {})[:-1], bytes([ipp.PRINTER_GROUP])]
    for name, text in texts.items():
        label = name.replace("_", "-").encode()
        head = bytes([ipp.KEYWORD]) + len(label).to_bytes(2, "big") + label
        parts.append(head + len(text).to_bytes(2, "big") + text.encode())
    body = b"".join([*parts, bytes([ipp.END_GROUP])])
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Device:
    """Something that listens where a printer should: it says `said`, or nothing at all."""

    def __init__(self, said: bytes = b"") -> None:
        self.said = said
        self.asked = self.at_once = self._open = 0
        self.uri = ""

    @contextmanager
    def listening(self) -> Iterator["Device"]:
        ready = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._listen(ready)))
        thread.start()
        try:
            assert ready.wait(10)
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    async def _listen(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.uri = f"ipp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            ready.set()
            await self._stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.said)
            while await reader.read(65536):
                continue
        finally:
            self._open -= 1
            writer.close()


def test_thousands_of_frozen_printers_are_asked_a_handful_at_a_time() -> None:
    with Device().listening() as device:
        found = Supplies(SystemClock(), Names())
        asyncio.run(asked_once(found, *(queue(f"q{n}", f"{device.uri}{n}") for n in range(5000))))
    assert (device.asked, device.at_once) == (AT_ONCE, AT_ONCE)
    assert found.of("q0") == ((), ())


def test_a_printer_is_asked_each_minute_and_one_that_is_silent_more_seldom() -> None:
    clock = ManualClock()
    found = Supplies(clock, Names())

    async def after(seconds: float, *queues: Queue) -> int:
        clock.advance(seconds)
        await asked_once(found, *queues)
        return device.asked

    with Device(answer(media_ready="iso_a4_210x297mm", printer_state_reasons="media-low")).listening() as device:
        two = (queue("a", device.uri, "paused"), queue("b", f"inkeeper:/{device.uri}"))
        assert asyncio.run(after(0, *two)) == 1  # one printer behind two queues
        assert found.of("a") == found.of("b") == ((), ("iso_a4_210x297mm",))
        assert found.complete(two[0].report).printer_state_reasons == ("paused", "media-low")
        assert asyncio.run(after(EVERY_S - 1, *two)) == 1
        assert asyncio.run(after(1, *two)) == 2
        device.said = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        assert asyncio.run(after(EVERY_S, *two)) == 3
        assert asyncio.run(after(EVERY_S, *two)) == 3
        assert asyncio.run(after(EVERY_S, *two)) == 4
        assert found.of("a")[1]  # what it said before is not yet old
        clock.advance(FORGET_S - 3 * EVERY_S)
        assert found.of("a")[1]
        clock.advance(1)
        assert found.of("a") == ((), ())
        assert found.complete(two[0].report) == two[0].report
        asyncio.run(after(FORGET_S))
        assert device.asked == 4  # a queue that is gone is not asked


def test_a_name_service_that_hangs_leaves_the_daemon_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printers of that many names are asked for their supplies and about runs; files are written beside it."""
    answers = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_words, **_more: answers.wait(60) and [])
    run = RunRecord(number=1, name="run", started_at=0)

    async def ask() -> list[PrinterWord]:
        names = Names()
        found = Supplies(SystemClock(), names)
        uris = [f"ipp://printer-{number}/ipp/print" for number in range(AT_ONCE)]
        supplies = asyncio.create_task(asked_once(found, *(queue(uri, uri) for uri in uris)))
        about = [asyncio.create_task(ask_about(uri, run, "t", "anna", frozenset(), names)) for uri in uris]
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.to_thread(os.getpid), 30)
        answers.set()
        await supplies
        return await asyncio.gather(*about)

    assert asyncio.run(ask()) == [UNREACHED] * AT_ONCE
