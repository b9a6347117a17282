"""PJL, the lines in front of and between the jobs of one print stream (HP, Printer Job Language Technical Reference).

`ESC%-12345X` (UEL) ends whatever language was spoken; `@PJL …` lines follow until `@PJL ENTER LANGUAGE=…` or until a
line is none. What is asked for here: COPIES (of each page), QTY (of the job), DUPLEX and BINDING, PAPER, RENDERMODE,
ENTER LANGUAGE. Settings hold until EOJ, RESET or INITIALIZE, and outside of a JOB until the next UEL. Pure.
"""

import mmap
import re
from typing import Final

import msgspec

from provider.analysis.media import media_of_option
from provider.analysis.ticket import LONG_EDGE, ONE_SIDED, SHORT_EDGE

Data = bytes | mmap.mmap

UEL: Final = b"\x1b%-12345X"
_SPACE: Final = b" \t\r\n"
_LINE: Final = re.compile(rb"[ \t]*@PJL([^\r\n]{0,1024})[^\r\n]*\r?\n?", re.IGNORECASE)
_ASSIGNMENT: Final = re.compile(rb'\s*(SET|DEFAULT)\s+(?:LPARM\s*:\s*\w+\s+)?(\w+)\s*=\s*"?([\w.\- ]*)', re.IGNORECASE)
_ENTER: Final = re.compile(rb"\s*ENTER\s+LANGUAGE\s*=\s*(\w+)", re.IGNORECASE)
_MAX_COPIES: Final = 9999
_MAX_LINES: Final = 100_000


class PjlSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the job that follows; "" and None where nothing was said. `in_job` is between JOB and EOJ."""

    copies: int = 1
    quantity: int = 1
    duplex: bool | None = None
    short_edge: bool = False
    media: str = ""
    gray: bool = False
    in_job: bool = False

    @property
    def sides(self) -> str:
        if self.duplex is None:
            return ""
        return (SHORT_EDGE if self.short_edge else LONG_EDGE) if self.duplex else ONE_SIDED


def read_pjl(data: Data, position: int, settings: PjlSettings) -> tuple[int, PjlSettings, str]:
    """From a UEL, or from where lines may begin: where the language's data begin, what holds then, the language in
    capitals ("" where none was entered).
    """
    if data[position : position + len(UEL)] == UEL:
        position += len(UEL)
        settings = settings if settings.in_job else PjlSettings()
    for _ in range(_MAX_LINES):
        start = _skip_space(data, position)
        line = _LINE.match(data, start)
        if line is None:
            return (position if data[start : start + 1] != b"\x1b" else start), settings, ""
        position = line.end()
        enter = _ENTER.match(line[1])
        if enter:
            return position, settings, enter[1].decode().upper()
        settings = _after(settings, line[1])
    return position, settings, ""


def _skip_space(data: Data, position: int) -> int:
    while data[position : position + 1] and data[position : position + 1] in _SPACE:
        position += 1
    return position


def _after(settings: PjlSettings, line: bytes) -> PjlSettings:
    words = line.upper().split(None, 1)
    if words and words[0] in (b"RESET", b"INITIALIZE", b"EOJ"):
        return PjlSettings()
    if words and words[0] == b"JOB":
        return msgspec.structs.replace(settings, in_job=True)
    assignment = _ASSIGNMENT.match(line)
    if assignment is None:
        return settings
    return _assign(settings, assignment[2].decode().upper(), assignment[3].strip().decode().upper())


def _assign(settings: PjlSettings, name: str, value: str) -> PjlSettings:
    match name:
        case "COPIES":
            return msgspec.structs.replace(settings, copies=_number(value))
        case "QTY":
            return msgspec.structs.replace(settings, quantity=_number(value))
        case "DUPLEX":
            return msgspec.structs.replace(settings, duplex=value == "ON")
        case "BINDING":
            return msgspec.structs.replace(settings, short_edge=value == "SHORTEDGE")
        case "PAPER":
            return msgspec.structs.replace(settings, media=media_of_option(value))
        case "RENDERMODE":
            return msgspec.structs.replace(settings, gray=value == "GRAYSCALE")
    return settings


def _number(value: str) -> int:
    return min(max(int(value), 1), _MAX_COPIES) if value.isdigit() and len(value) < 9 else 1
