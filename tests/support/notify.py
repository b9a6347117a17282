"""The service manager's end of sd_notify: a datagram socket that notes what it is told."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Self


class NotifySocket:
    """Bind it, hand `environment` to a program, read what it said."""

    def __init__(self, path: Path, watchdog_s: float = 3.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(round(watchdog_s * 1_000_000))}
        self.said: list[str] = []

    def heard(self) -> list[str]:
        """All lines so far, each once said noted for ever."""
        while True:
            try:
                self.said += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.said

    def forget(self) -> None:
        self.heard()
        self.said.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
