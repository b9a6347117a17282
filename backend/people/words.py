"""The words by which a person is found, and the words of what somebody typed: pure.

Without case and accents beside the spelling as it is, so that "muller" and "MÜLLER" both find Müller; hyphenated
names by the whole and by each part.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterable

MAX_WORD = 64
MAX_WORDS = 40
MAX_TYPED = 5
MARKED = 3
MARK_BITS = 63  # of a signed BIGINT
LETTERS = 26
LAST_CHARACTER = "\U0010ffff"

_PARTS = re.compile(r"[^\W_]+")


def words_of(
    name: str, full_name: str, email: str, card_number: str, card_number2: str = "", alias: str = ""
) -> frozenset[str]:
    """At most MAX_WORDS words of at most MAX_WORD characters."""
    found: dict[str, None] = {}
    for text, whole, in_parts in (
        (name, True, True),
        (alias, True, True),
        (email, True, False),
        (card_number, True, False),
        (card_number2, True, False),
        (full_name, False, True),
    ):
        folded = fold(text)
        pieces = [folded] if whole else folded.split()
        if in_parts:
            pieces += _PARTS.findall(folded)
        for piece in pieces:
            found.setdefault(piece[:MAX_WORD])
            found.setdefault(_without_accents(piece)[:MAX_WORD])
    found.pop("", None)
    return frozenset(list(found)[:MAX_WORDS])


def typed(query: str) -> tuple[str, ...]:
    """The words somebody typed, longest (most telling) first; each is a prefix to look for."""
    words = dict.fromkeys(word[:MAX_WORD] for word in fold(query).split())
    return tuple(sorted(words, key=len, reverse=True)[:MAX_TYPED])


def marks_of(words: Iterable[str]) -> int:
    """Which beginnings these words have, as bits: one for the first letter, the first two and the first three of each.

    Kept beside each word of a person, so that of two typed words the second need not be looked up for everybody whom
    the first one finds: who lacks one of the bits of `marks_of` what was typed has no such word. (Who has them may;
    each letter from a to z has a bit of its own, the other beginnings share what is left.)
    """
    beginnings = {word[:length] for word in words for length in range(1, min(len(word), MARKED) + 1)}
    marks = 0
    for beginning in beginnings:
        marks |= 1 << _bit(beginning)
    return marks


def _bit(beginning: str) -> int:
    if len(beginning) == 1 and "a" <= beginning <= "z":
        return ord(beginning) - ord("a")
    return LETTERS + zlib.crc32(beginning.encode()) % (MARK_BITS - LETTERS)


def fold(text: str) -> str:
    """Case and control characters away; composed, so that the same letters are the same characters."""
    plain = "".join(char for char in unicodedata.normalize("NFC", text) if char.isspace() or char.isprintable())
    return unicodedata.normalize("NFC", plain.casefold()).strip()


def _without_accents(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
