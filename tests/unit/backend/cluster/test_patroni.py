"""Patroni's documents as real ones were (versions 3.0.2 and 4.1.5), and what damaged ones are."""

import pytest

from backend.cluster.patroni import (
    PatroniError,
    addresses,
    decode_cluster,
    decode_config,
    decode_history,
    decode_version,
    is_safe,
)

CLUSTER_3 = b"""{"members": [
 {"name": "db1", "role": "replica", "state": "running", "api_url": "http://127.101.181.1:8008/patroni",
  "host": "127.101.181.1", "port": 5432, "timeline": 1, "lag": 328},
 {"name": "db2", "role": "leader", "state": "running", "api_url": "http://127.101.181.2:8008/patroni",
  "host": "127.101.181.2", "port": 5432, "timeline": 2},
 {"name": "db3", "role": "replica", "state": "starting", "api_url": "http://127.101.181.3:8008/patroni",
  "host": "127.101.181.3", "port": 5432, "lag": "unknown"}]}"""
CLUSTER_4 = b"""{"members": [
 {"name": "db1", "role": "leader", "state": "running", "api_url": "http://127.37.89.1:8008/patroni",
  "host": "127.37.89.1", "port": 5432, "timeline": 2},
 {"name": "db2", "role": "sync_standby", "state": "streaming", "api_url": "http://127.37.89.2:8008/patroni",
  "host": "127.37.89.2", "port": 5432, "timeline": 2, "receive_lag": 0, "receive_lsn": "0/4000288", "replay_lag": 0,
  "replay_lsn": "0/4000288", "lag": 0, "lsn": "0/4000288"}], "scope": "inkeeper", "pause": true}"""
HISTORY = b'[[1, 67109048, "no recovery target specified", "2026-11-27T04:08:01.090898+00:00", "db1"], [2, 7]]'
ABOUT = b"""{"state": "running", "role": "master", "server_version": 150018, "timeline": 1,
 "patroni": {"version": "3.0.2", "scope": "inkeeper"}}"""


def test_the_cluster_of_version_3() -> None:
    found = decode_cluster(CLUSTER_3)
    assert found.leader is not None
    assert (found.leader.name, found.leader.timeline, found.paused) == ("db2", 2, False)
    assert [member.lag_bytes for member in found.members] == [328, None, None]
    assert [member.well for member in found.members] == [True, True, False]
    assert not any(member.synchronous for member in found.members)


def test_the_cluster_of_version_4() -> None:
    found = decode_cluster(CLUSTER_4)
    assert found.leader is not None
    assert found.leader.name == "db1"
    assert found.paused
    assert (found.members[1].synchronous, found.members[1].lag_bytes, found.members[1].well) == (True, 0, True)


def test_the_history() -> None:
    first, second = decode_history(HISTORY)
    assert (first.timeline, first.leader, first.at) == (1, "db1", 1795752481091)
    assert (second.timeline, second.leader, second.at) == (2, "", 0)
    assert decode_history(b"[]") == ()


@pytest.mark.parametrize(
    ("document", "synchronous", "strict"),
    [
        (b'{"synchronous_mode": true, "synchronous_mode_strict": true}', True, True),
        (b'{"synchronous_mode": "quorum", "synchronous_mode_strict": false}', True, False),
        (b'{"ttl": 20}', False, False),
    ],
)
def test_the_config(document: bytes, synchronous: bool, strict: bool) -> None:
    found = decode_config(document)
    assert (found.synchronous, found.strict) == (synchronous, strict)


def test_versions() -> None:
    assert decode_version(ABOUT) == "3.0.2"
    assert [is_safe(version) for version in ("3.0.2", "2.1.7", "3.0.3", "3.1.0", "4.1.5", "")] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b"{}", b'{"members": 3}', b"\xff"])
def test_what_is_no_patroni_is_said_so(document: bytes) -> None:
    with pytest.raises(PatroniError, match="no Patroni"):
        decode_cluster(document)


def test_members_with_anything_in_them_are_read() -> None:
    (member,) = decode_cluster(b'{"members": [7, {"name": null, "port": "x", "lag": true, "tags": []}]}').members
    assert (member.port, member.lag_bytes) == (0, None)


def test_addresses() -> None:
    hosts = (("h1", "5432"), ("::1", ""), ("/run/pg", ""))
    assert addresses((), hosts) == ("http://h1:8008", "http://[::1]:8008")
    assert addresses(("https://u:p@x:1/",), hosts) == ("https://u:p@x:1",)
