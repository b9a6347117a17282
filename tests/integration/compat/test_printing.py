"""A job that was printed, as scripts see it by XML-RPC."""

import msgspec

from backend.wire.jobs import AuthoriseAnswer
from tests.integration.compat.conftest import TOKEN, Site, post
from tests.support.stores import authorise, new_id, report


def test_a_job_is_seen_on_the_account_and_on_the_printer(site: Site, user: str) -> None:
    api, job_id = site.proxy(), new_id()
    api.setUserAccountBalance(TOKEN, user, 1.0, "")
    before = [
        int(api.getPrinterProperty(TOKEN, "print-1", "Zebra", f"print-stats.{it}-count")) for it in ("job", "page")
    ]
    price = api.getPrinterCostSimple(TOKEN, "print-1", "Zebra")
    path = "/api/v1/jobs"
    post(site.server.url, f"{path}/authorise", authorise(job_id, user, 3, queue="Zebra"), site.provider_secret)
    assert api.getUserAccountBalance(TOKEN, user) == 1.0
    assert api.adjustUserAccountBalanceIfAvailable(TOKEN, user, -1.0, "more than is not reserved") is False
    post(site.server.url, f"{path}/report", report(job_id, user, 3, queue="Zebra"), site.provider_secret)
    assert api.getUserAccountBalance(TOKEN, user) == round(1.0 - 3 * price, 4)
    stats = ["print-stats.job-count", "print-stats.page-count"]
    assert api.getUserProperties(TOKEN, user, stats) == ["1", "3"]
    after = [int(api.getPrinterProperty(TOKEN, "print-1", "Zebra", name)) for name in stats]
    assert after == [before[0] + 1, before[1] + 3]


def decision(site: Site, user: str) -> AuthoriseAnswer:
    body = authorise(new_id(), user, 1, queue="Zebra")
    content = post(site.server.url, "/api/v1/jobs/authorise", body, site.provider_secret)
    return msgspec.json.decode(content, type=AuthoriseAnswer)


def test_what_scripts_set_decides_whether_somebody_may_print(site: Site, user: str) -> None:
    api = site.proxy()
    assert decision(site, user).decision == "authorised"
    api.setUserProperty(TOKEN, user, "restricted", "TRUE")
    assert decision(site, user).code == "account-limit-reached"
    api.setUserProperty(TOKEN, user, "overdraft-amount", "1.0")
    assert decision(site, user).decision == "authorised"
    api.setUserProperty(TOKEN, user, "disabled-print", "TRUE")
    assert decision(site, user).code == "user-disabled"
    api.setUserProperty(TOKEN, user, "disabled-print", "FALSE")
    assert decision(site, user).decision == "authorised"
