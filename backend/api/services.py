"""What the operations work with: made by main (or a test), handed to `build_app`; no globals."""

from dataclasses import dataclass, field

from backend.access.tokens import TokenCache
from backend.api.heartbeats import Heartbeats
from backend.api.picture import Picture
from backend.cluster.agent import ClusterAgent
from backend.cluster.dns.keeper import DnsKeeper
from backend.cluster.events import EventHub
from backend.db.engine import Database
from backend.intake.service import Intake
from backend.wire.messages import Ledger


@dataclass
class Services:
    """One server's parts. `draining`: no new work is taken, what is under way is finished."""

    database: Database
    intake: Intake
    agent: ClusterAgent
    hub: EventHub
    tokens: TokenCache
    heartbeats: Heartbeats
    picture: Picture
    ledger: Ledger
    openapi: bytes
    dns: DnsKeeper | None = None  # None where no name is kept
    draining: bool = field(default=False)
