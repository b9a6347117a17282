"""What the cluster's name should hold in DNS, and which update leads there. Pure.

Beside the name stands a TXT record, the *fence*: cluster, generation and term of the leader that wrote last. Every
update carries the RFC 2136 prerequisite (section 2.4.2, value dependent) that the fence is what it was read to be: the
own term, or, for the first update of a new leader, the lower one that it raises. So the DNS server itself refuses a
leader whose time is over, however late its packet comes. The raising update writes the addresses too, whatever they
were read to be: what an older leader changed in between is overwritten by it, and later the older one is refused.

Invariants: the last address is never removed; a fence never goes down.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from backend.cluster.model import Snapshot, state_of

_FENCE = re.compile(r"inkeeper cluster=(\S+) generation=(\d{1,19}) term=(\d{1,19})")


@dataclass(frozen=True)
class Fence:
    """Who wrote last. Generations rise by a restore, terms by each change of leader."""

    cluster: str
    generation: int
    term: int

    @property
    def text(self) -> str:
        return f"inkeeper cluster={self.cluster} generation={self.generation} term={self.term}"

    @property
    def age(self) -> tuple[int, int]:
        """What rises."""
        return self.generation, self.term


@dataclass(frozen=True)
class Found:
    """What the DNS server answered. `fences` are the texts of the fence's TXT records; `ttl_s` of the addresses."""

    fences: tuple[str, ...] = ()
    addresses: frozenset[str] = frozenset()
    ttl_s: int = 0


@dataclass(frozen=True)
class Update:
    """Only if the fence is still `expected` ("": there is none): set it to `fence` and, unless None, the addresses."""

    expected: str
    fence: str
    addresses: frozenset[str] | None


@dataclass(frozen=True)
class Leave:
    """Nothing is to be done. `trouble` is for people where something is wrong, "" where all is as it should be."""

    trouble: str = ""


def decide(mine: Fence, found: Found, wanted: frozenset[str], ttl_s: int) -> Update | Leave:
    """The one next step of the leader `mine`. Without a wanted address the present ones are left as they are."""
    if len(found.fences) > 1:
        return Leave("its TXT record has more than one value; delete all of them")
    expected = found.fences[0] if found.fences else ""
    if expected:
        before = parse_fence(expected)
        if before is None:
            return Leave(f"its TXT record holds {expected[:60]!r}, which Inkeeper did not write; delete it")
        if before.cluster != mine.cluster:
            return Leave(f"its TXT record says that cluster {before.cluster} keeps this name; delete it to take over")
        if before.age > mine.age:
            return Leave(f"a leader of term {before.term} (generation {before.generation}) has written it since")
    if expected == mine.text and (not wanted or (wanted == found.addresses and found.ttl_s == ttl_s)):
        return Leave()
    return Update(expected, mine.text, wanted or None)


def parse_fence(text: str) -> Fence | None:
    """The fence that a TXT record holds."""
    match = _FENCE.fullmatch(text)
    return None if match is None else Fence(match[1], int(match[2]), int(match[3]))


def serving_hosts(snapshot: Snapshot) -> tuple[str, ...]:
    """The hosts in the advertised URLs of the members that serve: not of those joining, draining (from the moment that
    it is wanted), suspect or gone."""
    hosts = (
        urlsplit(row.url).hostname or "" for row in snapshot.members if state_of(row, snapshot.heartbeat_s) == "serving"
    )
    return tuple(sorted({host for host in hosts if host}))


def literal(host: str) -> str | None:
    """The address, in its usual spelling, where the host is written as one."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def publishable(addresses: Iterable[str]) -> frozenset[str]:
    """Of the addresses that a host's name led to, those that others can use: /etc/hosts often maps a machine's own
    name to 127.0.1.1."""
    good = set()
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast):
            good.add(str(address))
    return frozenset(good)


def wanted(hosts: Iterable[str], resolved: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The addresses of these hosts; a host that could not be resolved adds none."""
    found: set[str] = set()
    for host in hosts:
        address = literal(host)
        found |= {address} if address is not None else resolved.get(host, frozenset())
    return frozenset(found)
