"""PostgreSQL array literals, made by hand: one parameter a column carries a whole batch, and joining text is the
fastest way."""

from collections.abc import Iterable


def integers(values: Iterable[int | None]) -> bytes:
    """`{1,NULL,3}` for a bigint[] (booleans too)."""
    return b"{%s}" % ",".join(["NULL" if value is None else str(value) for value in values]).encode()


def plain(values: Iterable[str | None]) -> bytes:
    """An array of texts that need no quoting: uuids, hexadecimal, code words. Never give it anything a person wrote."""
    return b"{%s}" % ",".join(["NULL" if value is None else value for value in values]).encode()


def texts(values: Iterable[str]) -> bytes:
    """An array of any texts. PostgreSQL stores no NUL; it becomes U+FFFD, as does an unpaired surrogate."""
    quoted = [
        '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"').replace("\x00", "\ufffd")  # noqa: UP031  (fastest form)
        for value in values
    ]
    return b"{%s}" % ",".join(quoted).encode("utf-8", "replace")
