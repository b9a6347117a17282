"""Which XML-RPC name means which function, what it takes, and which roles may call it.

The web services token may call everything; `roles` None is a call that needs no token. An API token of Inkeeper's own
may call what its role may do by the JSON API. docs/COMPATIBILITY.md lists both tables; a test keeps them in step.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.compat.arguments import Argument, Kind, Signature
from backend.compat.methods import absent, backups, config, imports, jobs, lookup, money, printers, tasks, users
from backend.compat.xmlrpc import Result

READ: Final = frozenset({"admin", "helpdesk", "auditor"})
MONEY: Final = frozenset({"admin", "helpdesk"})
ADMIN: Final = frozenset({"admin"})


@dataclass(frozen=True, slots=True)
class Method:
    """`handler(caller, *arguments)`; arguments that a client leaves out have defaults there."""

    handler: Callable[..., Awaitable[Result]]
    signature: Signature
    roles: frozenset[str] | None


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
_CARD = _text("card")
_GROUP = _text("group")
_FILE = _text("file")
_MINUTES = Argument("minutes", Kind.MINUTES)
_PROPERTIES = Argument("properties", Kind.TEXTS)
_VALUES = Argument("values", Kind.PAIRS)

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
    "addNewUser": Method(users.add, _takes(_USER), ADMIN),
    "renameUserAccount": Method(users.rename, _takes(_USER, Argument("newUser", Kind.USER)), ADMIN),
    "deleteExistingUser": Method(users.delete, _takes(_USER, Argument("redact", Kind.FLAG), optional=1), ADMIN),
    "lookUpUserNameByIDNo": Method(lookup.by_card, _takes(_text("id")), READ),
    "lookUpUserNameByCardNo": Method(lookup.by_card, _takes(_CARD), READ),
    "lookUpUserNameByEmail": Method(lookup.by_email, _takes(_text("email")), READ),
    "lookUpUserNameBySecondaryUserName": Method(lookup.by_alias, _takes(_text("alias")), READ),
    "lookUpUsersByFullName": Method(lookup.by_full_name, _takes(_text("fullName")), READ),
    "getUserProperty": Method(users.get_property, _takes(_USER, _PROPERTY), READ),
    "getUserProperties": Method(users.get_properties, _takes(_USER, _PROPERTIES), READ),
    "setUserProperty": Method(users.set_property, _takes(_USER, _PROPERTY, _text("value")), ADMIN),
    "setUserProperties": Method(users.set_properties, _takes(_USER, _VALUES), ADMIN),
    "disablePrintingForUser": Method(users.disable, _takes(_USER, _MINUTES), ADMIN),
    "resetUserCounts": Method(users.reset_counts, _takes(_USER, _text("resetBy")), ADMIN),
    "reapplyInitialUserSettings": Method(users.reapply_initial, _takes(_USER), ADMIN),
    "getUserOverdraftMode": Method(users.get_overdraft_mode, _takes(_USER), READ),
    "setUserOverdraftMode": Method(users.set_overdraft_mode, _takes(_USER, _text("mode")), ADMIN),
    "getUserAccountBalance": Method(money.get_balance, _takes(_USER, _ACCOUNT, optional=1), READ),
    "setUserAccountBalance": Method(
        money.set_balance, _takes(_USER, Argument("balance", Kind.MONEY), _COMMENT, _ACCOUNT, optional=1), MONEY
    ),
    "adjustUserAccountBalance": Method(money.adjust, _takes(_USER, _ADJUSTMENT, _COMMENT, _ACCOUNT, optional=1), MONEY),
    "adjustUserAccountBalanceIfAvailable": Method(
        money.adjust_if_available, _takes(_USER, _ADJUSTMENT, _COMMENT, _ACCOUNT, optional=1), MONEY
    ),
    "adjustUserAccountBalanceIfAvailableLeaveRemaining": Method(
        money.adjust_and_leave,
        _takes(_USER, _ADJUSTMENT, Argument("leave", Kind.MONEY), _COMMENT, _ACCOUNT, optional=1),
        MONEY,
    ),
    "adjustUserAccountBalanceByCardNumber": Method(
        money.adjust_by_card, _takes(_CARD, _ADJUSTMENT, _COMMENT, _ACCOUNT, optional=1), MONEY
    ),
    "useCard": Method(money.use_card, _takes(_USER, _CARD), MONEY),
    "setUserAccountSelectionAutoChargePersonal": Method(
        absent.charge_personal, _takes(_USER, Argument("popup", Kind.FLAG), optional=1), ADMIN
    ),
    "isGroupExists": Method(absent.is_group, _takes(_GROUP), READ),
    "listUserGroups": Method(absent.list_groups, _takes(_OFFSET, _LIMIT), READ),
    "getGroupMembers": Method(absent.group_members, _takes(_GROUP, _OFFSET, _LIMIT), READ),
    "getUserGroups": Method(absent.groups_of, _takes(_USER), READ),
    "isSharedAccountExists": Method(absent.is_shared_account, _takes(_ACCOUNT), READ),
    "listSharedAccounts": Method(absent.list_shared_accounts, _takes(_OFFSET, _LIMIT), READ),
    "listUserSharedAccounts": Method(
        absent.shared_accounts_of,
        _takes(_USER, _OFFSET, _LIMIT, Argument("ignoreAccountMode", Kind.FLAG), optional=1),
        READ,
    ),
    "listPrinters": Method(printers.list_printers, _takes(_OFFSET, _LIMIT), READ),
    "getPrinterProperty": Method(printers.get_property, _takes(_SERVER, _PRINTER, _PROPERTY), READ),
    "getPrinterProperties": Method(printers.get_properties, _takes(_SERVER, _PRINTER, _PROPERTIES), READ),
    "setPrinterProperty": Method(printers.set_property, _takes(_SERVER, _PRINTER, _PROPERTY, _text("value")), ADMIN),
    "setPrinterProperties": Method(printers.set_properties, _takes(_SERVER, _PRINTER, _VALUES), ADMIN),
    "enablePrinter": Method(printers.enable, _takes(_SERVER, _PRINTER), ADMIN),
    "disablePrinter": Method(printers.disable, _takes(_SERVER, _PRINTER, _MINUTES), ADMIN),
    "getPrinterCostSimple": Method(printers.get_cost, _takes(_SERVER, _PRINTER), READ),
    "setPrinterCostSimple": Method(printers.set_cost, _takes(_SERVER, _PRINTER, Argument("cost", Kind.MONEY)), ADMIN),
    "getConfigValue": Method(config.get_value, _takes(_text("key")), ADMIN),
    "setConfigValue": Method(config.set_value, _takes(_text("key"), _text("value")), ADMIN),
    "processJob": Method(jobs.process, _takes(_text("details")), ADMIN),
    "batchImportUsers": Method(imports.users, _takes(_FILE, Argument("create", Kind.FLAG)), ADMIN),
    "batchImportUserCardIdNumbers": Method(
        imports.card_numbers, _takes(_FILE, Argument("overwritePin", Kind.FLAG), optional=1), ADMIN
    ),
    "getTaskStatus": Method(tasks.status, _takes(), None),
    "performOnlineBackup": Method(backups.perform_online_backup, _takes(), ADMIN),
}

_DIRECTORY: Final = "no user directory is connected"
_GROUPS: Final = "there are no groups"
_SHARED: Final = "there are no shared accounts"
_SELECTION: Final = "every job is charged to its user's own account"
_DEVICES: Final = "there are no devices"
_REPORTS: Final = "there are no reports"
_PRINTERS: Final = "queues come and go with their print servers"

NOT_HERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("addNewUsers", "performGroupSync", "performUserAndGroupSync", "performUserAndGroupSyncAdvanced", "syncGroup"),
        _DIRECTORY,
    ),
    **dict.fromkeys(
        (
            "addNewGroup", "removeGroup", "addUserToGroup", "removeUserFromGroup", "setGroupQuota", "getGroupQuota",
            "addAdminAccessGroup", "removeAdminAccessGroup", "adjustUserAccountBalanceByGroup",
            "adjustUserAccountBalanceByGroupUpTo", "setUserAccountBalanceByGroup", "addPrinterGroup",
            "setPrinterGroups", "addPrinterAccessGroup", "removePrinterAccessGroup",
        ),
        _GROUPS,
    ),
    **dict.fromkeys(
        (
            "addNewSharedAccount", "renameSharedAccount", "deleteExistingSharedAccount", "disableSharedAccount",
            "getSharedAccountAccountBalance", "adjustSharedAccountAccountBalance", "setSharedAccountAccountBalance",
            "getSharedAccountProperty", "getSharedAccountProperties", "setSharedAccountProperty",
            "setSharedAccountProperties", "addSharedAccountAccessUser", "removeSharedAccountAccessUser",
            "addSharedAccountAccessGroup", "removeSharedAccountAccessGroup", "getSharedAccountOverdraftMode",
            "setSharedAccountOverdraftMode", "batchImportSharedAccounts", "createUserClientAccountsFile",
        ),
        _SHARED,
    ),
    **dict.fromkeys(
        (
            "setUserAccountSelectionAutoSelectSharedAccount", "setUserAccountSelectionStandardPopup",
            "setUserAccountSelectionAdvancedPopup",
        ),
        _SELECTION,
    ),
    **dict.fromkeys(
        (
            "applyDeviceSettings", "getPrinterSnmpv3", "enablePrinterSnmpv3", "disablePrinterSnmpv3",
            "getDeviceSnmpv3", "enableDeviceSnmpv3", "disableDeviceSnmpv3",
        ),
        _DEVICES,
    ),
    **dict.fromkeys(
        ("deletePrinter", "renamePrinter", "resetPrinterCounts", "batchImportPrinters"), _PRINTERS
    ),
    **dict.fromkeys(("generateScheduledReport", "generateAdHocReport"), _REPORTS),
    **dict.fromkeys(
        ("addAdminAccessUser", "removeAdminAccessUser", "changeInternalAdminPassword"),
        "`inkeeper-server operator` says who may log in",
    ),
    "clearUserAdvancedPrinterSettings": "users have no settings of their own for printers",
    "exportUserDataHistory": "a user's transfers and jobs are read by the JSON API",
    "batchImportInternalUsers": "use batchImportUsers, and addNewInternalUser for who needs a password",
    "runCommand": "no programs are run for clients",
    "saveThreadSnapshot": "there is nothing of the kind",
    "installLicense": "Inkeeper is free software and needs no licence",
}  # fmt: skip
"""The rest of PaperCut's methods, and why a call of one is refused."""
