"""Passwords and PINs as they are kept."""

import pytest

from backend.access.passwords import hash_secret, is_secret


def test_a_secret_is_known_again_and_no_other_is() -> None:
    kept = hash_secret("pässword")
    assert "pässword" not in kept
    assert is_secret("pässword", kept)
    assert not is_secret("passwort", kept)


def test_equal_secrets_are_kept_differently() -> None:
    assert hash_secret("x") != hash_secret("x")


@pytest.mark.parametrize("kept", ["", "x", "md5$1$1$1$eA==$eA=="])
def test_nothing_is_the_secret_where_none_was_kept(kept: str) -> None:
    assert not is_secret("", kept)
