"""How old a value may be before the console stops calling it true.

Everything on the screen was read some time ago from some server. A green mark that nobody confirmed lately is a lie, so
health is always shown together with an age, and past a limit it turns into "No data", whatever it was before.

Invariant: nothing stale is ever shown as healthy.
"""

from typing import Final

from backend.wire.cluster import Health

SNAPSHOT_LIMIT_S: Final = 5.0
"""The picture as a whole: the console reads it every two seconds, so more than this means nobody answers."""

NODE_LIMIT_S: Final = 10.0
"""One node's own last sign of life: five of a provider's heartbeats (2 s), ten of a server's (1 s)."""


def is_stale(age_s: float, limit_s: float = NODE_LIMIT_S) -> bool:
    return age_s > limit_s


def shown_health(health: Health, node_age_s: float, snapshot_age_s: float) -> Health:
    """The health that may be claimed now. A known fault stays a fault while the picture is fresh; good news expires."""
    if is_stale(snapshot_age_s, SNAPSHOT_LIMIT_S):
        return "unknown"
    if health == "error":
        return "error"
    return "unknown" if is_stale(node_age_s) else health


def age_text(age_s: float) -> str:
    """An age for people, coarse on purpose: "now" while it is fresh, so that a healthy screen stands still. A
    negative age is of something that was never seen.
    """
    if age_s < 0:
        return "never"
    if age_s < 3:
        return "now"
    if age_s < 60:
        return f"{int(age_s)} s"
    if age_s < 3600:
        return f"{int(age_s // 60)} min"
    if age_s < 48 * 3600:
        return f"{int(age_s // 3600)} h"
    return f"{int(age_s // 86400)} d"


def ago_text(age_s: float) -> str:
    """The same as part of a sentence: "just now", "12 s ago"."""
    text = age_text(age_s)
    return {"now": "just now", "never": "never"}.get(text, f"{text} ago")
