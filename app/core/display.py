"""Is there a display to draw on? Asked before Qt, because Qt's answer to a missing one is to abort the process.

Only Linux and the BSDs need the question; there it is the X server or Wayland compositor that the environment names.
"""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 2.0
NEEDS_NO_DISPLAY: Final = ("offscreen", "minimal", "vnc", "linuxfb", "eglfs")


def display_problem(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Why no window can be opened, "" when one can. Tries to reach the display server named by the environment."""
    chosen = environ.get("QT_QPA_PLATFORM", "").split(":", 1)[0].split(";", 1)[0]
    if platform in ("win32", "darwin") or chosen in NEEDS_NO_DISPLAY:
        return ""
    wayland, x11 = environ.get("WAYLAND_DISPLAY", ""), environ.get("DISPLAY", "")
    if not wayland and not x11:
        return "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
    if wayland and chosen in ("", "wayland") and _reaches_socket(_wayland_path(wayland, environ)):
        return ""
    if x11 and chosen in ("", "xcb") and _reaches_x11(x11):
        return ""
    return f"the display {x11 or wayland} cannot be reached"


def _wayland_path(name: str, environ: Mapping[str, str]) -> str:
    return str(Path(environ.get("XDG_RUNTIME_DIR", "")) / name)


def _reaches_x11(display: str) -> bool:
    """`[host]:number[.screen]`: a unix socket for no host, else TCP on 6000 and up (X(7), "Display names")."""
    host, separator, rest = display.rpartition(":")
    number = rest.split(".", 1)[0]
    if not separator or not number.isdigit():
        return False
    if host in ("", "unix") or host.startswith("/"):
        path = f"/tmp/.X11-unix/X{number}"
        return _reaches_socket(path) or _reaches_socket(f"\0{path}")
    try:
        socket.create_connection((host, 6000 + int(number)), TIMEOUT_S).close()
    except (OSError, OverflowError):
        return False
    return True


def _reaches_socket(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(TIMEOUT_S)
        try:
            probe.connect(path)
        except (OSError, ValueError):
            return False
    return True
