"""The provider's settings: /etc/inkeeper/provider.toml and INKEEPER_… (docs/OPERATIONS.md)."""

import socket
from pathlib import Path
from typing import Final, Literal

import msgspec

from backend.base.settings import LogSettings, SettingsError
from provider.jobs.offline import DEFAULT_LEDGER, allowance_units
from provider.jobs.user_names import UserNames

DEFAULT_FILE: Final = Path("/etc/inkeeper/provider.toml")
SOCKET_PATH_LIMIT: Final = 107  # what fits into sockaddr_un with its ending zero


class ProviderSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: how servers and the XML-RPC call this print server; default: its host name. `socket`: default in
    state_dir.
    """

    name: str = ""
    state_dir: str = "/var/lib/inkeeper/provider"
    socket: str = ""


class ServersSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`urls`: the servers to begin with; the cluster's own list is kept beside. `ca`: certificates to trust (PEM)."""

    urls: list[str] = []
    ca: str = ""


class CupsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`server`: `host:port` or the path of cupsd's socket; `server_bin`, `server_root`: its ServerBin and ServerRoot;
    `user`, `group`: its User and Group."""

    server: str = "/run/cups/cups.sock"
    server_bin: str = "/usr/lib/cups"
    server_root: str = "/etc/cups"
    user: str = "lp"
    group: str = "lp"


class PrintClusterSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = ""
    virtual_name: str = ""


class OfflineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens while no server answers, on queues of which the servers say nothing else: `allow` (print, charge
    when a server is back), `allowance` (the same while what the user has and `allowance`, an amount like "5.00", cover
    it), `hold` (until a server answers)."""

    policy: Literal["allow", "allowance", "hold"] = "allow"
    allowance: str = ""


class AnalysisSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`timeout_s`: a document that takes longer is charged by rule."""

    timeout_s: float = 60.0
    workers: int = 2


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: ProviderSection = ProviderSection()
    servers: ServersSection = ServersSection()
    cups: CupsSection = CupsSection()
    print_cluster: PrintClusterSection = PrintClusterSection()
    offline: OfflineSection = OfflineSection()
    users: UserNames = UserNames()
    analysis: AnalysisSection = AnalysisSection()
    log: LogSettings = LogSettings()

    @property
    def name(self) -> str:
        return self.provider.name or socket.gethostname().partition(".")[0]

    @property
    def state_dir(self) -> Path:
        return Path(self.provider.state_dir)

    @property
    def socket(self) -> Path:
        return Path(self.provider.socket) if self.provider.socket else self.state_dir / "provider.sock"

    @property
    def journal_dir(self) -> Path:
        return self.state_dir / "journal"

    @property
    def runs_dir(self) -> Path:
        return self.state_dir / "runs"

    @property
    def policies_file(self) -> Path:
        return self.state_dir / "policies"


def check(settings: ProviderSettings) -> ProviderSettings:
    """The same settings. Raises SettingsError for what cannot work, saying what to do."""
    try:
        allowance_units(settings.offline.allowance, DEFAULT_LEDGER)
    except ValueError as error:
        raise SettingsError(f'[offline] allowance: {error}; write it like "5.00"') from error
    if not settings.state_dir.is_absolute():
        raise SettingsError(f"[provider] state_dir: {settings.state_dir} must be an absolute path")
    if len(str(settings.socket).encode()) > SOCKET_PATH_LIMIT:
        raise SettingsError(
            f"[provider] socket: {settings.socket} is longer than {SOCKET_PATH_LIMIT} bytes, a socket path's limit; "
            "set a shorter one"
        )
    if len(settings.name) > 255:
        raise SettingsError("[provider] name: at most 255 characters")
    if not 1 <= settings.analysis.workers <= 16 or not 1 <= settings.analysis.timeout_s <= 3600:
        raise SettingsError("[analysis] workers must be 1 to 16, timeout_s 1 to 3600")
    return settings
