"""What the operations work with: made by main (or a test), handed to `build_app`; no globals."""

from dataclasses import dataclass, field

from backend.access.passwords import Passwords
from backend.access.tokens import TokenCache
from backend.api.decisions import Desk
from backend.api.heartbeats import Heartbeats
from backend.api.looks import Looks
from backend.api.picture import Picture
from backend.api.policy_watch import PolicyWatch
from backend.base.tally import Counts
from backend.cluster.agent import ClusterAgent
from backend.cluster.database_watch import DatabaseWatch
from backend.cluster.dns.keeper import DnsKeeper
from backend.cluster.events import EventHub
from backend.cluster.patroni import Patroni
from backend.db.engine import Database
from backend.intake.service import Intake
from backend.notices.notifier import Notifier
from backend.wire.base import Ledger


@dataclass
class Services:
    """One server's parts. `draining`: the process ends; no new work is taken, what is under way is finished.
    `under_way` counts requests, event streams among them."""

    database: Database
    intake: Intake
    policy_watch: PolicyWatch
    looks: Looks
    passwords: Passwords
    agent: ClusterAgent
    hub: EventHub
    tokens: TokenCache
    heartbeats: Heartbeats
    desk: Desk
    picture: Picture
    ledger: Ledger
    openapi: bytes
    patroni: Patroni
    database_watch: DatabaseWatch
    dns: DnsKeeper | None = None  # None where no name is kept
    notifier: Notifier | None = None  # None where no mail is sent
    answered: Counts[int] = field(default_factory=Counts)  # HTTP requests by status
    draining: bool = field(default=False)
    under_way: int = field(default=0)

    @property
    def leaving(self) -> bool:
        """Whether clients should go to another server; those that come are served still."""
        return self.draining or self.agent.draining

    @property
    def refusing(self) -> bool:
        """Whether new work is refused."""
        return self.draining or self.agent.refusing
