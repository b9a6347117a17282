"""The HTTP server around the application: uvicorn, with listening and ending done our way.

Ports are bound before anything is started, so a busy one is one clear line. On SIGTERM the server says that it drains,
closes its listeners and event streams, finishes what is under way within a few seconds, and the process ends with 0.
"""

import asyncio
import contextlib
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence

import msgspec
import uvicorn
from starlette.types import ASGIApp

GRACE_S = 3
KEEP_ALIVE_S = 75
BACKLOG = 2048
MAX_CONNECTIONS = 8000


class ListenError(Exception):
    """The address cannot be listened on; one line for people."""


class TlsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTPS beside HTTP: `listen` "" for none. With `client_ca` only clients with a certificate of it are let in."""

    listen: str = ""
    cert: str = ""
    key: str = ""
    client_ca: str = ""


class Listener(msgspec.Struct, frozen=True):
    """A bound socket, and the TLS that is spoken on it."""

    bound: socket.socket
    tls: TlsSettings | None = None


def split_address(listen: str, setting: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. Raises ListenError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"{setting}: write host:port, not {listen!r}")
    return host.strip("[]") or "0.0.0.0", int(port)


def check_tls(tls: TlsSettings) -> None:
    """Read the files once before anything is started. Raises ListenError."""
    if not tls.cert or not tls.key:
        raise ListenError("[tls] listen needs [tls] cert and key")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_ca or None)
        context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # ssl.SSLError is one too
        raise ListenError(f"[tls] cert, key or client_ca cannot be used: {error.strerror or error}") from error


def bind(listen: str, setting: str, tls: TlsSettings | None = None) -> Listener:
    """A socket bound to the address. Raises ListenError."""
    host, port = split_address(listen, setting)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"{setting}: cannot listen on {listen}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ListenError(f"{setting}: cannot listen on {listen}: {error.strerror}") from error
    return Listener(bound, tls)


def allow_connections() -> None:
    """Lift this process's own limit of open files as far as the system lets it: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 200
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def serve(
    app: ASGIApp, listeners: Sequence[Listener], on_stop: Callable[[], None], on_ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` is called once all listeners are served, `on_stop` when the signal
    comes, before they close."""
    allow_connections()
    unready = len(listeners)

    def served() -> None:
        nonlocal unready
        unready -= 1
        if unready == 0:
            on_ready()

    servers = [_Server(_config(app, listener.tls), served) for listener in listeners]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        again = any(server.should_exit for server in servers)
        for server in servers:
            server.should_exit = True
            server.force_exit = again
        if not again:
            on_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await asyncio.gather(
            *(server.serve(sockets=[listener.bound]) for server, listener in zip(servers, listeners, strict=True))
        )
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn raises the signal again when it has ended; an orderly end is exit code 0 here, so signals are ours."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, tls: TlsSettings | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        loop="none",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=MAX_CONNECTIONS,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=(tls.client_ca or None) if tls else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
    )
