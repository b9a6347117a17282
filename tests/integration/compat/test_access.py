"""Who is let in to XML-RPC."""

from collections.abc import Iterator

import pytest

from tests.integration.compat.conftest import TOKEN, Site
from tests.integration.compat.test_methods import fault

KEY = "auth.webservices.auth-token"
ADDRESSES = "auth.webservices.allowed-addresses"


@pytest.fixture(autouse=True)
def put_back(site: Site) -> Iterator[None]:
    yield
    site.set(KEY, TOKEN)
    site.set(ADDRESSES, "")


def test_without_a_token_set_nobody_gets_in(site: Site) -> None:
    site.set(KEY, "")
    api = site.proxy()
    for given in ((), ("",), (TOKEN,), (None,)):
        refused = fault(api.getTotalUsers, *given)
        assert refused.faultCode == 257
        assert f"the setting {KEY} is empty" in refused.faultString


@pytest.mark.parametrize("given", [(), ("",), ("wrong",), (TOKEN.upper(),), (5,), ([TOKEN],), (None,)])
def test_a_wrong_token_is_refused(site: Site, given: tuple[object, ...]) -> None:
    assert fault(site.proxy().getTotalUsers, *given).faultString == "The authentication token is not valid"


@pytest.mark.parametrize(
    ("setting", "right", "wrong"),
    [
        ("plain", "plain", "other"),
        ('["one", "two"]', "two", '["one", "two"]'),
        ('{"kiosk": "three", "web": "four"}', "four", "web"),
    ],
)
def test_the_three_forms_of_the_setting(site: Site, setting: str, right: str, wrong: str) -> None:
    api = site.proxy()
    assert api.setConfigValue(TOKEN, KEY, setting) is True
    assert api.getTotalUsers(right) >= 0
    assert api.getConfigValue(right, KEY) == setting
    assert "not valid" in fault(api.getTotalUsers, wrong).faultString
    assert "not valid" in fault(api.getTotalUsers, TOKEN).faultString


def test_api_tokens_are_taken_as_far_as_their_role_goes(site: Site, user: str) -> None:
    tokens = {
        role: site.server.command("token", "create", "--role", role, "--name", f"{role} of a test")
        for role in ("admin", "helpdesk", "auditor", "metrics")
    }
    api = site.proxy()
    assert api.setConfigValue(tokens["admin"], "a.key", "v") is True
    assert api.adjustUserAccountBalance(tokens["helpdesk"], user, 1.0, "") is True
    assert api.getUserAccountBalance(tokens["auditor"], user) == 1.0
    for role, method, arguments in (
        ("helpdesk", "getConfigValue", (KEY,)),
        ("helpdesk", "setUserProperty", (user, "email", "")),
        ("auditor", "adjustUserAccountBalance", (user, 1.0, "")),
        ("metrics", "getTotalUsers", ()),
    ):
        assert f"role {role} may not" in fault(getattr(api, method), tokens[role], *arguments).faultString
    assert api.getUserAccountBalance(TOKEN, user) == 1.0
    assert "not valid" in fault(api.getTotalUsers, site.provider_secret[:-1]).faultString
    assert "role provider" in fault(api.getTotalUsers, site.provider_secret).faultString


def test_addresses(site: Site) -> None:
    api = site.proxy()
    assert api.setConfigValue(TOKEN, ADDRESSES, "10.0.0.0/8, 127.0.0.1") is True
    assert api.getTotalUsers(TOKEN) >= 0
    assert "cannot be read" in fault(api.setConfigValue, TOKEN, ADDRESSES, "10.0.0.x").faultString
    assert api.setConfigValue(TOKEN, ADDRESSES, "10.0.0.0/8") is True
    assert "address 127.0.0.1 are not allowed" in fault(api.getTotalUsers, TOKEN).faultString


def test_a_list_that_cannot_be_read_lets_nobody_in(site: Site) -> None:
    site.set(ADDRESSES, "nonsense")
    assert "every call is refused" in fault(site.proxy().getTotalUsers, TOKEN).faultString


def test_no_token_is_written_to_the_log(site: Site) -> None:
    fault(site.proxy().getTotalUsers, "a guessed token")
    written = site.server.process.written()
    assert "wrong token" in written
    assert "a guessed token" not in written
    assert TOKEN not in written


def test_the_help_desks_limits_hold_here_too(site: Site, user: str) -> None:
    token = site.server.command("token", "create", "--role", "helpdesk", "--name", "a limited desk")
    api, key = site.proxy(), "helpdesk.limit-per-adjustment"
    assert api.setConfigValue(TOKEN, key, "20000") is True
    try:
        assert api.adjustUserAccountBalance(token, user, 2.0, "") is True
        for method in ("adjustUserAccountBalance", "adjustUserAccountBalanceIfAvailable", "setUserAccountBalance"):
            assert fault(getattr(api, method), token, user, 9.0, "").faultCode == 257
        assert api.adjustUserAccountBalance(TOKEN, user, 3.0, "the web services have no limit") is True
    finally:
        api.setConfigValue(TOKEN, key, "0")
    assert api.getUserAccountBalance(TOKEN, user) == 5.0
