"""The DNS server that takes the updates: one exchange over TCP each, signed by TSIG (RFC 8945), with a deadline.

Reading is signed and asked of the same server, so what is decided on is what the prerequisite will be held against.
"""

import asyncio
import base64
import binascii
import re
import socket
from pathlib import Path
from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
import msgspec

from backend.base.settings import SettingsError
from backend.cluster.dns.machine import Found, Update

DEADLINE_S: Final = 3.0
FENCE_LABEL: Final = "_inkeeper"
MIN_SECRET_BYTES: Final = 16
_ALGORITHMS: Final = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
_SECRET: Final = re.compile(r'secret\s+"([^"]+)"')
_ADDRESS_TYPES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)


class DnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name` "" means that no name is kept. `zone` "" is what follows the name's first dot; `server` is host:port."""

    name: str = ""
    server: str = "127.0.0.1:53"
    zone: str = ""
    key_name: str = ""
    key_algorithm: str = "hmac-sha256"
    key_file: str = ""
    ttl_s: int = 5


class DnsFault(Exception):
    """The server could not be asked, or refused; one line for people. `fenced`: another leader has written since."""

    def __init__(self, text: str, fenced: bool = False) -> None:
        super().__init__(text)
        self.fenced = fenced


class DnsServer:
    """Reads and updates one name. Raises SettingsError when made from settings that cannot work."""

    def __init__(self, settings: DnsSettings) -> None:
        self.name = _name(settings.name, "[dns] name")
        self.zone = _name(settings.zone, "[dns] zone") if settings.zone else self.name.parent()
        if not self.name.is_subdomain(self.zone) or self.zone == dns.name.root:
            raise SettingsError(f"[dns] name {settings.name!r} does not lie in [dns] zone {self.zone}")
        self.fence = dns.name.Name((FENCE_LABEL.encode(), *self.name.labels))
        self._host, self._port = _host_and_port(settings.server)
        self._key = _read_key(settings)
        if not 1 <= settings.ttl_s <= 86_400:
            raise SettingsError("[dns] ttl_s is 1 to 86400 seconds")
        self.ttl_s = settings.ttl_s

    async def read(self) -> Found:
        """What the name holds now. Raises DnsFault."""
        fences: list[str] = []
        addresses: set[str] = set()
        ttls: set[int] = set()
        for owner, kind in ((self.fence, dns.rdatatype.TXT), *((self.name, kind) for kind in _ADDRESS_TYPES)):
            question = dns.message.make_query(owner, kind)
            question.flags &= ~dns.flags.RD
            answer = await self._exchange(question)
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                raise DnsFault(f"it answers {_word(answer)} when asked for {owner}")
            if not answer.flags & dns.flags.AA:
                raise DnsFault(f"it does not serve the zone {self.zone}")
            found = answer.get_rrset(answer.answer, owner, dns.rdataclass.IN, kind)
            if found is None:
                continue
            if kind == dns.rdatatype.TXT:
                fences += [b"".join(item.strings).decode("ascii", "replace") for item in found]
            else:
                addresses |= {item.address for item in found}
                ttls.add(found.ttl)
        return Found(tuple(fences), frozenset(addresses), ttls.pop() if len(ttls) == 1 else 0)

    async def send(self, update: Update) -> None:
        """Do it. Raises DnsFault, `fenced` where the prerequisite did not hold."""
        answer = await self._exchange(self.message(update))
        code = answer.rcode()
        if code in (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN):
            raise DnsFault("another leader has written since; nothing was changed", fenced=True)
        if code == dns.rcode.REFUSED:
            raise DnsFault(f"it refuses updates of {self.name} and {self.fence} by key {self._key.name}")
        if code != dns.rcode.NOERROR:
            raise DnsFault(f"it answers {_word(answer)} to the update")

    def message(self, update: Update) -> dns.update.UpdateMessage:
        """The update as a message, all of it or nothing (RFC 2136, section 3)."""
        message = dns.update.UpdateMessage(self.zone)
        if update.expected:
            message.present(self.fence, "TXT", _quoted(update.expected))
        else:
            message.absent(self.fence, "TXT")
        message.replace(self.fence, self.ttl_s, "TXT", _quoted(update.fence))
        if update.addresses is not None:
            for kind, colon in (("A", False), ("AAAA", True)):
                message.delete(self.name, kind)
                for address in sorted(address for address in update.addresses if (":" in address) == colon):
                    message.add(self.name, self.ttl_s, kind, address)
        return message

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        message.use_tsig(self._key)
        try:
            async with asyncio.timeout(DEADLINE_S):
                found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                where = str(found[0][4][0])
                return await dns.asyncquery.tcp(message, where, timeout=DEADLINE_S, port=self._port)
        except (TimeoutError, dns.exception.Timeout) as error:
            raise DnsFault(f"it does not answer within {DEADLINE_S:g} s") from error
        except (dns.tsig.PeerError, dns.tsig.BadSignature, dns.message.UnknownTSIGKey) as error:
            what = _TSIG_WORDS.get(type(error), "the signature is not accepted")
            raise DnsFault(f"{what}: [dns] key_name {self._key.name}, key_algorithm, key_file") from error
        except (OSError, EOFError) as error:
            raise DnsFault(f"it cannot be reached: {getattr(error, 'strerror', None) or error}") from error
        except dns.exception.DNSException as error:
            raise DnsFault(f"its answer cannot be read: {type(error).__name__}") from error


_TSIG_WORDS: Final[dict[type[Exception], str]] = {
    dns.tsig.PeerBadKey: "it does not know the key",
    dns.tsig.PeerBadSignature: "it has another secret for the key",
    dns.tsig.PeerBadTime: "its clock and ours are too far apart for TSIG (300 s)",
    dns.tsig.BadSignature: "its answer is signed with another secret",
}


def _quoted(text: str) -> str:
    return f'"{text}"'


def _word(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())


def _name(text: str, setting: str) -> dns.name.Name:
    try:
        return dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise SettingsError(f"{setting}: {text!r} is no domain name") from error


def _host_and_port(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if not colon or not host.strip("[]") or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise SettingsError(f"[dns] server: write host:port, not {server!r}")
    return host.strip("[]"), int(port)


def _read_key(settings: DnsSettings) -> dns.tsig.Key:
    """The key, its file holding the secret in base64 or what `tsig-keygen` writes."""
    if not settings.key_name or not settings.key_file:
        raise SettingsError("[dns] name needs [dns] key_name and key_file: make a key with `tsig-keygen NAME`")
    if settings.key_algorithm.lower() not in _ALGORITHMS:
        raise SettingsError(f"[dns] key_algorithm is one of {', '.join(_ALGORITHMS)}")
    try:
        text = Path(settings.key_file).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"[dns] key_file {settings.key_file}: {reason}") from error
    written = _SECRET.search(text)
    try:
        secret = base64.b64decode(written[1] if written else text, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(f"[dns] key_file {settings.key_file} holds no secret: write it with `tsig-keygen NAME`")
    return dns.tsig.Key(_name(settings.key_name, "[dns] key_name"), secret, settings.key_algorithm.lower())
