"""Which servers and which token: checked words in, one clear line out."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.profiles import (
    ConsoleSection,
    ConsoleSettings,
    Profile,
    ProfileError,
    clean_token,
    forget_token,
    outbox_file,
    read_token,
    resolve,
    save,
    save_theme,
    server_urls,
)
from backend.base.settings import LogSettings, load


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://a:9191", ("http://a:9191",)),
        ("a", ("http://a:9191",)),
        ("a:80, https://b ,a:80", ("http://a:80", "https://b:9192")),
        ("http://[::1]:9191/", ("http://[::1]:9191",)),
        ("a\nb", ("http://a:9191", "http://b:9191")),
    ],
)
def test_addresses(text: str, urls: tuple[str, ...]) -> None:
    assert server_urls(text) == urls


@pytest.mark.parametrize(
    "text",
    ["", " , ", "ftp://a", "http://", "http://a:99999", "http://u:p@a", "http://a/path", "http://a?b=c", "http://[::1"],
)
def test_what_is_no_address_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ProfileError, match="http://"):
        server_urls(text)


def test_too_many_servers() -> None:
    with pytest.raises(ProfileError, match="at most 64"):
        server_urls([f"h{n}" for n in range(65)])


@settings(deadline=None)
@given(st.text(max_size=80))
def test_no_text_is_a_surprise(text: str) -> None:
    try:
        urls = server_urls(text)
    except ProfileError:
        return
    assert urls
    assert all(url.startswith(("http://", "https://")) for url in urls)


def token_file(folder: Path, content: bytes = b"ik_secret\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_token_is_read(tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path)) == "ik_secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_can_read_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ProfileError, match="chmod 600"):
        read_token(token_file(tmp_path, mode=mode))


@pytest.mark.parametrize("content", [b"", b"\n", b"a b", "жетон".encode(), b"x" * 5000, b"\xff"])
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ProfileError):
        read_token(token_file(tmp_path, content))


def test_a_missing_token_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        read_token(tmp_path / "none")


def test_saved_settings_are_read_back_and_the_token_is_private(tmp_path: Path) -> None:
    config, token = tmp_path / "deep" / "console.toml", tmp_path / 'odd "name"' / "токен"
    section = ConsoleSection(servers=("http://a:9191", "http://b:9191"), token_file=str(token), theme="dark")
    settings = ConsoleSettings(section, LogSettings(level="debug"))
    old_mask = os.umask(0)
    try:
        save(settings, "ik_secret", config)
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "ik_secret" not in config.read_text()
    assert load(ConsoleSettings, config, {}) == settings
    assert resolve(section) == Profile(section.servers, "ik_secret")
    assert [path.name for path in config.parent.iterdir()] == ["console.toml"]


def test_a_choice_of_colours_is_kept_where_there_is_a_file_and_changes_nothing_else(tmp_path: Path) -> None:
    config = tmp_path / "console.toml"
    save_theme("dark", config)
    assert not config.exists()
    settings = ConsoleSettings(ConsoleSection(servers=("http://a:9191",), token_file="t"), LogSettings(format="json"))
    save(settings, None, config)
    save_theme("dark", config)
    kept = load(ConsoleSettings, config, {})
    assert (kept.console.theme, kept.console.servers, kept.log) == ("dark", settings.console.servers, settings.log)


def test_the_command_line_wins_over_the_settings(tmp_path: Path) -> None:
    stored = ConsoleSection(servers=("http://stored:9191",), token_file=str(tmp_path / "none"))
    profile = resolve(stored, "http://asked:1", token_file(tmp_path))
    assert profile == Profile(("http://asked:1",), "ik_secret")


def test_the_environment_names_servers(tmp_path: Path) -> None:
    environ = {
        "INKEEPER_CONSOLE_SERVERS": "http://a:1,http://b:1",
        "INKEEPER_CONSOLE_TOKEN_FILE": str(token_file(tmp_path)),
    }
    profile = resolve(load(ConsoleSettings, None, environ).console)
    assert profile == Profile(("http://a:1", "http://b:1"), "ik_secret")


def test_without_servers_there_is_no_profile() -> None:
    assert resolve(ConsoleSection()) is None


def test_a_profile_never_shows_its_token() -> None:
    assert "ik_secret" not in f"{Profile(('http://a:1',), 'ik_secret')!r} {Profile(('http://a:1',), 'ik_secret')}"


def test_a_full_disk_or_read_only_folder_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ProfileError, match="cannot be stored"):
        save(ConsoleSettings(), None, blocked / "console.toml")


def test_a_pasted_token_loses_its_line_end() -> None:
    assert clean_token("  ik_abc\n") == "ik_abc"


def test_who_logged_out_is_asked_for_the_password_only(tmp_path: Path) -> None:
    section = ConsoleSection(("http://a:9191",), str(tmp_path / "console.token"), login="maria")
    assert resolve(section) == Profile(("http://a:9191",), "", "maria")
    save(ConsoleSettings(section), "ik_one", tmp_path / "console.toml")
    assert resolve(section) == Profile(("http://a:9191",), "ik_one", "maria")
    assert load(ConsoleSettings, tmp_path / "console.toml", {}).console.login == "maria"
    forget_token(section, "ik_another")
    assert (tmp_path / "console.token").exists()
    forget_token(section, "ik_one")
    assert resolve(section) == Profile(("http://a:9191",), "", "maria")
    forget_token(section, "ik_one")
    with pytest.raises(ProfileError, match="cannot be read"):
        resolve(ConsoleSection(("http://a:9191",), str(tmp_path / "console.token")))


def test_the_outbox_is_one_for_each_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    one, other = outbox_file(tmp_path / "a.toml"), outbox_file(tmp_path / "b.toml")
    assert one != other
    assert one == outbox_file(tmp_path / "a.toml")
    assert one.parent == tmp_path / "state" / "inkeeper"
