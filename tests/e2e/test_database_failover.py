"""The database cluster loses its primary, its standby, its memory, while three servers answer a steady load.

Every acknowledged command is in the books exactly once, every other one gets one answer when it is asked again, sums
are balances, and what failed comes back by itself.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict

import pytest

from tests.support.database_campaign import Campaign
from tests.support.folders import scratch_folder

pytestmark = pytest.mark.xdist_group("alone")


async def primarys_process(campaign: Campaign) -> None:
    await campaign.fault("PostgreSQL process killed", campaign.cluster.primary().kill_postmaster, moves=True)


async def primarys_machine(campaign: Campaign) -> None:
    await campaign.fault("primary's machine killed", campaign.cluster.primary().kill_machine, moves=True)


async def primary_frozen(campaign: Campaign) -> None:
    await campaign.fault("primary frozen (SIGSTOP)", campaign.cluster.primary().freeze_postgres, moves=True)


async def sync_standby(campaign: Campaign) -> None:
    await campaign.fault("synchronous standby killed", campaign.cluster.sync_standby().kill_machine, moves=False)


async def etcd_member(campaign: Campaign) -> None:
    member = campaign.random.choice([*campaign.cluster.nodes.values()]).etcd
    await campaign.fault("etcd member killed", member.kill9, moves=False)


async def planned(campaign: Campaign) -> None:
    await campaign.switchover()


QUICK = (primarys_process, planned, sync_standby, etcd_member)
SLOW = (primarys_machine, primary_frozen)


def settle(campaign: Campaign) -> None:
    assert campaign.faults() == []
    told = [event.detail["timeline"] for event in campaign.changes()]
    assert told, "no change of the primary stands in the history"
    assert sorted(set(told)) == told, "a change of the primary stands in the history twice"
    assert all(event.away_ms is None or event.away_ms >= 0 for event in campaign.changes())


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_when_the_primary_fails() -> None:
    """One fault of each quick kind and one slow one; which, and in what order, by the seed."""
    seed = int(os.environ.get("INKEEPER_TEST_SEED", "3"))

    async def script(campaign: Campaign) -> None:
        faults = [*QUICK, campaign.random.choice(SLOW)]
        campaign.random.shuffle(faults)
        for fault in faults:
            await fault(campaign)

    with scratch_folder("ik-ha-") as folder, Campaign(folder, seed) as campaign:
        asyncio.run(campaign.run(script))
        settle(campaign)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_the_database_campaign() -> None:
    """Faults of all kinds for INKEEPER_TEST_MINUTES; prints how long writes were away."""
    seed = int(os.environ.get("INKEEPER_TEST_SEED", str(time.time_ns() % 100_000)))
    until_s = time.monotonic() + 60 * float(os.environ.get("INKEEPER_TEST_MINUTES", "10"))
    print(f"seed {seed}")

    async def script(campaign: Campaign) -> None:
        while time.monotonic() < until_s:
            faults = [*QUICK, *SLOW]
            campaign.random.shuffle(faults)
            for fault in faults:
                await fault(campaign)

    with scratch_folder("ik-ha-") as folder, Campaign(folder, seed) as campaign:
        asyncio.run(campaign.run(script))
        settle(campaign)
        by_name: defaultdict[str, list[float]] = defaultdict(list)
        for name, away_s in campaign.away_s:
            by_name[name].append(away_s)
        for name, times in sorted(by_name.items()):
            print(f"{name}: n {len(times)}, p50 {statistics.median(times):.2f} s, max {max(times):.2f} s")
        print(f"{len(campaign.told)} commands acknowledged, {len(campaign.refused)} had to be asked again, 0 lost")
