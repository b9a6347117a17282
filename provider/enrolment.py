"""Who this provider is to the servers, and what it last heard from them: kept in the state folder.

The secret is made and on disk before it is first shown to a server, so that an answer that got lost can be had
again. What the cluster said (its members, the generation of its data, the queues' policies) is kept so that a
restart without any server knows where to look and what to allow.
"""

import secrets
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec

from backend.wire.base import Ledger
from backend.wire.printers import QueuePolicy
from provider.errors import ProviderError
from provider.files import write_whole

SECRET_FILE = "secret"
CLUSTER_FILE = "cluster.json"


class EnrolmentError(ProviderError):
    """This provider is not enrolled, or its files cannot be read."""


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """What the servers last said, `told_at` (ms, this machine's clock; kept within a minute). `resending`: a restored
    database is being told the journal again."""

    v: int = 1
    provider_id: int = 0
    name: str = ""
    servers: tuple[str, ...] = ()
    generation: int = 0
    resending: bool = False
    queues: tuple[QueuePolicy, ...] = ()
    ledger: Ledger | None = None
    told_at: int = 0

    @property
    def policies_version(self) -> str:
        """Names what the servers last said of queues and money, "" while they have not said anything."""
        if not self.told_at:
            return ""
        content = msgspec.json.encode((sorted(self.queues, key=lambda queue: queue.name), self.ledger))
        return blake2b(content, digest_size=4).hexdigest()


def make_secret(state_dir: Path) -> str:
    """The provider's access token: the one it has, else a new one, on disk before this returns."""
    path = state_dir / SECRET_FILE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            write_whole(path, f"ik_{secrets.token_urlsafe(32)}\n".encode())
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be written: {error.strerror}") from error
    return read_secret(state_dir)


def read_secret(state_dir: Path) -> str:
    """The provider's access token. Raises EnrolmentError when it has none."""
    path = state_dir / SECRET_FILE
    try:
        secret = path.read_text().strip()
    except FileNotFoundError:
        raise EnrolmentError(NOT_ENROLLED) from None
    except OSError as error:
        raise EnrolmentError(f"{path} cannot be read: {error.strerror}") from error
    if len(secret) < 32:
        raise EnrolmentError(f"{path} is damaged: remove it and enrol this provider again")
    return secret


NOT_ENROLLED = "this provider is not enrolled: run `inkeeper-provider enroll --server URL --token TOKEN`"


def read_cluster(state_dir: Path) -> Cluster:
    """What the servers last said; an empty one when nothing is kept or it cannot be read, for the servers say it
    again.
    """
    try:
        return msgspec.json.decode((state_dir / CLUSTER_FILE).read_bytes(), type=Cluster)
    except (OSError, msgspec.DecodeError):
        return Cluster()


def write_cluster(state_dir: Path, cluster: Cluster) -> None:
    """Raises OSError."""
    write_whole(state_dir / CLUSTER_FILE, msgspec.json.encode(cluster))


def known_servers(settings_urls: Sequence[str], cluster: Cluster) -> list[str]:
    """Every server worth asking: the cluster's own list first, then those in the settings."""
    return list(dict.fromkeys(url.rstrip("/") for url in (*cluster.servers, *settings_urls) if url))
