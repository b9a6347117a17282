"""Sending one mail by SMTP (standard library), in a thread of its own, with a deadline for each step and for all."""

import asyncio
import logging
import re
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Final

import msgspec

from backend.base.settings import SettingsError
from backend.notices.model import Notice

log = logging.getLogger(__name__)

STEP_S: Final = 5.0
DEADLINE_S: Final = 20.0
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`server` is host:port, "" for no mail; `to` takes several addresses, separated by blanks or commas."""

    server: str = ""
    sender: str = ""
    to: str = ""
    starttls: bool = True
    ca: str = ""
    user: str = ""
    password_file: str = ""


class MailFault(Exception):
    """The mail was not taken, or it is not known whether it was; one line for people."""


class Mailer:
    """Raises SettingsError when made from settings that cannot work."""

    def __init__(self, settings: MailSettings) -> None:
        host, colon, port = settings.server.rpartition(":")
        if not colon or not host.strip("[]") or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise SettingsError(f"[mail] server: write host:port, not {settings.server!r}")
        self._host, self._port = host.strip("[]"), int(port)
        self._sender = settings.sender
        self._to = settings.to.replace(",", " ").split()
        for name, address in (("sender", settings.sender), *(("to", address) for address in self._to or [""])):
            if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", address):
                raise SettingsError(f"[mail] {name}: {address!r} is no mail address")
        self._user, self._password = settings.user, _password(settings)
        self._tls: ssl.SSLContext | None = None
        if settings.starttls:
            try:
                self._tls = ssl.create_default_context(cafile=settings.ca or None)
            except OSError as error:
                raise SettingsError(f"[mail] ca: {settings.ca}: {error.strerror or error}") from error
        elif settings.user and self._host not in _LOCAL:
            raise SettingsError("[mail] user needs starttls = true: a password is not sent in the clear")

    @property
    def domain(self) -> str:
        """What stands behind the @ of Message-IDs."""
        return self._sender.partition("@")[2]

    async def send(self, found: Notice) -> None:
        """Raises MailFault. A thread that hangs is left behind: it dies by its own deadlines, or with the process."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def work() -> None:
            fault: BaseException | None = None
            try:
                self._send(self._message(found))
            except BaseException as error:  # noqa: BLE001  (it is raised again in the loop)
                fault = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, fault)

        threading.Thread(target=work, name="mail", daemon=True).start()
        try:
            await asyncio.wait_for(done, DEADLINE_S)
        except smtplib.SMTPResponseException as error:
            text = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            raise MailFault(f"it answers {error.smtp_code} {' '.join(text.split())[:200]}") from error
        except smtplib.SMTPRecipientsRefused as error:
            refused = ", ".join(f"{to} ({code})" for to, (code, _) in error.recipients.items())
            raise MailFault(f"it refuses the recipients {refused}") from error
        except TimeoutError as error:
            raise MailFault("it does not answer in time") from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailFault(f"it cannot be used: {getattr(error, 'strerror', None) or error}") from error

    def _message(self, found: Notice) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(self._to)
        message["Subject"] = found.subject
        message["Date"] = formatdate(found.created_at / 1000)
        message["Message-ID"] = found.message_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(found.body)
        return message

    def _send(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self._host, self._port, socket.gethostname(), timeout=STEP_S) as smtp:
            if self._tls is not None:
                smtp.starttls(context=self._tls)
            if self._user:
                smtp.login(self._user, self._password)
            refused = smtp.send_message(message, self._sender, self._to)
        if refused:  # the others have it, and are not to get it again
            log.warning("mail %r was not taken for %s", message["Subject"], ", ".join(refused))


def _password(settings: MailSettings) -> str:
    if not settings.user:
        return ""
    if not settings.password_file:
        raise SettingsError("[mail] user needs [mail] password_file")
    try:
        return Path(settings.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"[mail] password_file {settings.password_file}: {reason}") from error
