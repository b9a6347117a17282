"""Details of the audit log in words, and what a printer says is the matter."""

import json

import pytest

from app.core.audit import detail_words
from app.core.reasons import reason_words
from backend.printers.model import encode_rule
from backend.wire.access import AuditEntry
from backend.wire.pricing import MediaCost, PageCost, SimpleCost, StandardCost
from tests.support.console_world import LEDGER, NOW_MS

ROW = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2000, color_duplex=1600)
DEARER = PageCost(grayscale_simplex=600, grayscale_duplex=400, color_simplex=2000, color_duplex=1600)
SIMPLE = encode_rule(SimpleCost(per_impression=500))
TABLE = encode_rule(StandardCost(default=ROW))
OTHER = encode_rule(StandardCost(default=DEARER, media=(MediaCost(media="a3", cost=ROW),), version=2))


def told(action: str, detail: object, subject: str = "x") -> str:
    text = detail if isinstance(detail, str) else json.dumps(detail)
    entry = AuditEntry(
        audit_id=1, at=NOW_MS, actor="admin:a", role="admin", action=action, subject=subject, detail=text
    )
    return detail_words(entry, LEDGER)


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"hold_jobs": [False, True]}, "holds its jobs: no → yes"),
        (
            {"offline_policy": ["default", "hold"], "partial_charge": ["whole", "nothing"]},
            "while no server answers: as the print server is set → hold until a server answers; "
            "a print that broke off: costs as much as the whole → costs nothing",
        ),
        ({"cost": [SIMPLE, encode_rule(SimpleCost(per_impression=600, duplex_discount=50))]},
         "price: 0.05 EUR a page → 0.03 to 0.06 EUR a page, 50 % less two-sided"),
        ({"cost": [TABLE, encode_rule(StandardCost(default=DEARER, version=2))]},
         "price: other paper grey, one-sided 0.05 EUR → 0.06 EUR"),
        ({"cost": [TABLE, OTHER]},
         "price: 0.04 to 0.20 EUR a page, 1 row of prices → 0.04 to 0.20 EUR a page, 2 rows of prices"
         " (other paper grey, one-sided 0.05 EUR → 0.06 EUR, a3 added)"),
        ({"disabled": [False, True], "disabled_until": [0, 1_800_000_000_000]},
         "printing switched off: no → yes; until: no end → 2027-01-15"),
        ({"hold_jobs": True, "cost": SIMPLE}, "holds its jobs: yes; price: 0.05 EUR a page"),
        ({"disabled": True, "disabled_until": 0}, "printing switched off: yes"),
        ({"later": [1, 2]}, '{"later": [1, 2]}'),
        ("no JSON", "no JSON"),
    ],
)  # fmt: skip
def test_what_was_changed_of_a_queue(detail: object, words: str) -> None:
    assert told("queue-changed", detail) == words


@pytest.mark.parametrize(
    ("action", "subject", "detail", "words"),
    [
        ("user-changed", "mira", "card_number, disabled, email", "card number, printing switched off or on, e-mail"),
        ("user-renamed", "mira", "ann", "now ann"),
        ("user-deleted", "mira", "redacted", "name and documents taken out of what stays"),
        ("operator-changed", "anna", "disabled=True, limit_each=200000, limit_day=-1, password",
         "disabled: yes, at once: 20.00 EUR, in a day: the default, another password"),
        ("operator-changed", "anna", "limit_each=0, role=auditor", "at once: no limit, role: Auditor"),
        ("operator-changed", "anna", "later=1", "later=1"),
        ("token-created", "kiosk", "helpdesk", "Help desk"),
        ("setting-changed", "users.initial-credit", "15000", "Initial credit: 1.50 EUR"),
        ("setting-changed", "jobs.held-timeout-s", "0", "Held jobs wait: for ever"),
        ("setting-changed", "users.default-restricted", "true", "New users are restricted: yes"),
        ("setting-changed", "health.api.key", "", ""),
        ("refused", "make_user", "/api/v1/users", "/api/v1/users"),
    ],
)  # fmt: skip
def test_other_details(action: str, subject: str, detail: str, words: str) -> None:
    assert told(action, detail, subject) == words


def test_what_a_printer_says_in_words() -> None:
    assert reason_words(("media-jam-error", "media-jam", "toner-low-warning", "none")) == "paper jam, toner low"
    assert reason_words(("com.acme.bell-rings-report",)) == "com.acme.bell rings"
    assert reason_words(("none",)) == ""
