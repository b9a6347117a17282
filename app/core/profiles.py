"""Which cluster the console talks to, and with which token: command line, environment, settings file, in this
order.

The settings file is TOML in the user's own configuration folder; the access token is never in it but in a file of
its own that only its owner can read. Both are replaced whole (write beside, fsync, rename), so a crash leaves the
old or the new one.
"""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
import platformdirs

from backend.base.settings import LogSettings, load

Theme = Literal["system", "light", "dark"]

MAX_SERVERS: Final = 64
MAX_TOKEN_BYTES: Final = 4096


class ProfileError(Exception):
    """One line that says what is wrong with an address or a token file, and what to do."""


class ConsoleSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console]`: the servers of one cluster, the file with the access token, and how the console looks. `login` is
    the name of whoever logged in last, "" for a program's token."""

    servers: tuple[str, ...] = ()
    token_file: str = ""
    theme: Theme = "system"
    login: str = ""


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    console: ConsoleSection = ConsoleSection()
    log: LogSettings = LogSettings(level="warning")


class Profile(msgspec.Struct, frozen=True):
    """Enough to connect. The token is left out of the text form, so that no log or traceback shows it; it is "" where
    somebody has to log in first. `login` is who got it by logging in, "" where it is a program's."""

    servers: tuple[str, ...]
    token: str
    login: str = ""

    def __repr__(self) -> str:
        return f"Profile(servers={self.servers!r}, token=…, login={self.login!r})"


def config_folder() -> Path:
    return Path(platformdirs.user_config_dir("inkeeper", appauthor=False))


def default_config() -> Path:
    return config_folder() / "console.toml"


def default_token_file() -> Path:
    return config_folder() / "console.token"


def outbox_file(config: Path) -> Path:
    """Where the outbox of the profile in this settings file is kept: beside no settings, as it is no setting."""
    name = hashlib.sha256(str(config.absolute()).encode()).hexdigest()[:12]
    return Path(platformdirs.user_state_dir("inkeeper", appauthor=False)) / f"outbox-{name}.log"


def server_urls(text: str | Sequence[str]) -> tuple[str, ...]:
    """Addresses from "URL[,URL…]" or a list, checked, each once. A bare "host" or "host:port" means HTTP on 9191."""
    parts = text.replace("\n", ",").replace(" ", ",").split(",") if isinstance(text, str) else text
    urls = dict.fromkeys(_server_url(part.strip()) for part in parts if part.strip())
    if not urls:
        raise ProfileError("no server is named; give one or more addresses like http://print-1.example.org:9191")
    if len(urls) > MAX_SERVERS:
        raise ProfileError(
            f"{len(urls)} servers are too many; name at most {MAX_SERVERS}, the cluster tells the others"
        )
    return tuple(urls)


def _server_url(text: str) -> str:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise ProfileError(f"{text!r} is not a server's address ({error}); write http://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ProfileError(f"{text!r} is not a server's address; write http://HOST:PORT")
    if parts.username or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ProfileError(f"{text!r} has more than a server's address in it; write http://HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (9192 if parts.scheme == 'https' else 9191)}"


def read_token(path: Path) -> str:
    """The access token in a file. Refuses one that other people of this machine could read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"the token file {path} cannot be read: {error.strerror}") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ProfileError(f"the token file {path} can be read by others; run: chmod 600 {path}")
    try:
        return clean_token(content.decode("ascii"))
    except UnicodeDecodeError as error:
        raise ProfileError(f"the token file {path} does not hold an access token") from error


def clean_token(text: str) -> str:
    token = text.strip()
    if not token:
        raise ProfileError(
            "the access token is empty; make one with: inkeeper-server token create --role admin --name NAME"
        )
    if len(token) > MAX_TOKEN_BYTES or not token.isprintable() or not token.isascii() or " " in token:
        raise ProfileError("that is not an access token; it is one word that begins with ik_")
    return token


def resolve(section: ConsoleSection, servers: str | None = None, token_file: Path | None = None) -> Profile | None:
    """The profile to connect with; None where no server is named yet, and the console then asks.

    Raises ProfileError. `servers` and `token_file` are the command line's words and win over the settings.
    """
    if servers is None and not section.servers:
        return None
    urls = server_urls(servers if servers is not None else section.servers)
    path = token_file or (Path(section.token_file).expanduser() if section.token_file else default_token_file())
    login = section.login if servers is None and token_file is None else ""
    if login and not path.exists():
        return Profile(servers=urls, token="", login=login)  # they logged out, or did not want to stay logged in
    return Profile(servers=urls, token=read_token(path), login=login)


def forget_token(section: ConsoleSection, token: str) -> None:
    """Remove the stored token where it is this one. Raises ProfileError where the disk refuses."""
    path = Path(section.token_file).expanduser() if section.token_file else default_token_file()
    try:
        if path.read_text(encoding="ascii").strip() == token:
            path.unlink()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"the token file {path} cannot be removed; remove it by hand") from error


def save_theme(theme: Theme, config: Path) -> None:
    """Keep a choice of colours in the settings file, where there is one. What the environment said is not put into it.

    Raises ProfileError when the disk refuses, SettingsError when the file cannot be read any more.
    """
    if config.is_file():
        stored = load(ConsoleSettings, config, {})
        save(
            msgspec.structs.replace(stored, console=msgspec.structs.replace(stored.console, theme=theme)), None, config
        )


def save(settings: ConsoleSettings, token: str | None, config: Path) -> None:
    """Store the settings, and the token in the file they name. Raises ProfileError when the disk refuses."""
    section = settings.console
    try:
        config.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if token is not None:
            path = Path(section.token_file).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(path, f"{clean_token(token)}\n")
        _replace(config, _toml(settings))
    except OSError as error:
        raise ProfileError(f"the settings cannot be stored: {error.strerror}: {error.filename}") from error


def _toml(settings: ConsoleSettings) -> str:
    """A JSON string without control characters is a TOML basic string; the values here hold none."""
    section, log = settings.console, settings.log
    return (
        "# Written by inkeeper-console. The access token is in a file of its own.\n"
        "[console]\n"
        f"servers = {json.dumps(list(section.servers), ensure_ascii=False)}\n"
        f"token_file = {json.dumps(section.token_file, ensure_ascii=False)}\n"
        f"theme = {json.dumps(section.theme)}\n"
        f"login = {json.dumps(section.login, ensure_ascii=False)}\n"
        "[log]\n"
        f"level = {json.dumps(log.level)}\n"
        f"format = {json.dumps(log.format)}\n"
    )


def _replace(path: Path, text: str) -> None:
    """Write a file readable by its owner only, whole or not at all."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
