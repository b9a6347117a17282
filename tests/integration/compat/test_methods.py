"""The XML-RPC methods as a Python script calls them, on a running server."""

import xmlrpc.client
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.compat.conftest import TOKEN, Site


def fault(call: Callable[..., Any], *arguments: Any) -> xmlrpc.client.Fault:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        call(*arguments)
    return caught.value


def test_a_user_comes_into_being(site: Site, new_name: Callable[[], str]) -> None:
    api, name = site.proxy(), new_name()
    assert api.isUserExists(TOKEN, name) is False
    before = api.getTotalUsers(TOKEN)
    assert (
        api.addNewInternalUser(TOKEN, f"CAMPUS\\{name.upper()}", "pw", "Full Name", "a@b.org", "", "1234", True) is True
    )
    assert api.isUserExists(TOKEN, f"{name.title()}@campus.edu") is True
    assert api.getTotalUsers(TOKEN) == before + 1
    assert api.getUserProperties(TOKEN, name, ["full-name", "email", "internal", "no-such", "balance"]) == [
        "Full Name", "a@b.org", "true", "", "0.0",
    ]  # fmt: skip
    assert "exists already" in fault(api.addNewInternalUser, TOKEN, name, "pw", "", "", "", "").faultString


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("", "pw", "", "", "", ""), 259),
        (("x1", "", "", "", "", ""), 258),
        (("x1", "pw", "", "nobody", "", ""), 269),
        (("x1", "pw", "", "", "", "12 34"), 271),
        (("x" * 300, "pw", "", "", "", ""), 257),
        (("x1", "pw", "", "", ""), 257),
        (("x1", "pw", "", "", "", "", True, ""), 257),
    ],
)
def test_a_user_is_refused(site: Site, arguments: tuple[Any, ...], code: int) -> None:
    api = site.proxy()
    before = api.getTotalUsers(TOKEN)
    assert fault(api.addNewInternalUser, TOKEN, *arguments).faultCode == code
    assert api.getTotalUsers(TOKEN) == before


def test_pages_of_names_fit_together(site: Site, user: str) -> None:
    api = site.proxy()
    everybody = api.listUserAccounts(TOKEN, 0, 0)
    assert everybody == sorted(everybody)
    assert user in everybody
    pages = [name for offset in range(0, len(everybody), 2) for name in api.listUserAccounts(TOKEN, offset, 2)]
    assert pages == everybody
    assert api.listUserAccounts(TOKEN, len(everybody), 0) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("full-name", "Ada Lovelace Æ", "Ada Lovelace Æ"),
        ("email", "ada@example.org", "ada@example.org"),
        ("department", "Maths", "Maths"),
        ("office", "1.02", "1.02"),
        ("notes", "one\ntwo <&>", "one\ntwo <&>"),
        ("disabled-print", "TRUE", "true"),
        ("restricted", "TRUE", "true"),
        ("restricted", False, "false"),
        ("overdraft-amount", "2.5", "2.5"),
        ("balance", "-12.3456", "-12.3456"),
        ("print-stats.job-count", "7", "7"),
        ("print-stats.page-count", 0, "0"),
    ],
)
def test_a_property_is_set(site: Site, user: str, name: str, value: Any, told: str) -> None:
    api = site.proxy()
    assert api.setUserProperty(TOKEN, user, name, value) is True
    assert api.getUserProperty(TOKEN, user, name) == told


def test_a_card_belongs_to_one_user(site: Site, user: str, new_name: Callable[[], str]) -> None:
    api, card, other = site.proxy(), f"card of {user}", new_name()
    assert api.setUserProperty(TOKEN, user, "primary-card-number", card) is True
    assert api.setUserProperty(TOKEN, user, "card-number", card) is True
    refused = fault(api.addNewInternalUser, TOKEN, other, "pw", "", "", card, "")
    assert refused.faultString.endswith(f' number for user "{other}" belongs to another user. Card number: {card}')
    assert api.isUserExists(TOKEN, other) is False
    assert api.addNewInternalUser(TOKEN, other, "pw", "", "", "", "") is True
    assert f"Card number: {card}" in fault(api.setUserProperty, TOKEN, other, "card-number", card).faultString
    assert api.setUserProperty(TOKEN, user, "card-number", "") is True
    assert api.setUserProperty(TOKEN, other, "card-number", card) is True


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("getUserProperty", ("nobody", "balance"), 262),
        ("getUserProperties", ("nobody", ["balance"]), 262),
        ("setUserProperty", ("nobody", "email", ""), 262),
        ("setUserProperty", ("nobody", "restricted", "TRUE"), 262),
        ("setUserProperty", ("nobody", "balance", "1"), 262),
        ("getUserAccountBalance", ("nobody",), 262),
        ("setUserAccountBalance", ("nobody", 1.0, ""), 262),
        ("adjustUserAccountBalance", ("nobody", 1.0, ""), 262),
        ("adjustUserAccountBalanceIfAvailable", ("nobody", 1.0, ""), 262),
        ("getPrinterCostSimple", ("print-1", "nothing"), 283),
        ("getPrinterCostSimple", ("nowhere", "Alpha"), 283),
        ("setPrinterCostSimple", ("nowhere", "Alpha", 1.0), 283),
        ("getPrinterProperty", ("", "Alpha", "disabled"), 281),
        ("getPrinterProperty", ("print-1", "", "disabled"), 282),
        ("getPrinterProperty", ("print-1", "Alpha", "no-such"), 261),
        ("noSuchMethod", (), 257),
        ("listPrinters", ("0", 10), 257),
        ("listPrinters", (0, -1), 257),
        ("listPrinters", (0,), 257),
    ],
)
def test_what_is_not_there_is_a_numbered_fault(site: Site, method: str, arguments: tuple[Any, ...], code: int) -> None:
    assert fault(getattr(site.proxy(), method), TOKEN, *arguments).faultCode == code


def test_properties_that_are_not_there(site: Site, user: str) -> None:
    api = site.proxy()
    assert fault(api.getUserProperty, TOKEN, user, "no-such").faultCode == 261
    assert fault(api.setUserProperty, TOKEN, user, "no-such", "x").faultCode == 261
    assert fault(api.setUserProperty, TOKEN, user, "internal", "true").faultCode == 261
    assert fault(api.getUserProperty, TOKEN, user, " ").faultCode == 260


def test_printers(site: Site) -> None:
    api = site.proxy()
    names = ["!!template printer!!", "print-1\\Alpha", "print-1\\Zebra"]
    assert api.listPrinters(TOKEN, 0, 0) == names
    assert [name for offset in range(3) for name in api.listPrinters(TOKEN, offset, 1)] == names
    assert api.listPrinters(TOKEN, 1, 1000) == names[1:]
    assert api.listPrinters(TOKEN, 3, 0) == []
    assert api.getPrinterProperty(TOKEN, "print-1", "Alpha", "cost-model") == "SIMPLE"
    assert api.getPrinterProperty(TOKEN, "print-1", "Alpha", "print-stats.page-count") == "0"
    assert api.getPrinterProperty(TOKEN, "print-1", "free", "disabled") == "false"
    ids = {api.getPrinterProperty(TOKEN, "print-1", name, "printer-id") for name in ("Alpha", "Zebra")}
    assert len(ids) == 2


def test_the_cost_of_a_page(site: Site) -> None:
    api = site.proxy()
    assert api.getPrinterCostSimple(TOKEN, "print-1", "Zebra") == 0.05
    assert api.setPrinterCostSimple(TOKEN, "print-1", "Zebra", 0.015) is True
    assert api.getPrinterCostSimple(TOKEN, "print-1", "Zebra") == 0.015
    assert api.setPrinterCostSimple(TOKEN, "print-1", "Zebra", 0.0) is True
    assert api.getPrinterCostSimple(TOKEN, "print-1", "Zebra") == 0.0
    assert fault(api.setPrinterCostSimple, TOKEN, "print-1", "Zebra", -0.01).faultCode == 257
    assert api.setPrinterCostSimple(TOKEN, "print-1", "Zebra", 0.05) is True


def test_settings(site: Site) -> None:
    api = site.proxy()
    assert api.getConfigValue(TOKEN, "no.such.key") == ""
    assert api.setConfigValue(TOKEN, "a.script.keeps.this", "ä value") is True
    assert api.getConfigValue(TOKEN, "a.script.keeps.this") == "ä value"
    assert site.server.command("config", "get", "a.script.keeps.this") == "ä value"
    assert "true or false" in fault(api.setConfigValue, TOKEN, "users.default-restricted", "perhaps").faultString


def test_new_users_start_with_what_the_settings_say(site: Site, new_name: Callable[[], str]) -> None:
    api, name = site.proxy(), new_name()
    wanted = {"users.initial-credit": "12500", "users.default-restricted": "true", "users.default-overdraft": "5000"}
    before = {key: api.getConfigValue(TOKEN, key) for key in wanted}
    try:
        for key, value in wanted.items():
            api.setConfigValue(TOKEN, key, value)
        api.addNewInternalUser(TOKEN, name, "pw", "", "", "", "")
        told = api.getUserProperties(TOKEN, name, ["balance", "restricted", "overdraft-amount"])
    finally:
        for key, value in before.items():
            api.setConfigValue(TOKEN, key, value)
    assert told == ["1.25", "true", "0.5"]
    assert api.getUserProperty(TOKEN, name, "overdraft-amount") == "0.0"  # it is the setting's, not a copy of it
