"""docs/COMPATIBILITY.md says what the tables do: every method, property, fault and address, and none besides."""

import re
from pathlib import Path

from backend.compat import gate
from backend.compat.faults import Code
from backend.compat.methods.table import METHODS, NOT_HERE
from backend.compat.properties import PRINTER_PROPERTIES, USER_PROPERTIES
from backend.wire.errors import PROBLEMS, REFUSALS

DOCUMENT = (Path(__file__).parents[4] / "docs" / "COMPATIBILITY.md").read_text()

PAPERCUT_METHODS = [
    "isUserExists",
    "getTotalUsers",
    "listUserAccounts",
    "getUserProperty",
    "getUserProperties",
    "setUserProperty",
    "setUserProperties",
    "addNewUser",
    "addNewUsers",
    "addNewInternalUser",
    "renameUserAccount",
    "deleteExistingUser",
    "lookUpUserNameByIDNo",
    "lookUpUserNameByCardNo",
    "lookUpUserNameByEmail",
    "lookUpUserNameBySecondaryUserName",
    "lookUpUsersByFullName",
    "disablePrintingForUser",
    "resetUserCounts",
    "reapplyInitialUserSettings",
    "clearUserAdvancedPrinterSettings",
    "getUserOverdraftMode",
    "setUserOverdraftMode",
    "exportUserDataHistory",
    "getUserGroups",
    "getUserAccountBalance",
    "adjustUserAccountBalance",
    "adjustUserAccountBalanceByCardNumber",
    "adjustUserAccountBalanceIfAvailable",
    "adjustUserAccountBalanceIfAvailableLeaveRemaining",
    "adjustUserAccountBalanceByGroup",
    "adjustUserAccountBalanceByGroupUpTo",
    "setUserAccountBalance",
    "setUserAccountBalanceByGroup",
    "useCard",
    "setUserAccountSelectionAutoChargePersonal",
    "setUserAccountSelectionAutoSelectSharedAccount",
    "setUserAccountSelectionStandardPopup",
    "setUserAccountSelectionAdvancedPopup",
    "isSharedAccountExists",
    "listSharedAccounts",
    "listUserSharedAccounts",
    "addNewSharedAccount",
    "renameSharedAccount",
    "deleteExistingSharedAccount",
    "disableSharedAccount",
    "getSharedAccountAccountBalance",
    "adjustSharedAccountAccountBalance",
    "setSharedAccountAccountBalance",
    "getSharedAccountProperty",
    "getSharedAccountProperties",
    "setSharedAccountProperty",
    "setSharedAccountProperties",
    "addSharedAccountAccessUser",
    "removeSharedAccountAccessUser",
    "addSharedAccountAccessGroup",
    "removeSharedAccountAccessGroup",
    "getSharedAccountOverdraftMode",
    "setSharedAccountOverdraftMode",
    "isGroupExists",
    "listUserGroups",
    "getGroupMembers",
    "addNewGroup",
    "removeGroup",
    "syncGroup",
    "addUserToGroup",
    "removeUserFromGroup",
    "setGroupQuota",
    "getGroupQuota",
    "addAdminAccessUser",
    "removeAdminAccessUser",
    "addAdminAccessGroup",
    "removeAdminAccessGroup",
    "listPrinters",
    "getPrinterProperty",
    "getPrinterProperties",
    "setPrinterProperty",
    "setPrinterProperties",
    "applyDeviceSettings",
    "enablePrinter",
    "disablePrinter",
    "deletePrinter",
    "renamePrinter",
    "resetPrinterCounts",
    "addPrinterGroup",
    "setPrinterGroups",
    "addPrinterAccessGroup",
    "removePrinterAccessGroup",
    "setPrinterCostSimple",
    "getPrinterCostSimple",
    "batchImportPrinters",
    "getPrinterSnmpv3",
    "enablePrinterSnmpv3",
    "disablePrinterSnmpv3",
    "getDeviceSnmpv3",
    "enableDeviceSnmpv3",
    "disableDeviceSnmpv3",
    "performGroupSync",
    "performUserAndGroupSync",
    "performUserAndGroupSyncAdvanced",
    "getTaskStatus",
    "performOnlineBackup",
    "batchImportSharedAccounts",
    "batchImportUsers",
    "batchImportInternalUsers",
    "batchImportUserCardIdNumbers",
    "getConfigValue",
    "setConfigValue",
    "processJob",
    "changeInternalAdminPassword",
    "runCommand",
    "generateScheduledReport",
    "generateAdHocReport",
    "createUserClientAccountsFile",
    "saveThreadSnapshot",
    "installLicense",
]


def section(title: str) -> str:
    """The text from a heading to the next of the same depth or above."""
    depth = title.split(" ", 1)[0]
    start = DOCUMENT.index(f"\n{title}\n")
    end = re.compile(rf"^#{{2,{len(depth)}}} ", re.MULTILINE).search(DOCUMENT, start + len(title) + 2)
    return DOCUMENT[start : end.start() if end else None]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_methods() -> None:
    documented = [(cells[0], cells[1], cells[3]) for cells in rows("## XML-RPC methods") if cells[0] in METHODS]
    assert documented == [
        (name, str(method.signature), ", ".join(sorted(method.roles)) if method.roles is not None else "no token")
        for name, method in METHODS.items()
    ]


def test_methods_that_are_not_here() -> None:
    told = {name: cells[1] for cells in rows("### Methods that are not here") for name in re.findall(r"\w+", cells[0])}
    assert told == {name: reason.strip("`") for name, reason in NOT_HERE.items()}
    assert not METHODS.keys() & NOT_HERE.keys()
    assert METHODS.keys() | NOT_HERE.keys() == set(PAPERCUT_METHODS)


def test_user_properties() -> None:
    table = {cells[0]: cells[1] == "set" for cells in rows("### User properties")}
    own = {name: found.change is not None for name, found in USER_PROPERTIES.items() if name in table}
    assert table == own
    rest = set(re.findall(r"`([a-z0-9.-]+)`", section("### User properties"))) - set(table)
    assert {name for name in USER_PROPERTIES if name not in table} <= rest


def test_printer_properties() -> None:
    text = section("### Printer properties")
    assert set(re.findall(r"`([a-z0-9.-]+)`", text)) - {"false"} == set(PRINTER_PROPERTIES)


def test_faults() -> None:
    assert [int(cells[0]) for cells in rows("### Faults")] == sorted(Code)


def test_settings() -> None:
    assert [cells[0] for cells in rows("## Switching it on")] == [gate.TOKEN_KEY, gate.ADDRESSES_KEY, gate.HEALTH_KEY]


def test_codes_of_the_json_api() -> None:
    assert [cells[0] for cells in rows("### Refusals")] == list(REFUSALS)
    assert [(cells[0], cells[1]) for cells in rows("### Problems")] == [
        (code, str(status)) for code, (status, _) in PROBLEMS.items()
    ]
