"""Whose job it is: the name CUPS gives, made the one the ledger knows. Pure.

`DOMAIN\\user`, `user@REALM` and `User` are one person for accounting. The mapping happens before anything is
stored, so that a journal read years later names the same accounts.
"""

import unicodedata

import msgspec


class UserNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings [users]: what is done to a name, each step on its own switch."""

    lower_case: bool = True
    strip_domain: bool = True
    strip_realm: bool = True


UNNAMED = "anonymous"
LONGEST = 255


def map_user_name(name: str, rules: UserNames) -> str:
    """The account's name; never empty, at most 255 characters, without control characters."""
    printable = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip()
    mapped = printable
    if rules.strip_domain:
        mapped = mapped.rpartition("\\")[2]
    if rules.strip_realm:
        mapped = mapped.partition("@")[0] or mapped
    if rules.lower_case:
        mapped = mapped.lower()
    return (mapped.strip() or printable or UNNAMED)[:LONGEST]
