"""Names of hosts: a name service that hangs or fails holds up nobody who has had an answer before."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest

from backend.client.names import MOST_LOOK_UPS, Names


class NameService:
    """Stands in for the system's: says what it is told to, or hangs until `answers` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] | OSError = []
        self.answers = threading.Event()
        self.answers.set()
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *_words: object, **_more: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        self.answers.wait(60)
        if isinstance(self.said, OSError):
            raise self.said
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.said]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> NameService:
    return NameService(monkeypatch)


def within(work: Callable[[Names], Awaitable[object]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(work(Names()), 60)

    asyncio.run(run())


def test_all_addresses_are_told_once_each_and_an_address_is_its_own(service: NameService) -> None:
    service.said = ["192.0.2.1", "192.0.2.1", "192.0.2.2"]

    async def work(names: Names) -> None:
        assert await names.addresses("server") == ("192.0.2.1", "192.0.2.2")
        assert await names.addresses("192.0.2.9") == ("192.0.2.9",)
        assert await names.addresses("::1") == ("::1",)

    within(work)
    assert service.asked == ["server"]


@pytest.mark.parametrize("said", [socket.gaierror(socket.EAI_AGAIN, "try again"), OSError("no route")])
def test_what_a_name_stood_for_counts_while_the_name_service_fails(service: NameService, said: OSError) -> None:
    async def work(names: Names) -> None:
        service.said = ["192.0.2.1"]
        await names.addresses("server")
        service.said = said
        assert await names.addresses("server") == ("192.0.2.1",)
        with pytest.raises(OSError, match=str(said.args[-1])):
            await names.addresses("other")
        service.said = ["192.0.2.2"]
        assert await names.addresses("server") == ("192.0.2.2",)

    within(work)


def test_a_name_that_is_gone_is_gone(service: NameService) -> None:
    async def work(names: Names) -> None:
        service.said = ["192.0.2.1"]
        await names.addresses("server")
        service.said = socket.gaierror(socket.EAI_NONAME, "unknown")
        for _ in range(2):
            with pytest.raises(OSError, match="unknown"):
                await names.addresses("server")

    within(work)


def test_a_name_service_that_hangs_is_waited_for_only_by_who_knows_no_address(service: NameService) -> None:
    async def work(names: Names) -> None:
        service.said = ["192.0.2.1"]
        await names.addresses("server")
        service.answers.clear()
        assert [await names.addresses("server") for _ in range(3)] == [("192.0.2.1",)] * 3
        assert service.asked.count("server") == 2  # the one that hangs is not asked beside itself
        others = [asyncio.create_task(names.addresses(f"printer-{number}")) for number in range(MOST_LOOK_UPS - 1)]
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="the name service does not answer"):
            await names.addresses("one-more")
        service.answers.set()
        assert await asyncio.gather(*others) == [("192.0.2.1",)] * len(others)
        assert await names.addresses("one-more") == ("192.0.2.1",)

    within(work)


def test_who_gives_up_waiting_takes_nothing_from_the_others(service: NameService) -> None:
    async def work(names: Names) -> None:
        service.said = ["192.0.2.1"]
        service.answers.clear()
        first, second = (asyncio.create_task(names.addresses("server")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        service.answers.set()
        assert await second == ("192.0.2.1",)

    within(work)
    assert service.asked == ["server"]
