"""Properties by PaperCut's names."""

import dataclasses

import pytest

from backend.compat.faults import Fault
from backend.compat.properties import (
    PRINTER_PROPERTIES,
    USER_PROPERTIES,
    Account,
    Balance,
    Change,
    Detail,
    PrinterRecord,
    UserRecord,
    printer_property,
    user_change,
    user_property,
)

BOB = UserRecord(
    name="bob",
    full_name="Bob Ross",
    email="bob@example.org",
    department="Art",
    office="1.02",
    notes="likes\ntrees",
    card_number="007",
    card_number2="0815",
    alias="b.ross",
    internal=True,
    disabled=False,
    balance=12_345_600,
    overdraft=50_000,
    restricted=True,
    print_jobs=3,
    print_impressions=40,
    decimals=4,
)
PRINTER = PrinterRecord(queue_id=12, disabled=True, per_impression=500, decimals=4, jobs=2, impressions=9)

PAPERCUT_USER_PROPERTIES = [
    "balance",
    "primary-card-number",
    "secondary-card-number",
    "department",
    "disabled-print",
    "email",
    "full-name",
    "internal",
    "notes",
    "office",
    "print-stats.job-count",
    "print-stats.page-count",
    "net-stats.data-mb",
    "net-stats.time-hours",
    "restricted",
    "home",
    "unauthenticated",
    "username-alias",
    "dont-hold-jobs-in-release-station",
    "dont-apply-printer-filter-rules",
    "printer-cost-adjustment-rate-percent",
    "dont-archive",
    "auto-release-jobs",
    "overdraft-amount",
    "delegated-users",
    "delegated-groups",
    "account-selection.mode",
    "account-selection.can-charge-personal",
    "account-selection.can-charge-shared-from-list",
    "account-selection.can-charge-shared-by-pin",
    "other-emails",
    "auto-shared-account",
    "card-number",
    "card-number2",
]


@pytest.mark.parametrize("name", PAPERCUT_USER_PROPERTIES)
def test_every_documented_property_can_be_read(name: str) -> None:
    assert isinstance(user_property(BOB, name), str)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("balance", "1234.56"),
        ("overdraft-amount", "5.0"),
        ("restricted", "true"),
        ("disabled-print", "false"),
        ("internal", "true"),
        ("card-number", "007"),
        ("primary-card-number", "007"),
        ("secondary-card-number", "0815"),
        ("card-number2", "0815"),
        ("username-alias", "b.ross"),
        ("full-name", "Bob Ross"),
        ("notes", "likes\ntrees"),
        ("print-stats.job-count", "3"),
        (" print-stats.page-count ", "40"),
        ("printer-cost-adjustment-rate-percent", "-1"),
    ],
)
def test_read(name: str, value: str) -> None:
    assert user_property(BOB, name) == value


def test_a_ledger_of_whole_units_is_told_as_a_double_too() -> None:
    assert user_property(dataclasses.replace(BOB, balance=7, decimals=0), "balance") == "7.0"


@pytest.mark.parametrize(
    ("name", "value", "change"),
    [
        ("balance", "12.34", Balance(123_400)),
        ("balance", "-1", Balance(-10_000)),
        ("restricted", "TRUE", Account("restricted", True)),
        ("restricted", "false", Account("restricted", False)),
        ("overdraft-amount", "0.5", Account("overdraft", 5_000)),
        ("print-stats.job-count", "0", Account("print_jobs", 0)),
        ("print-stats.page-count", " 12 ", Account("print_impressions", 12)),
        ("full-name", " Bob ", Detail("full_name", "Bob")),
        ("email", "", Detail("email", "")),
        ("email", "b@x", Detail("email", "b@x")),
        ("department", "Art", Detail("department", "Art")),
        ("office", "1", Detail("office", "1")),
        ("notes", "a\nb", Detail("notes", "a\nb")),
        ("disabled-print", "TRUE", Detail("disabled", True)),
        ("primary-card-number", "007", Detail("card_number", "007")),
        ("card-number", "", Detail("card_number", "")),
        ("secondary-card-number", " 1 ", Detail("card_number2", "1")),
        ("card-number2", "", Detail("card_number2", "")),
        ("username-alias", " CAMPUS\\B.Ross ", Detail("alias", "b.ross")),
        ("username-alias", "", Detail("alias", "")),
    ],
)
def test_change(name: str, value: str, change: Change) -> None:
    assert user_change(name, value, 4) == change


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("", "x", 260),
        ("  ", "x", 260),
        ("no-such", "x", 261),
        ("internal", "true", 261),
        ("home", "x", 261),
        ("balance", "ten", 275),
        ("balance", "", 275),
        ("balance", "nan", 275),
        ("balance", "1e99", 275),
        ("balance", "1e999999999", 275),
        ("balance", "1,5", 275),
        ("balance", "1_000", 275),
        ("balance", "٣", 275),
        ("overdraft-amount", "-1", 264),
        ("overdraft-amount", "x", 264),
        ("restricted", "maybe", 257),
        ("disabled-print", "", 257),
        ("print-stats.job-count", "-1", 257),
        ("print-stats.job-count", "1.5", 257),
        ("print-stats.job-count", "²", 257),
        ("print-stats.page-count", "99999999999", 257),
        ("full-name", "x" * 256, 257),
        ("full-name", "a\nb", 257),
        ("notes", "x" * 20_000, 257),
        ("email", "nobody", 269),
        ("email", "a b@x", 269),
        ("email", "@x", 269),
    ],
)
def test_change_refused(name: str, value: str, code: int) -> None:
    with pytest.raises(Fault) as caught:
        user_change(name, value, 4)
    assert caught.value.code == code


@pytest.mark.parametrize(("name", "code"), [("", 260), ("no-such", 261)])
def test_unknown_property(name: str, code: int) -> None:
    with pytest.raises(Fault) as of_user:
        user_property(BOB, name)
    with pytest.raises(Fault) as of_printer:
        printer_property(PRINTER, name)
    assert (of_user.value.code, of_printer.value.code) == (code, code)


def test_printer_properties() -> None:
    assert {name: printer_property(PRINTER, name) for name in PRINTER_PROPERTIES} == {
        "cost-model": "SIMPLE",
        "disabled": "true",
        "print-stats.job-count": "2",
        "print-stats.page-count": "9",
        "printer-id": "12",
        "virtual": "false",
        **{f"custom-field-{number}": "" for number in range(1, 7)},
    }


def test_what_can_be_set_is_what_the_documentation_says() -> None:
    assert {name for name, found in USER_PROPERTIES.items() if found.change} == {
        "balance", "card-number", "primary-card-number", "department", "disabled-print", "email", "full-name", "notes",
        "office", "overdraft-amount", "print-stats.job-count", "print-stats.page-count", "restricted",
        "secondary-card-number", "card-number2", "username-alias",
    }  # fmt: skip
