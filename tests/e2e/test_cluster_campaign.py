"""The whole cluster hurt: three servers on three database nodes, two print servers, every kind of fault.

People print through real CUPS to real IPP printers, jobs are held and released, scripts change balances, the help desk
gives back what jobs cost, somebody logs in, a console looks on, while processes are killed and frozen, cables pulled,
packets swallowed, disks filled and clocks set. Then everything is healed and must come to rest, and the outside checker
compares the printers' spools, everything that was acknowledged, and the ledger.
"""

import os
import random
import time

import pytest

from tests.support.cluster_campaign import ClusterCampaign, judge, rounds, text
from tests.support.folders import scratch_folder
from tests.support.machines import Machines
from tests.support.processes import Failed

SHORT_S = 30.0

pytestmark = [
    pytest.mark.xdist_group("alone"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make network namespaces and mount a small disk"),
]


def run(seed: int, seconds: float, *, slow: bool, only: str = "") -> None:
    print(f"seed {seed}", flush=True)
    with scratch_folder("ik-cc-") as folder, Machines(folder) as machines:
        campaign = ClusterCampaign(machines, folder, seed)
        try:
            outcome = campaign.run(rounds(seed, slow=slow, only=only), time.monotonic() + seconds)
        except Failed as failure:
            raise AssertionError(f"seed {seed}: {failure}") from failure
        print(text(seed, outcome), flush=True)
        judge(seed, outcome)


@pytest.mark.long  # eight machines on two processors: everything beside it would wait for them
@pytest.mark.timeout(900)
def test_the_cluster_is_hurt_and_nothing_is_lost() -> None:
    run(int(os.environ.get("INKEEPER_TEST_SEED", "1")), SHORT_S, slow=False)


@pytest.mark.long
@pytest.mark.timeout(0)
def test_cluster_campaigns_without_end() -> None:
    """One seed after another for INKEEPER_TEST_MINUTES (10), each of several minutes; of the nemeses only those whose
    names have INKEEPER_TEST_NEMESIS in them."""
    ends_s = time.monotonic() + 60 * float(os.environ.get("INKEEPER_TEST_MINUTES", "10"))
    seed = int(os.environ.get("INKEEPER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
    while time.monotonic() < ends_s:
        run(seed, 300.0, slow=True, only=os.environ.get("INKEEPER_TEST_NEMESIS", ""))
        seed += 1
