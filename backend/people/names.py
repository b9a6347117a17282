"""One person, one name: whatever a print server, a directory or a script calls somebody, stored is the same text. Pure.

`CAMPUS\\Ann`, `ann@campus.edu` and `ann` are the user `ann`.
"""

import unicodedata


def map_name(text: str) -> str:
    """The name as it is stored; "" where nothing is left of it."""
    composed = unicodedata.normalize("NFC", text).strip()
    return composed.rpartition("\\")[2].partition("@")[0].strip().lower()
