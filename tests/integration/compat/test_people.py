"""Users by XML-RPC, second part: found by other things than the name, made, renamed, deleted, switched off."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from backend.access.tables import audit
from backend.ledger.tables import account
from backend.people.tables import user as user_table
from tests.integration.compat.conftest import TOKEN, Site, post
from tests.integration.compat.test_methods import fault
from tests.support.processes import wait_until
from tests.support.stores import authorise, new_id, report


def test_users_are_looked_up(site: Site, user: str) -> None:
    api = site.proxy()
    values = [
        ["full-name", f"Ann {user}"],
        ["email", f"{user}@Example.org"],
        ["primary-card-number", f"A{user}"],
        ["secondary-card-number", f"B{user}"],
        ["username-alias", f"CAMPUS\\Other.{user}"],
    ]
    assert api.setUserProperties(TOKEN, user, values) is True
    assert api.lookUpUserNameByCardNo(TOKEN, f"A{user}") == api.lookUpUserNameByIDNo(TOKEN, f"B{user}") == user
    assert api.lookUpUserNameByEmail(TOKEN, f"{user.upper()}@example.org") == user
    assert api.lookUpUserNameBySecondaryUserName(TOKEN, f"other.{user}") == user
    assert api.lookUpUsersByFullName(TOKEN, f"Ann {user}") == [user]
    assert api.lookUpUserNameByCardNo(TOKEN, "no such") == api.lookUpUserNameByEmail(TOKEN, "x@y") == ""
    assert api.lookUpUsersByFullName(TOKEN, f"ann {user} x") == []
    assert api.getUserProperties(TOKEN, user, ["card-number2", "username-alias"]) == [f"B{user}", f"other.{user}"]


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("lookUpUserNameByIDNo", 276),
        ("lookUpUserNameByCardNo", 276),
        ("lookUpUserNameByEmail", 279),
        ("lookUpUserNameBySecondaryUserName", 277),
        ("lookUpUsersByFullName", 278),
    ],
)
def test_a_blank_is_looked_up_for_nobody(site: Site, method: str, code: int) -> None:
    assert fault(getattr(site.proxy(), method), TOKEN, " ").faultCode == code


def test_an_alias_is_one_users(site: Site, user: str, new_name: Callable[[], str]) -> None:
    api, other = site.proxy(), new_name()
    api.setUserProperty(TOKEN, user, "username-alias", f"al-{user}")
    assert api.addNewUser(TOKEN, other) is True
    for taken in (f"al-{user}", user):
        assert fault(api.setUserProperty, TOKEN, other, "username-alias", taken).faultCode == 267
    assert "alias" in fault(api.addNewInternalUser, TOKEN, f"al-{user}", "pw", "", "", "", "").faultString
    assert api.isUserExists(TOKEN, f"al-{user}") is False


def test_a_user_without_a_password(site: Site, new_name: Callable[[], str]) -> None:
    api, name = site.proxy(), new_name()
    assert api.addNewUser(TOKEN, f"CAMPUS\\{name.upper()}") is True
    api.setUserAccountBalance(TOKEN, name, 2.0, "")
    assert api.addNewUser(TOKEN, name) is True
    assert api.getUserProperties(TOKEN, name, ["internal", "balance"]) == ["false", "2.0"]


def test_all_properties_or_none(site: Site, user: str) -> None:
    api = site.proxy()
    assert fault(api.setUserProperties, TOKEN, user, [["office", "1.02"], ["balance", "much"]]).faultCode == 275
    assert fault(api.setUserProperties, TOKEN, user, [["office", "1.02"], ["no-such", "x"]]).faultCode == 261
    assert fault(api.setUserProperties, TOKEN, user, [["office"]]).faultCode == 257
    assert fault(api.setUserProperties, TOKEN, "nobody", [["office", "1"]]).faultCode == 262
    assert api.getUserProperty(TOKEN, user, "office") == ""
    values = {"office": "1.02", "restricted": "TRUE", "overdraft-amount": "1.5", "balance": "-0.25", "notes": "n"}
    assert api.setUserProperties(TOKEN, user, list(values.items())) is True
    assert api.getUserProperties(TOKEN, user, list(values)) == ["1.02", "true", "1.5", "-0.25", "n"]
    assert api.setUserProperties(TOKEN, user, {"office": "2"}) is True
    assert api.setUserProperties(TOKEN, user, []) is True
    assert api.getUserProperty(TOKEN, user, "office") == "2"


def test_a_user_is_renamed(site: Site, user: str, new_name: Callable[[], str]) -> None:
    api, name, other = site.proxy(), new_name(), new_name()
    api.setUserAccountBalance(TOKEN, user, 1.5, "")
    assert api.renameUserAccount(TOKEN, user, name.upper()) is True
    assert (api.isUserExists(TOKEN, user), api.getUserAccountBalance(TOKEN, name)) == (False, 1.5)
    api.addNewUser(TOKEN, other)
    assert "already" in fault(api.renameUserAccount, TOKEN, name, other).faultString
    assert fault(api.renameUserAccount, TOKEN, user, "x").faultCode == 262
    assert fault(api.renameUserAccount, TOKEN, name, " ").faultCode == 259


def test_a_user_is_deleted_and_the_books_stay(site: Site, user: str) -> None:
    api, job_id = site.proxy(), new_id()
    api.setUserAccountBalance(TOKEN, user, 1.0, "")
    job = authorise(job_id, user, 2, queue="Zebra")
    post(site.server.url, "/api/v1/jobs/authorise", job, site.provider_secret)
    assert "being printed" in fault(api.deleteExistingUser, TOKEN, user).faultString
    post(site.server.url, "/api/v1/jobs/report", report(job_id, user, 2, queue="Zebra"), site.provider_secret)
    assert api.deleteExistingUser(TOKEN, user, True) is True
    assert fault(api.deleteExistingUser, TOKEN, user).faultCode == 262
    with site.database.connect() as conn:
        job_row = conn.execute(
            sa.text("SELECT account_id, user_name, title, charged FROM job WHERE job_id = :id"), {"id": job_id}
        ).one()
        left = conn.execute(sa.select(account).where(account.c.account_id == job_row.account_id)).one()
    assert (job_row.user_name, job_row.title, left.name) == (
        f"deleted-{left.account_id}",
        "",
        f"deleted-{left.account_id}",
    )
    assert left.credits_posted - left.debits_posted == 10_000 - job_row.charged
    assert api.addNewUser(TOKEN, user) is True
    assert api.getUserAccountBalance(TOKEN, user) == 0.0


def test_printing_is_off_for_some_minutes(site: Site, user: str) -> None:
    api = site.proxy()
    assert api.disablePrintingForUser(TOKEN, user, 5) is True
    assert api.getUserProperty(TOKEN, user, "disabled-print") == "true"
    path = "/api/v1/jobs/authorise"
    assert b"user-disabled" in post(
        site.server.url, path, authorise(new_id(), user, queue="Zebra"), site.provider_secret
    )
    with site.database.connect(writing=True) as conn:  # five minutes later
        conn.execute(sa.update(user_table).where(user_table.c.name == user).values(disabled_until=1))
    assert api.getUserProperty(TOKEN, user, "disabled-print") == "false"
    assert b'"authorised"' in post(
        site.server.url, path, authorise(new_id(), user, queue="Zebra"), site.provider_secret
    )
    assert api.disablePrintingForUser(TOKEN, user, -1) is True
    assert api.getUserProperty(TOKEN, user, "disabled-print") == "true"
    for minutes in (0, -2, 2**31 - 1, "5"):
        assert fault(api.disablePrintingForUser, TOKEN, user, minutes).faultCode == 257
    assert fault(api.disablePrintingForUser, TOKEN, "nobody", 5).faultCode == 262


def test_overdrafts_by_default_and_individual(site: Site, user: str) -> None:
    api, key = site.proxy(), "users.default-overdraft"
    assert api.getUserOverdraftMode(TOKEN, user) == "default"
    api.setConfigValue(TOKEN, key, "20000")
    try:
        assert api.getUserProperty(TOKEN, user, "overdraft-amount") == "2.0"
        assert api.setUserOverdraftMode(TOKEN, user, "INDIVIDUAL") is True
        api.setConfigValue(TOKEN, key, "30000")
        assert api.getUserProperty(TOKEN, user, "overdraft-amount") == "2.0"
        assert api.setUserOverdraftMode(TOKEN, user, "default") is True
        assert api.getUserProperty(TOKEN, user, "overdraft-amount") == "3.0"
    finally:
        api.setConfigValue(TOKEN, key, "0")
        wait_until(  # each server looks at the setting every two seconds; other tests' users have none
            lambda: api.adjustUserAccountBalanceIfAvailable(TOKEN, user, -0.0001, "") is False, 15, "it was in force"
        )
    api.setUserProperty(TOKEN, user, "overdraft-amount", "1.0")
    assert api.getUserOverdraftMode(TOKEN, user) == "individual"
    assert fault(api.setUserOverdraftMode, TOKEN, user, "none").faultCode == 264
    assert fault(api.getUserOverdraftMode, TOKEN, "nobody").faultCode == 262


def test_counts_and_initial_settings(site: Site, user: str) -> None:
    api = site.proxy()
    api.setUserProperties(
        TOKEN, user, [["print-stats.job-count", "3"], ["print-stats.page-count", "9"], ["balance", "4"]]
    )
    api.setUserProperties(TOKEN, user, [["restricted", "TRUE"], ["overdraft-amount", "4"]])
    assert api.resetUserCounts(TOKEN, user, "the desk") is True
    assert api.getUserProperties(TOKEN, user, ["print-stats.job-count", "print-stats.page-count"]) == ["0", "0"]
    with site.database.connect() as conn:
        noted = conn.execute(
            sa.select(audit.c.detail).where(audit.c.subject == user, audit.c.action == "user-counts-reset")
        )
        assert list(noted.scalars()) == ["the desk"]
    assert api.reapplyInitialUserSettings(TOKEN, user) is True
    names = ["restricted", "overdraft-amount", "balance"]
    assert api.getUserProperties(TOKEN, user, names) == ["false", "0.0", "0.0"]


def test_money_by_card_and_what_must_remain(site: Site, user: str) -> None:
    api = site.proxy()
    api.setUserProperty(TOKEN, user, "secondary-card-number", f"C{user}")
    assert api.adjustUserAccountBalanceByCardNumber(TOKEN, f"C{user}", 2.0, "kiosk") is True
    assert api.adjustUserAccountBalanceByCardNumber(TOKEN, "no such card", 2.0, "kiosk", "") is False
    assert api.adjustUserAccountBalanceByCardNumber(TOKEN, "", 2.0, "kiosk", "") is False
    leave = api.adjustUserAccountBalanceIfAvailableLeaveRemaining
    assert leave(TOKEN, user, -1.5, 0.5001, "") is False
    assert leave(TOKEN, user, -1.5, 0.5, "", None) is True
    assert api.getUserAccountBalance(TOKEN, user) == 0.5
    assert fault(leave, TOKEN, user, -0.1, -1.0, "").faultCode == 275
    assert api.useCard(TOKEN, user, "TOPUP-1") == "INVALID_CARD_NUMBER"
    assert api.useCard(TOKEN, "nobody", "TOPUP-1") == "UNKNOWN_USER"


def test_many_at_once_leave_what_must_remain(site: Site, user: str) -> None:
    site.proxy().setUserAccountBalance(TOKEN, user, 1.0, "")
    taken: list[bool] = []

    def take() -> None:
        api = site.proxy()
        for _ in range(5):
            taken.append(api.adjustUserAccountBalanceIfAvailableLeaveRemaining(TOKEN, user, -0.1, 0.35, ""))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), sum(taken)) == (20, 6)
    assert site.proxy().getUserAccountBalance(TOKEN, user) == 0.4


def test_what_there_is_none_of(site: Site, user: str) -> None:
    api = site.proxy()
    assert api.getUserGroups(TOKEN, user) == api.listUserGroups(TOKEN, 0, 100) == []
    assert (api.isGroupExists(TOKEN, "staff"), api.isGroupExists(TOKEN, "!!All Users!!")) == (False, True)
    assert api.getGroupMembers(TOKEN, "!!All Users!!", 0, 0) == api.listUserAccounts(TOKEN, 0, 0)
    assert user in api.getGroupMembers(TOKEN, "!!Internal Users!!", 0, 0)
    assert fault(api.getGroupMembers, TOKEN, "staff", 0, 0).faultCode == 263
    assert fault(api.getGroupMembers, TOKEN, "", 0, 0).faultCode == 280
    assert api.isSharedAccountExists(TOKEN, "lab\\x") is False
    assert api.listSharedAccounts(TOKEN, 0, 0) == api.listUserSharedAccounts(TOKEN, user, 0, 0, True) == []
    assert fault(api.listUserSharedAccounts, TOKEN, "nobody", 0, 0).faultCode == 262
    assert api.setUserAccountSelectionAutoChargePersonal(TOKEN, user) is True
    assert fault(api.setUserAccountSelectionAutoChargePersonal, TOKEN, user, True).faultCode == 257
    refused: Any = fault(api.addNewGroup, TOKEN, "staff")
    assert (refused.faultCode, refused.faultString) == (257, "There is no method addNewGroup here: there are no groups")


def test_printers_are_switched(site: Site) -> None:
    api = site.proxy()
    printer = ("print-1", "Alpha")

    def disabled() -> str:
        return str(api.getPrinterProperty(TOKEN, *printer, "disabled"))

    assert api.disablePrinter(TOKEN, *printer, 1) is True
    assert disabled() == "true"
    assert api.enablePrinter(TOKEN, *printer) is True
    assert disabled() == "false"
    assert api.setPrinterProperties(TOKEN, *printer, [["disabled", "TRUE"]]) is True
    assert api.getPrinterProperties(TOKEN, *printer, ["disabled", "no-such", "print-stats.job-count"])[:2] == [
        "true",
        "",
    ]
    assert api.setPrinterProperty(TOKEN, *printer, "disabled", "FALSE") is True
    assert disabled() == "false"
    assert api.disablePrinter(TOKEN, *printer, -1) is True
    assert disabled() == "true"
    api.enablePrinter(TOKEN, *printer)
    assert fault(api.setPrinterProperty, TOKEN, *printer, "cost-model", "SIMPLE").faultCode == 261
    assert fault(api.setPrinterProperty, TOKEN, *printer, "no-such", "x").faultCode == 261
    assert fault(api.enablePrinter, TOKEN, "print-1", "nothing").faultCode == 283
    assert fault(api.disablePrinter, TOKEN, *printer, 0).faultCode == 257
    with site.database.connect() as conn:
        noted = conn.execute(
            sa.select(audit.c.actor).where(audit.c.action == "queue-changed", audit.c.subject == "Alpha")
        )
        assert set(noted.scalars()) == {"xmlrpc"}
