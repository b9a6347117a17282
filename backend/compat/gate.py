"""Who may call: the web services token and the addresses that calls may come from. Pure.

`auth.webservices.auth-token` comes in the three forms that PaperCut's own set-up tools write: one plain text, a JSON
array of tokens, or a JSON object `{"application": "token"}` whose names are for logs. There is no token out of the box:
while the setting is empty nobody gets in by it. Tokens are compared in constant time, all of them at each call.
"""

import hmac
import ipaddress
import re
from collections.abc import Iterator
from typing import Final

import msgspec

TOKEN_KEY: Final = "auth.webservices.auth-token"
ADDRESSES_KEY: Final = "auth.webservices.allowed-addresses"
HEALTH_KEY: Final = "health.api.key"


def token_owner(setting: str, given: str) -> str | None:
    """The name of the application that a token belongs to ("" where it has none); None where the token is not right."""
    owner: str | None = None
    wanted = given.strip().encode()
    for name, token in _tokens(setting):
        right = hmac.compare_digest(token.encode(), wanted)
        if right and token:
            owner = name
    return owner


def has_token(setting: str) -> bool:
    return any(token for _, token in _tokens(setting))


def same_secret(wanted: str, given: str) -> bool:
    """Whether two secrets are the same, in constant time; an empty one never is."""
    return bool(wanted) and hmac.compare_digest(wanted.encode(), given.encode())


def address_allowed(setting: str, address: str) -> bool:
    """Whether calls may come from an address. An empty list allows all that reach the listener. Raises ValueError."""
    networks = list(_networks(setting))
    if not networks:
        return True
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer.version == network.version and peer in network for network in networks)


def _tokens(setting: str) -> Iterator[tuple[str, str]]:
    text = setting.strip()
    if text[:1] in ("[", "{"):
        try:
            several = msgspec.json.decode(text, type=dict[str, str] | list[str])
        except msgspec.DecodeError:
            pass  # a plain token may begin with a bracket
        else:
            pairs = several.items() if isinstance(several, dict) else (("", token) for token in several)
            yield from ((name, token.strip()) for name, token in pairs)
            return
    yield "", text


def _networks(setting: str) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of a list such as `127.0.0.1, 10.1.0.0/16 10.2.0.0/255.255.0.0 ::1`."""
    for word in re.split(r"[\s,;]+", setting.strip()):
        if word:
            yield ipaddress.ip_network(word, strict=False)
