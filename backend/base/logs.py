"""Logging set up once by each program: to stderr, a line or a JSON object an entry.

Invariant: no secret reaches a log. Nobody logs tokens on purpose; `redact` is the second fence, for the exception
text or URL that carries one.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from backend.base.settings import LogSettings, SettingsError

_SECRETS = re.compile(r"\bik_[A-Za-z0-9_-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)|(?i:(?<=bearer )\S+)")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def redact(text: str) -> str:
    """The text with access tokens and passwords in URLs taken out."""
    return _SECRETS.sub("[secret]", text)


class LineFormatter(logging.Formatter):
    """`2026-11-22T09:00:00.000Z info backend.cluster: text`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        return redact(f"{line}\n{_traceback(self, record)}" if record.exc_info else line)


class JsonFormatter(logging.Formatter):
    """One JSON object a line with time, level, logger, message and, after a fault, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            entry["traceback"] = redact(_traceback(self, record))
        return json.dumps(entry, ensure_ascii=False)


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (default: stderr). Raises SettingsError for an unknown level or
    format."""
    if settings.level not in _LEVELS:
        raise SettingsError(f"[log] level: {settings.level!r} is none of {', '.join(_LEVELS)}")
    if settings.format not in ("line", "json"):
        raise SettingsError(f"[log] format: {settings.format!r} is neither line nor json")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else LineFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[settings.level])
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(max(_LEVELS[settings.level], logging.WARNING))


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
