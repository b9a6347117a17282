"""What all messages of the JSON API are made of, version 1. Golden samples in tests/contract hold them still.

Conventions: every message carries `v`, the contract's version; amounts are integers in minor units; times are integers,
milliseconds since 1970 UTC by the database's clock unless the name says otherwise; ids are opaque text (made as UUIDs).
Printing words are IPP's (RFC 8011, PWG 5100.x) with underscores.
"""

from typing import Annotated, Final, Literal, NewType

import msgspec
from msgspec import Meta

VERSION = 1
GENERATION_HEADER: Final = "Inkeeper-Generation"  # of every answer: rises with each restore of the database
DRAINING_HEADER: Final = "Inkeeper-Draining"  # of every answer of a server that wants its clients to go to another
CommandId = NewType("CommandId", str)
JobId = NewType("JobId", str)
UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
Uuid = Annotated[str, Meta(pattern=UUID_PATTERN)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Text = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Amount = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Millis = Annotated[int, Meta(ge=0, le=2**53)]
OfflinePolicy = Literal["default", "allow", "allowance", "hold"]
PartialCharge = Literal["whole", "nothing"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    v: int = VERSION


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """How amounts are written: `decimals` is the scale, `currency` the word behind the number."""

    currency: str
    decimals: int
