"""A mail server that keeps what it gets: enough of SMTP (RFC 5321) for a client's whole way, with STARTTLS and AUTH
PLAIN, and with the faults that mail servers have."""

import base64
import email
import email.policy
import socketserver
import ssl
import threading
from email.message import EmailMessage
from types import TracebackType
from typing import Literal, Self

Mood = Literal["take", "refuse", "hang", "take and hang up"]


class SmtpSink:
    """`mood` may be changed at any time: "refuse" answers 451 to the mail, "hang" says nothing any more, "take and hang
    up" takes the mail and closes the connection instead of saying so."""

    def __init__(self, tls: ssl.SSLContext | None = None, login: tuple[str, str] | None = None) -> None:
        self.mood: Mood = "take"
        self.mails: list[EmailMessage] = []
        self.tries = 0
        self.tls, self.login = tls, login
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._server.sink = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]

    def subjects(self) -> list[str]:
        return sorted(str(mail["Subject"]) for mail in self.mails)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    sink: SmtpSink


class _Session(socketserver.StreamRequestHandler):
    timeout = 30
    server: _Server

    def handle(self) -> None:
        sink = self.server.sink
        secure = trusted = False
        self._say("220 sink")
        while line := self.rfile.readline().decode().strip():
            word = line.split(None, 1)[0].upper()
            if sink.mood == "hang":
                sink.released.wait(30)
                return
            if word == "EHLO":
                features = ["sink", *(["STARTTLS"] if sink.tls and not secure else [])]
                features += ["AUTH PLAIN"] if sink.login else []
                for feature in features[:-1]:
                    self._say(f"250-{feature}")
                self._say(f"250 {features[-1]}")
            elif word == "STARTTLS" and sink.tls:
                self._say("220 go on")
                self.rfile.close()
                self.request = sink.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                secure = True
            elif word == "AUTH":
                given = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                trusted = tuple(given) == sink.login
                self._say("235 welcome" if trusted else "535 authentication failed")
            elif word == "MAIL" and sink.login and not trusted:
                self._say("530 who are you")
            elif word == "DATA":
                self._say("354 go on")
                if not self._take():
                    return
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def finish(self) -> None:
        super().finish()
        self.request.close()  # that of TLS is not the one that the server closes

    def _take(self) -> bool:
        """Read the mail and answer; whether the connection goes on."""
        sink = self.server.sink
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        sink.tries += 1
        if sink.mood == "refuse":
            self._say("451 try again later")
            return True
        found = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        sink.mails.append(found)
        if sink.mood == "take and hang up":
            return False
        self._say("250 taken")
        return True

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())
