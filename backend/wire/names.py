"""How the many spellings of one person's name become one: pure, the same for server, provider and console.

CUPS hands over what the client or its authentication wrote: `ANNA`, `DOMAIN\\anna`, `anna@REALM`. All are `anna`.
Mapping twice changes nothing, so a name may be mapped by the provider and by the server.
"""

import unicodedata

MAX_NAME = 255


def map_user_name(name: str) -> str:
    """The name by which a person is stored: lower case, without a domain before `\\` or a realm after `@`.

    A name that would be empty then is kept as it is, in lower case; control characters are dropped.
    """
    plain = "".join(char for char in unicodedata.normalize("NFC", name) if unicodedata.category(char)[0] != "C")
    whole = unicodedata.normalize("NFC", plain.strip().lower())[:MAX_NAME].strip()
    inside = whole.rpartition("\\")[2] or whole
    return inside.partition("@")[0].strip() or whole
