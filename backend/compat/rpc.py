"""The XML-RPC door: one POST is one call, and whatever comes of it is an XML-RPC answer with HTTP status 200.

XML-RPC libraries throw away the body of any other status, and with it the sentence that says what is wrong.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from email.message import Message

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from backend.access.settings import read_settings
from backend.access.tokens import TokenCache
from backend.compat import gate
from backend.compat.arguments import taken
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller, read
from backend.compat.methods.table import METHODS, NOT_HERE, READ
from backend.compat.xmlrpc import MAX_BYTES, Call, Malformed, Result, Scalar, dump_fault, dump_result, parse_call
from backend.db.engine import Database
from backend.db.errors import DatabaseError
from backend.intake.errors import OutcomeUnknown, Overloaded, Unavailable
from backend.intake.model import NO_LIMITS, Limits
from backend.intake.service import Intake
from backend.operations.online_backup import OnlineBackup
from backend.wire.base import Ledger

NAMESPACE = "api."
LONG_LIST = 2000
WRONG_TOKEN = "The authentication token is not valid"
NO_TOKEN = f"No call is allowed: the setting {gate.TOKEN_KEY} is empty"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """Whoever calls, as far as the token tells."""

    actor: str
    role: str
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Rpc:
    """The endpoint."""

    database: Database
    intake: Intake
    tokens: TokenCache
    ledger: Ledger
    backup: OnlineBackup
    background: set[asyncio.Task[None]] = field(default_factory=set)  # tasks under way

    async def answer(self, request: Request) -> Response:
        try:
            call = parse_call(await _body(request), _charset(request))
            peer = request.client.host if request.client else ""
            content = await _dump(await self._result(call, peer))
        except ClientDisconnect:
            return Response(status_code=400)
        except Malformed as error:
            content = dump_fault(Code.GENERAL, str(error))
        except Fault as fault:
            content = dump_fault(fault.code, fault.text)
        return Response(content, headers={"content-type": "text/xml"})

    async def _result(self, call: Call, peer: str) -> Result:
        """What the method gives. Everything that can go wrong while the server is well becomes a Fault."""
        try:
            return await self._run(call, peer)
        except (Unavailable, Overloaded, DatabaseError) as error:
            text = f"The server cannot do that now, nothing was changed; try again ({error})"
            raise Fault(Code.GENERAL, text) from error
        except OutcomeUnknown as error:
            text = "The outcome is not known, check the balance before repeating the call"
            raise Fault(Code.GENERAL, text) from error

    async def _run(self, call: Call, peer: str) -> Result:
        name = call.method.removeprefix(NAMESPACE)
        method = METHODS.get(name)
        if method is None:
            reason = f": {NOT_HERE[name]}" if name in NOT_HERE else ""
            raise Fault(Code.GENERAL, f"There is no method {name} here{reason}")
        if method.roles is None and not call.params:
            await self._check_address(peer)
            return await method.handler(self._caller(_Known("", "")))
        known = await self._authenticate(call, peer)
        if known.role not in (READ if method.roles is None else method.roles):
            raise Fault(Code.GENERAL, f"A token of the role {known.role} may not call {name}")
        arguments = taken(method.signature, call.params[1:], self.ledger.decimals)
        return await method.handler(self._caller(known), *arguments)

    def _caller(self, known: "_Known") -> Caller:
        return Caller(
            actor=known.actor,
            role=known.role,
            database=self.database,
            intake=self.intake,
            ledger=self.ledger,
            background=self.background,
            backup=self.backup,
            limits=known.limits,
        )

    async def _check_address(self, peer: str) -> None:
        settings = await read(self.database, read_settings, gate.ADDRESSES_KEY)
        _check_address(settings[gate.ADDRESSES_KEY], peer)

    async def _authenticate(self, call: Call, peer: str) -> "_Known":
        """Whose token stands first. Raises Fault, with one text for every wrong one."""
        first = call.params[0] if call.params else None
        token = first.text.strip() if isinstance(first, Scalar) else ""
        settings = await read(self.database, read_settings, gate.TOKEN_KEY, gate.ADDRESSES_KEY)
        _check_address(settings[gate.ADDRESSES_KEY], peer)
        owner = gate.token_owner(settings[gate.TOKEN_KEY], token)
        if owner is not None:
            return _Known(f"xmlrpc:{owner}" if owner else "xmlrpc", "admin")
        principal = await self.tokens.principal(token) if token else None
        if principal is not None:
            return _Known(principal.actor, principal.role, Limits(principal.limit_each, principal.limit_day))
        log.warning("XML-RPC call of %s from %s refused: wrong token", call.method, peer)
        raise Fault(Code.GENERAL, WRONG_TOKEN if gate.has_token(settings[gate.TOKEN_KEY]) else NO_TOKEN)


def _check_address(allowed: str, peer: str) -> None:
    try:
        right = gate.address_allowed(allowed, peer)
    except ValueError as error:
        raise Fault(Code.GENERAL, f"The setting {gate.ADDRESSES_KEY} cannot be read, every call is refused") from error
    if not right:
        log.warning("XML-RPC call from %s refused: not in %s", peer, gate.ADDRESSES_KEY)
        raise Fault(Code.GENERAL, f"Calls from the address {peer} are not allowed by {gate.ADDRESSES_KEY}")


async def _body(request: Request) -> bytes:
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BYTES:
            raise Malformed(f"The request is larger than {MAX_BYTES} bytes")
    return bytes(chunks)


def _charset(request: Request) -> str:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    charset = message.get_param("charset", "")
    return charset if isinstance(charset, str) else ""


async def _dump(result: Result) -> bytes:
    if isinstance(result, list) and len(result) > LONG_LIST:
        return await asyncio.to_thread(dump_result, result)  # 300,000 names take a second; others are served meanwhile
    return dump_result(result)
