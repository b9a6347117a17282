"""Settings of a program: a TOML file, then `INKEEPER_…` environment variables on top.

A program describes its settings as a msgspec Struct whose fields are sections, each a Struct of plain values, all with
defaults. `load(ServerSettings, path, os.environ)` gives one checked, frozen value, so a misspelt key or a wrong type
is one clear line at the start, never a surprise later. `[server] listen` is overridden by `INKEEPER_SERVER_LISTEN`; a
list is written with commas. Variables that name no setting of this program are left alone: programs share one
environment.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_origin

import msgspec

PREFIX = "INKEEPER_"

S = TypeVar("S", bound=msgspec.Struct)


class SettingsError(Exception):
    """One line that says which setting is wrong and where it was read."""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`level` as in the logging module, `format` "line" for people and journald, "json" for log collectors."""

    level: str = "info"
    format: str = "line"


def load(kind: type[S], path: Path | None, environ: Mapping[str, str]) -> S:
    """The settings of one program. Raises SettingsError; a `path` of None means defaults and environment only."""
    values = _read(path) if path is not None else {}
    origin = str(path) if path is not None else "the settings"
    _check_names(kind, values, origin)
    for section in msgspec.structs.fields(kind):
        _overlay(section, values, environ)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def _check_names(kind: type[msgspec.Struct], values: Mapping[str, Any], origin: str) -> None:
    sections = {field.name: field for field in msgspec.structs.fields(kind)}
    for name, content in values.items():
        if name not in sections:
            raise SettingsError(f"{origin}: there is no section [{name}]; there are {_list(sections)}")
        if not isinstance(content, dict):
            raise SettingsError(f"{origin}: [{name}] must be a section")
        known = {field.name for field in msgspec.structs.fields(sections[name].type)}
        for key in content:
            if key not in known:
                raise SettingsError(f"{origin}: there is no setting [{name}] {key}; there are {_list(known)}")


def _overlay(section: msgspec.structs.FieldInfo, values: dict[str, Any], environ: Mapping[str, str]) -> None:
    for field in msgspec.structs.fields(section.type):
        variable = f"{PREFIX}{section.name}_{field.name}".upper()
        text = environ.get(variable)
        if text is not None:
            values.setdefault(section.name, {})[field.name] = _value(variable, text, field.type)


def _value(variable: str, text: str, kind: Any) -> Any:
    raw: Any = [part.strip() for part in text.split(",") if part.strip()] if get_origin(kind) in (list, tuple) else text
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{variable}: {error}") from error


def _list(names: Mapping[str, object] | set[str]) -> str:
    return ", ".join(sorted(names))
