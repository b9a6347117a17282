"""Which XML-RPC name means which function, what it takes, and which roles may call it.

The web services token may call everything. An API token of Inkeeper's own may where its role may do the same by the
JSON API. docs/COMPATIBILITY.md lists this table; a test keeps the two in step.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.compat.arguments import Argument, Kind, Signature
from backend.compat.methods import config, money, printers, users
from backend.compat.xmlrpc import Result

READ: Final = frozenset({"admin", "helpdesk", "auditor"})
MONEY: Final = frozenset({"admin", "helpdesk"})
ADMIN: Final = frozenset({"admin"})


@dataclass(frozen=True, slots=True)
class Method:
    """`handler(caller, *arguments)`; arguments that a client leaves out have defaults there."""

    handler: Callable[..., Awaitable[Result]]
    signature: Signature
    roles: frozenset[str]


def _takes(*arguments: Argument, optional: int = 0) -> Signature:
    return Signature(arguments, len(arguments) - optional)


def _text(name: str) -> Argument:
    return Argument(name, Kind.TEXT)


_USER = Argument("user", Kind.USER)
_OFFSET = Argument("offset", Kind.COUNT)
_LIMIT = Argument("limit", Kind.COUNT)
_ADJUSTMENT = Argument("adjustment", Kind.MONEY)
_PROPERTY = _text("property")
_COMMENT = _text("comment")
_ACCOUNT = _text("account")
_SERVER = _text("server")
_PRINTER = _text("printer")

METHODS: Final[Mapping[str, Method]] = {
    "isUserExists": Method(users.exists, _takes(_USER), READ),
    "getTotalUsers": Method(users.total, _takes(), READ),
    "listUserAccounts": Method(users.list_accounts, _takes(_OFFSET, _LIMIT), READ),
    "addNewInternalUser": Method(
        users.add_internal,
        _takes(
            _USER,
            _text("password"),
            _text("fullName"),
            _text("email"),
            _text("cardId"),
            _text("pin"),
            Argument("sendEmail", Kind.FLAG),
            optional=1,
        ),
        ADMIN,
    ),
    "getUserProperty": Method(users.get_property, _takes(_USER, _PROPERTY), READ),
    "getUserProperties": Method(users.get_properties, _takes(_USER, Argument("properties", Kind.TEXTS)), READ),
    "setUserProperty": Method(users.set_property, _takes(_USER, _PROPERTY, _text("value")), ADMIN),
    "getUserAccountBalance": Method(money.get_balance, _takes(_USER, _ACCOUNT, optional=1), READ),
    "setUserAccountBalance": Method(
        money.set_balance, _takes(_USER, Argument("balance", Kind.MONEY), _COMMENT, _ACCOUNT, optional=1), MONEY
    ),
    "adjustUserAccountBalance": Method(money.adjust, _takes(_USER, _ADJUSTMENT, _COMMENT, _ACCOUNT, optional=1), MONEY),
    "adjustUserAccountBalanceIfAvailable": Method(
        money.adjust_if_available, _takes(_USER, _ADJUSTMENT, _COMMENT, _ACCOUNT, optional=1), MONEY
    ),
    "listPrinters": Method(printers.list_printers, _takes(_OFFSET, _LIMIT), READ),
    "getPrinterProperty": Method(printers.get_property, _takes(_SERVER, _PRINTER, _PROPERTY), READ),
    "getPrinterCostSimple": Method(printers.get_cost, _takes(_SERVER, _PRINTER), READ),
    "setPrinterCostSimple": Method(printers.set_cost, _takes(_SERVER, _PRINTER, Argument("cost", Kind.MONEY)), ADMIN),
    "getConfigValue": Method(config.get_value, _takes(_text("key")), ADMIN),
    "setConfigValue": Method(config.set_value, _takes(_text("key"), _text("value")), ADMIN),
}
