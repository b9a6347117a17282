"""The addresses of hosts, where the name service may hang: nobody waits for it who has had an answer before.

The event loop's own look-ups take threads from the few that a program also writes its files with, and keep them for as
long as the name service is silent, whoever has given up waiting. Here a name is looked up in a thread of its own that
ends with the process, one for each name however many wait for it.

What a name last stood for counts while the name service says nothing or cannot be asked, so that a server or a printer
known by name is reached all the same; that there is no such name (any more) is an answer. Invariant: at most
MOST_LOOK_UPS threads, and no task of the event loop's own is blocked.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import Final

MOST_LOOK_UPS: Final = 16
PATIENCE_S: Final = 0.2  # with a name service whose last answer is known

Addresses = tuple[str, ...]


class Names:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: dict[str, Addresses] = {}
        self._running: dict[str, asyncio.Future[Addresses]] = {}

    async def addresses(self, host: str) -> Addresses:
        """In the order in which they are to be tried, at least one. Raises OSError."""
        with contextlib.suppress(ValueError):
            return (str(ipaddress.ip_address(host)),)
        known = self._known.get(host)
        looking = self._running.get(host) or self._look_up(host)
        if looking is None:
            if known is not None:
                return known
            raise OSError("the name service does not answer")
        if known is None:
            return await asyncio.shield(looking)
        await asyncio.wait([looking], timeout=PATIENCE_S)
        return self._known.get(host, known) if not looking.done() or not _is_gone(looking) else looking.result()

    def _look_up(self, host: str) -> "asyncio.Future[Addresses] | None":
        """None when too many hang already."""
        if len(self._running) >= MOST_LOOK_UPS:
            return None
        loop = asyncio.get_running_loop()
        looking: asyncio.Future[Addresses] = loop.create_future()
        self._running[host] = looking

        def done(found: Addresses | OSError) -> None:
            del self._running[host]
            if isinstance(found, OSError):
                looking.set_exception(found)
                if _is_gone(looking):
                    self._known.pop(host, None)
            else:
                self._known[host] = found
                looking.set_result(found)

        def look_up() -> None:
            found: Addresses | OSError
            try:
                answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                found = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
            except (OSError, UnicodeError, LookupError) as error:
                found = error if isinstance(error, OSError) else _no_such_name(host)
            with contextlib.suppress(RuntimeError):  # the program has ended meanwhile
                loop.call_soon_threadsafe(done, found or _no_such_name(host))

        threading.Thread(target=look_up, daemon=True, name=f"look-up {host}"[:60]).start()
        return looking


def _is_gone(looking: "asyncio.Future[Addresses]") -> bool:
    """Whether the name service said that there is no such name."""
    error = looking.exception()
    return isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, socket.EAI_NODATA)


def _no_such_name(host: str) -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
