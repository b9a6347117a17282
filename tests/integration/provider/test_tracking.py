"""Tracking with a real cupsd: the device URI, the driver that stays, the backend and its settings, refusals."""

import stat
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from provider.cups import tracking
from provider.settings import ProviderSection, ProviderSettings
from tests.support.cupsd import PrivateCupsd
from tests.support.folders import scratch_folder
from tests.support.print_server import BIN
from tests.support.printer import IppPrinter
from tests.support.processes import run

PROGRAM = BIN / "inkeeper-provider"


@pytest.fixture(scope="module")
def cupsd() -> Iterator[PrivateCupsd]:
    with scratch_folder() as folder, PrivateCupsd(folder / "cups") as cupsd:
        cupsd.process.shared = True
        yield cupsd


@pytest.fixture
def config(scratch: Path, cupsd: PrivateCupsd) -> Path:
    path = scratch / "provider.toml"
    path.write_text(
        f'[provider]\nstate_dir = "{scratch / "state"}"\n[cups]\nserver = "{cupsd.socket}"\n'
        f'server_bin = "{cupsd.server_bin}"\n'
    )
    return path


def provider(config: Path, *words: str) -> tuple[int, str, str]:
    done = run([PROGRAM, "--config", config, *words], check=False)
    return done.returncode, done.stdout, done.stderr


def settings_of(cupsd: PrivateCupsd) -> list[str]:
    return (cupsd.server_bin / "inkeeper.conf").read_text().splitlines()


def test_track_and_untrack_keep_the_driver(cupsd: PrivateCupsd, config: Path, scratch: Path) -> None:
    with IppPrinter(scratch / "printer") as printer:
        cupsd.add_queue("hall", printer.uri)
    ppd = (cupsd.server_root / "ppd" / "hall.ppd").read_bytes()
    code, said, warned = provider(config, "track", "hall")
    assert (code, said) == (0, f"hall is now tracked: inkeeper:/{printer.uri}\n")
    assert "takes any user name that a client claims for hall" in warned
    assert cupsd.device_uri("hall") == f"inkeeper:/{printer.uri}"
    assert (cupsd.server_root / "ppd" / "hall.ppd").read_bytes() == ppd
    assert provider(config, "track", "hall")[1] == f"hall is already tracked: inkeeper:/{printer.uri}\n"
    assert provider(config, "untrack", "hall")[1] == f"hall is no longer tracked: {printer.uri}\n"
    assert cupsd.device_uri("hall") == printer.uri
    assert (cupsd.server_root / "ppd" / "hall.ppd").read_bytes() == ppd
    assert provider(config, "untrack", "hall")[1] == f"hall is not tracked: {printer.uri}\n"


def test_the_backend_is_installed_as_it_is_and_put_right_when_it_differs(cupsd: PrivateCupsd, config: Path) -> None:
    cupsd.add_raw_queue("raw", "socket://127.0.0.1:9")
    provider(config, "track", "raw")
    wanted = {
        cupsd.server_bin / "backend" / "inkeeper": (packaged("launcher.py"), 0o700),
        cupsd.server_bin / "inkeeper.py": (packaged("inkeeper.py"), 0o600),
        cupsd.server_bin / "inkeeper.code": ((cupsd.server_bin / "inkeeper.code").read_bytes(), 0o600),
    }
    for path in wanted:
        path.write_bytes(b"an older one")
        path.chmod(0o755)
    provider(config, "track", "raw")
    for path, (content, mode) in wanted.items():
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == mode


def packaged(name: str) -> bytes:
    return files("provider.cups_backend").joinpath(name).read_bytes()


def test_the_backend_finds_its_daemon_and_the_files_it_may_write(
    cupsd: PrivateCupsd, config: Path, scratch: Path
) -> None:
    cupsd.add_raw_queue("one", "file:///dev/null")
    cupsd.add_raw_queue("two", f"file:{scratch}/paper")
    for queue in ("one", "two"):
        provider(config, "track", queue)
    lines = settings_of(cupsd)
    assert f"socket={scratch}/state/provider.sock" in lines
    assert f"runs={scratch}/state/runs" in lines
    assert "policy=allow" in lines
    assert f"policies={scratch}/state/policies" in lines
    assert {"file=file:///dev/null", f"file=file:{scratch}/paper"} <= set(lines)
    assert stat.S_IMODE((cupsd.server_bin / "inkeeper.conf").stat().st_mode) == 0o600


def test_cupsd_over_tcp_is_tracked_as_well_where_it_lets_us(scratch: Path) -> None:
    with PrivateCupsd(scratch / "cups") as cupsd:
        cupsd.add_raw_queue("raw", "socket://127.0.0.1:9")
        config = scratch / "tcp.toml"
        config.write_text(
            f'[provider]\nstate_dir = "{scratch / "state"}"\n[cups]\nserver = "127.0.0.1:{cupsd.port}"\n'
            f'server_bin = "{cupsd.server_bin}"\n'
        )
        code, said, warned = provider(config, "track", "raw")
        if code == 0:
            assert said == "raw is now tracked: inkeeper:/socket://127.0.0.1:9\n"
        else:
            assert "cupsd did not change raw: " in warned


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["track", "nowhere"], "has no queue nowhere; it has"),
        (["untrack", "nowhere"], "has no queue nowhere; it has"),
        (["track", "all-of-them"], "all-of-them is a class: track the queues in it"),
    ],
)
def test_what_cannot_be_tracked_is_said_on_one_line(
    cupsd: PrivateCupsd, config: Path, words: list[str], reason: str
) -> None:
    cupsd.add_raw_queue("member", "socket://127.0.0.1:9")
    run(["lpadmin", "-p", "member", "-c", "all-of-them"], env=cupsd.env)
    code, said, error = provider(config, *words)
    assert (code, said) == (1, "")
    assert reason in error
    assert error.count("\n") == 1


def test_no_cupsd_and_a_wrong_server_bin_are_said(scratch: Path, cupsd: PrivateCupsd) -> None:
    config = scratch / "p.toml"
    config.write_text(f'[provider]\nstate_dir = "{scratch}"\n[cups]\nserver = "{scratch}/none.sock"\n')
    assert "cannot be asked: No such file or directory" in provider(config, "track", "q")[2]
    cupsd.add_raw_queue("raw", "socket://127.0.0.1:9")
    config.write_text(
        f'[provider]\nstate_dir = "{scratch}"\n[cups]\nserver = "{cupsd.socket}"\nserver_bin = "{scratch}/none"\n'
    )
    assert "server_bin must be cupsd's ServerBin" in provider(config, "track", "raw")[2]
    config.write_text(
        f'[provider]\nstate_dir = "{scratch}"\n[cups]\nserver = "{cupsd.socket}"\nserver_bin = "{cupsd.server_bin}"\n'
        'user = "nobody-of-that-name"\n'
    )
    assert "name cupsd's User and Group" in provider(config, "track", "raw")[2]


def test_several_providers_each_with_its_own_cupsd(scratch: Path) -> None:
    with PrivateCupsd(scratch / "a") as first, PrivateCupsd(scratch / "b") as second:
        for cupsd in (first, second):
            name = cupsd.folder.name
            cupsd.add_raw_queue("raw", "socket://127.0.0.1:9")
            config = scratch / f"{name}.toml"
            config.write_text(
                f'[provider]\nstate_dir = "{scratch}/state-{name}"\n[cups]\nserver = "{cupsd.socket}"\n'
                f'server_bin = "{cupsd.server_bin}"\n'
            )
            assert provider(config, "track", "raw")[0] == 0
        assert f"socket={scratch}/state-a/provider.sock" in settings_of(first)
        assert f"socket={scratch}/state-b/provider.sock" in settings_of(second)


def test_a_printer_s_password_is_kept_from_everybody_and_given_back(cupsd: PrivateCupsd, config: Path) -> None:
    config.write_text(config.read_text() + f'server_root = "{cupsd.server_root}"\n')
    cupsd.add_raw_queue("vault", "ipp://anna:secret@127.0.0.1:9/x")
    assert provider(config, "track", "vault")[1] == "vault is now tracked: inkeeper:/ipp://127.0.0.1:9/x\n"
    assert "secret" not in cupsd.device_uri("vault")
    assert "uri=vault ipp://anna:secret@127.0.0.1:9/x" in settings_of(cupsd)
    cupsd.add_raw_queue("other", "socket://127.0.0.1:9")
    provider(config, "track", "other")  # writes the settings anew
    assert "uri=vault ipp://anna:secret@127.0.0.1:9/x" in settings_of(cupsd)
    code, said, error = provider(config, "untrack", "vault")
    assert (code, said, error) == (0, "vault is no longer tracked: ipp://127.0.0.1:9/x\n", "")
    written = (cupsd.server_root / "printers.conf").read_text()
    assert "DeviceURI ipp://anna:secret@127.0.0.1:9/x" in written
    assert not [line for line in settings_of(cupsd) if line.startswith("uri=vault")]


def test_the_policies_of_the_queues_are_written_when_they_change(scratch: Path) -> None:
    settings = ProviderSettings(provider=ProviderSection(state_dir=str(scratch)))
    tracking.write_policies(settings, {"hall": "hold", "*": "allow"})
    first = settings.policies_file.stat()
    assert settings.policies_file.read_text() == "* allow\nhall hold\n"
    assert stat.S_IMODE(first.st_mode) == 0o600
    tracking.write_policies(settings, {"*": "allow", "hall": "hold"})
    assert settings.policies_file.stat().st_ino == first.st_ino
    tracking.write_policies(settings, {})
    assert settings.policies_file.read_text() == ""
