"""What a printer says is the matter with it, in words: IPP's keywords of `printer-state-reasons` (RFC 8011, 5.4.12, and
PWG 5100.9). Pure.

How bad it is stands behind the keyword ("-error", "-warning", "-report") and is left out: state and colour say that.
"""

from collections.abc import Iterable
from typing import Final

WORDS: Final = {
    "connecting-to-device": "connecting",
    "cover-open": "cover open",
    "developer-empty": "developer empty",
    "developer-low": "developer low",
    "door-open": "door open",
    "fuser-over-temp": "fuser too hot",
    "fuser-under-temp": "fuser too cold",
    "input-tray-missing": "paper tray missing",
    "interlock-open": "cover open",
    "marker-supply-empty": "ink or toner empty",
    "marker-supply-low": "ink or toner low",
    "marker-waste-almost-full": "waste box almost full",
    "marker-waste-full": "waste box full",
    "media-empty": "out of paper",
    "media-jam": "paper jam",
    "media-low": "paper low",
    "media-needed": "other paper needed",
    "moving-to-paused": "pausing",
    "offline": "does not answer",
    "opc-life-over": "drum used up",
    "opc-near-eol": "drum almost used up",
    "other": "another trouble",
    "output-area-almost-full": "output tray almost full",
    "output-area-full": "output tray full",
    "output-tray-missing": "output tray missing",
    "paused": "paused",
    "shutdown": "switched off",
    "spool-area-full": "its memory is full",
    "stopped-partly": "partly stopped",
    "stopping": "stopping",
    "timed-out": "does not answer",
    "toner-empty": "toner empty",
    "toner-low": "toner low",
}
SEVERITIES: Final = ("-error", "-warning", "-report")


def reason_words(reasons: Iterable[str]) -> str:
    """All of them, each once; a keyword that is not known in plain letters. "" where nothing is the matter."""
    return ", ".join(dict.fromkeys(_word(reason) for reason in reasons if reason != "none"))


def _word(reason: str) -> str:
    plain = reason
    for severity in SEVERITIES:
        plain = plain.removesuffix(severity)
    return WORDS.get(plain) or plain.replace("-", " ")
