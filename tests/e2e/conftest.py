"""One print site for the tests that leave it as they found it: to build one takes ten seconds."""

from collections.abc import Iterator

import pytest

from tests.support.folders import scratch_folder
from tests.support.processes import Process
from tests.support.site import PRICE, Site


@pytest.fixture(scope="session")
def print_site() -> Iterator[Site]:
    """A worker's site. Each test has its own titles and puts right what it changed; whoever uses it is of the xdist
    group `print-site`."""
    with scratch_folder("ik-site-") as folder, Site(folder) as site:
        for process in list(Process.live):
            process.shared = True
        site.add_user("anna", restricted=False, balance=0)
        site.add_user("poor", restricted=True, balance=3 * PRICE / 10_000)
        yield site
