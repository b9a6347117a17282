"""What the provider and its analysis workers say to each other, over a socket pair: a length, then JSON.

The document itself travels as a file descriptor beside the length (SCM_RIGHTS). One question is out at a time on a
worker; it is answered by any number of `Answer`s, the last one `final`. A worker says it is ready by a final one
without facts. Pure.
"""

import struct
from typing import Final

import msgspec

from backend.wire.jobs import JobFacts
from provider.analysis.ticket import AnalysisRequest

HEADER: Final = struct.Struct("!I")
MAX_FRAME: Final = 1 << 22


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`budget_s` is how long the search for colour may take."""

    request: AnalysisRequest
    budget_s: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    facts: JobFacts | None = None
    final: bool = True


class FrameError(Exception):
    """The other end sent what is no frame; nothing more can be read from it."""


def frame(message: Question | Answer) -> bytes:
    """Raises FrameError for a message that is too long to send."""
    payload = msgspec.json.encode(message)
    if len(payload) > MAX_FRAME:
        raise FrameError(f"a message of {len(payload)} bytes is longer than {MAX_FRAME}")
    return HEADER.pack(len(payload)) + payload


def frame_length(header: bytes) -> int:
    (length,) = HEADER.unpack(header)
    if length > MAX_FRAME:
        raise FrameError(f"a frame of {length} bytes is announced; at most {MAX_FRAME} are taken")
    return int(length)


def read_answer(payload: bytes) -> Answer:
    try:
        return msgspec.json.decode(payload, type=Answer)
    except msgspec.MsgspecError as error:
        raise FrameError(f"an answer cannot be read: {error}") from error
