"""Who may call."""

import pytest

from backend.compat.gate import address_allowed, has_token, same_secret, token_owner


@pytest.mark.parametrize(
    ("setting", "given", "owner"),
    [
        ("secret", "secret", ""),
        (" secret\n", "secret ", ""),
        ("secret", "Secret", None),
        ("secret", "", None),
        ("", "", None),
        ("   ", "", None),
        ('["a","b"]', "b", ""),
        ('["a","b"]', "c", None),
        ('["a",""]', "", None),
        ("[]", "[]", None),
        ('{"kiosk":"k1","web":"k2"}', "k2", "web"),
        ('{"kiosk":"k1","web":"k2"}', "web", None),
        ('{"kiosk":""}', "", None),
        ("{not json", "{not json", ""),
        ('["a", 1]', '["a", 1]', ""),
        ("sécret", "sécret", ""),
    ],
)
def test_token(setting: str, given: str, owner: str | None) -> None:
    assert token_owner(setting, given) == owner


@pytest.mark.parametrize(
    ("setting", "some"), [("", False), (" ", False), ("[]", False), ('[""]', False), ('["a"]', True)]
)
def test_has_token(setting: str, some: bool) -> None:
    assert has_token(setting) is some


def test_an_empty_secret_opens_nothing() -> None:
    assert not same_secret("", "")
    assert same_secret("k", "k")
    assert not same_secret("k", "K")


@pytest.mark.parametrize(
    ("setting", "address", "allowed"),
    [
        ("", "203.0.113.9", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("10.1.0.0/16, 10.2.0.0/255.255.0.0;::1", "10.1.200.3", True),
        ("10.1.0.0/16, 10.2.0.0/255.255.0.0;::1", "10.2.200.3", True),
        ("10.1.0.0/16, 10.2.0.0/255.255.0.0;::1", "10.3.0.1", False),
        ("10.1.0.0/16, 10.2.0.0/255.255.0.0;::1", "::1", True),
        ("10.1.0.0/16", "::ffff:10.1.2.3", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "testclient", False),
    ],
)
def test_address(setting: str, address: str, allowed: bool) -> None:
    assert address_allowed(setting, address) is allowed


def test_an_address_list_with_a_mistake_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.x"):
        address_allowed("127.0.0.1 10.0.0.x", "127.0.0.1")
