"""What the help desk does to money, on every store: refunds, undoing, limits, overdrafts by default, ticking off."""

import asyncio

import msgspec
import pytest

from backend.intake.batch import Outcome
from backend.intake.model import Body, Limits, Refund, Reverse, Tick
from backend.jobs.model import Need
from backend.ledger.model import DEFAULT_OVERDRAFT, UNASSIGNED
from backend.wire.jobs import AuthoriseAnswer, JobActionAnswer, ReportAnswer
from backend.wire.money import Adjust, ConfigureAccount, MoneyAnswer, SetBalance
from tests.integration.test_store_conformance import answer, batches, harness
from tests.support.books import assert_sound
from tests.support.stores import PRICE, Harness, authorise, new_id, report, run

__all__ = ["harness"]  # the fixture


def give(harness: Harness, *bodies: Body, limits: Limits | None = None, overdraft: int = 0) -> list[Outcome]:
    """The bodies as one batch each; their outcomes."""

    async def play() -> list[Outcome]:
        session = harness.store.session(0)
        try:
            found = []
            for body in bodies:
                found += await run(session, body, limits=limits or Limits(), default_overdraft=overdraft)
            return found
        finally:
            await session.close()

    return asyncio.run(play())


def printed(harness: Harness, impressions: int = 4) -> str:
    """A job of ada's, printed and charged."""
    harness.add_user("ada", restricted=True, balance=10 * PRICE)
    harness.add_queue("q")
    job_id = new_id()
    give(harness, authorise(job_id, "ada", impressions), report(job_id, "ada", impressions))
    return job_id


def refund(job_id: str, amount: int | None = None, pages: int | None = None) -> Refund:
    return Refund(command_id=new_id(), job_id=job_id, amount=amount, pages=pages, comment="jam")


def adjust(amount: int) -> Adjust:
    return Adjust(command_id=new_id(), user_name="ada", amount=amount)


def money(outcome: Outcome) -> MoneyAnswer:
    found: MoneyAnswer = answer(outcome, MoneyAnswer)
    return found


def code(outcome: Outcome) -> str:
    return money(outcome).code


def undo(harness: Harness, sequence: int, job_id: str = "", account: str = "ada") -> Reverse:
    account_id = harness.contents().accounts[account].account_id
    return Reverse(command_id=new_id(), account_id=account_id, sequence=sequence, job_id=job_id, comment="a mistake")


def test_a_refund_gives_back_part_pages_or_all_and_never_more_than_the_charge(harness: Harness) -> None:
    job_id = printed(harness)
    part, page, too_much, rest, again = give(
        harness,
        refund(job_id, amount=PRICE // 2),
        refund(job_id, pages=1),
        refund(job_id, pages=3),
        refund(job_id),
        refund(job_id),
    )
    assert [money(one).amount for one in (part, page, rest)] == [PRICE // 2, PRICE, 4 * PRICE - PRICE - PRICE // 2]
    assert [code(one) for one in (too_much, again)] == ["refund-exceeds-charge"] * 2
    contents = harness.contents()
    job = contents.jobs[job_id]
    assert (job.charged, job.refunded, contents.accounts["ada"].balance) == (4 * PRICE, 4 * PRICE, 10 * PRICE)
    assert [row.action for row in harness.audits()] == ["job-refunded"] * 3
    assert {row.job_id for row in contents.transfers if row.code == "refund"} == {job_id}
    assert_sound(contents)


def test_nothing_is_refunded_of_what_is_not_charged(harness: Harness) -> None:
    job_id = printed(harness, impressions=0)
    assert [code(one) for one in give(harness, refund(job_id), refund(job_id, amount=1), refund(new_id()))] == [
        "refund-exceeds-charge",
        "refund-exceeds-charge",
        "job-unknown",
    ]


@pytest.mark.parametrize(("back", "then", "net"), [(2, 4, 2), (3, 1, 0), (1, 3, 2), (4, 0, 0)])
def test_a_later_report_leaves_a_refund_standing_as_far_as_it_can(
    harness: Harness, back: int, then: int, net: int
) -> None:
    job_id = printed(harness)
    give(harness, refund(job_id, pages=back))
    (outcome,) = give(harness, report(job_id, "ada", then, revision=2))
    assert answer(outcome, ReportAnswer).charged == then * PRICE
    contents = harness.contents()
    job = contents.jobs[job_id]
    assert (job.charged - job.refunded, contents.accounts["ada"].balance) == (net * PRICE, (10 - net) * PRICE)
    assert_sound(contents)


def test_what_somebody_moved_is_undone_once_by_a_transfer_the_other_way(harness: Harness) -> None:
    harness.add_user("ada", balance=10)
    gift, taken, fixed = (money(one) for one in give(harness, adjust(7), adjust(-3), _set(50)))
    first, second = undo(harness, gift.sequence), undo(harness, gift.sequence)
    done, replayed, refused = give(harness, first, first, second)
    assert (money(done).amount, money(done).balance) == (-7, 43)
    assert replayed == done
    assert code(refused) == "already-reversed"
    both = give(harness, undo(harness, taken.sequence), undo(harness, fixed.sequence))
    assert [money(one).amount for one in both] == [3, -36]
    nonsense = give(harness, undo(harness, money(done).sequence), undo(harness, 1), undo(harness, 99))
    assert [code(one) for one in nonsense] == ["not-reversible", "not-reversible", "transfer-unknown"]
    assert harness.contents().accounts["ada"].balance == 10
    assert_sound(harness.contents())


def _set(balance: int) -> SetBalance:
    return SetBalance(command_id=new_id(), user_name="ada", balance=balance)


def test_two_undo_it_in_one_batch_and_one_of_them_is_told_so(harness: Harness) -> None:
    harness.add_user("ada", balance=10)
    (gift,) = give(harness, adjust(7))
    ((one, two),) = batches(harness, (undo(harness, money(gift).sequence), undo(harness, money(gift).sequence)))
    assert [code(one), code(two)] == ["", "already-reversed"]


def test_an_undone_refund_may_be_given_again(harness: Harness) -> None:
    job_id = printed(harness)
    (back,) = give(harness, refund(job_id))
    unlinked, done, again = give(
        harness, undo(harness, money(back).sequence), undo(harness, money(back).sequence, job_id), refund(job_id)
    )
    assert code(unlinked) == "job-unknown"
    assert (money(done).amount, money(again).amount) == (-4 * PRICE, 4 * PRICE)
    contents = harness.contents()
    assert (contents.jobs[job_id].refunded, contents.accounts["ada"].balance) == (4 * PRICE, 10 * PRICE)
    assert_sound(contents)


def test_a_printing_is_not_undone_by_hand(harness: Harness) -> None:
    job_id = printed(harness)
    charge = next(row for row in harness.contents().transfers if row.job_id == job_id and row.code == "print")
    (refused,) = give(harness, undo(harness, charge.sequence, job_id))
    assert code(refused) == "not-reversible"


def test_somebody_with_limits_moves_no_more_than_they_allow(harness: Harness) -> None:
    harness.add_user("ada", balance=100)
    limits = Limits(each=10, day=25)
    found = give(harness, adjust(11), adjust(10), adjust(-10), adjust(6), adjust(5), adjust(1), limits=limits)
    assert [code(one) for one in found] == [
        "adjustment-limit-reached",
        "",
        "",
        "daily-limit-reached",
        "",
        "daily-limit-reached",
    ]
    assert "0.001 EUR" in money(found[0]).message
    (other,) = give(harness, adjust(1000))  # nobody's limit
    assert code(other) == ""
    ((one, two),) = _together(harness, Limits(day=30), adjust(4), adjust(4))
    assert [code(one), code(two)] == ["", "daily-limit-reached"]
    assert_sound(harness.contents())


def _together(harness: Harness, limits: Limits, *bodies: Body) -> list[list[Outcome]]:
    async def play() -> list[list[Outcome]]:
        session = harness.store.session(0)
        try:
            return [await run(session, *bodies, limits=limits)]
        finally:
            await session.close()

    return asyncio.run(play())


def test_two_servers_side_by_side_let_somebody_move_no_more_than_the_day_allows(harness: Harness) -> None:
    names = ("ada", "bob")  # no account's lock holds them apart
    for name in names:
        harness.add_user(name)
    limits = Limits(day=10)

    async def server(number: int) -> list[Outcome]:
        session = harness.store.session(number)
        gifts = [Adjust(command_id=new_id(), user_name=names[number], amount=1) for _ in range(12)]
        try:
            return [one for gift in gifts for one in await run(session, gift, limits=limits)]
        finally:
            await session.close()

    async def play() -> list[list[Outcome]]:
        return list(await asyncio.gather(server(0), server(1)))

    codes = [code(one) for found in asyncio.run(play()) for one in found]
    assert sorted(codes) == [""] * 10 + ["daily-limit-reached"] * 14
    accounts = harness.contents().accounts
    assert sum(accounts[name].balance for name in names) == 10


def test_two_servers_undo_a_transfer_at_once_and_one_of_them_does(harness: Harness) -> None:
    harness.add_user("ada", balance=100)
    gifts = [money(one).sequence for one in give(harness, *(adjust(1) for _ in range(8)))]
    bodies = [[undo(harness, sequence) for sequence in gifts] for _ in range(2)]

    async def server(number: int) -> list[Outcome]:
        session = harness.store.session(number)
        try:
            return [one for body in bodies[number] for one in await run(session, body)]
        finally:
            await session.close()

    async def play() -> list[list[Outcome]]:
        return list(await asyncio.gather(server(0), server(1)))

    both = asyncio.run(play())
    assert [sorted((code(one), code(two))) for one, two in zip(*both, strict=True)] == [["", "already-reversed"]] * 8
    assert harness.contents().accounts["ada"].balance == 100
    assert_sound(harness.contents())


def test_limits_hold_for_refunds_and_for_undoing(harness: Harness) -> None:
    job_id = printed(harness)
    limits = Limits(each=PRICE, day=2 * PRICE)
    big, back, undone, none_left = give(
        harness, refund(job_id), refund(job_id, pages=1), _undo_last(harness, job_id, 1), refund(job_id, pages=1),
        limits=limits,
    )  # fmt: skip
    assert [code(one) for one in (big, back, undone, none_left)] == [
        "adjustment-limit-reached",
        "",
        "",
        "daily-limit-reached",
    ]


def _undo_last(harness: Harness, job_id: str, more: int) -> Reverse:
    """Undo the transfer that comes `more` after those there are."""
    account = harness.contents().accounts["ada"]
    return Reverse(command_id=new_id(), account_id=account.account_id, sequence=account.sequence + more, job_id=job_id)


def test_an_overdraft_is_the_settings_until_it_is_given_one_of_its_own(harness: Harness) -> None:
    harness.add_user("ada", restricted=True, overdraft=DEFAULT_OVERDRAFT)
    harness.add_queue("q")

    def may(overdraft: int) -> bool:
        job_id = new_id()
        asked, _ = give(harness, authorise(job_id, "ada", 1), report(job_id, "ada", 0), overdraft=overdraft)
        return bool(answer(asked, AuthoriseAnswer).decision == "authorised")

    assert [may(0), may(PRICE - 1), may(PRICE)] == [False, False, True]
    assert harness.contents().accounts["ada"].overdraft == DEFAULT_OVERDRAFT
    give(harness, _configure(overdraft=2 * PRICE))
    assert may(0)
    give(harness, _configure(overdraft_mode="default"))
    assert not may(0)
    give(harness, _configure(overdraft_mode="individual"), overdraft=PRICE)
    assert harness.contents().accounts["ada"].overdraft == PRICE
    (refused,) = give(harness, _configure(overdraft=-5))
    assert code(refused) == "amount-invalid"


def _configure(**values: object) -> ConfigureAccount:
    return ConfigureAccount(command_id=new_id(), user_name="ada", **values)  # type: ignore[arg-type]


def test_a_job_that_was_looked_at_leaves_the_list_until_there_is_a_new_reason(harness: Harness) -> None:
    harness.add_user("ada")
    harness.add_queue("q")
    job_id = new_id()
    give(harness, authorise(job_id, "ada", 1), report(job_id, "ada", 3))
    assert harness.wants()[job_id].need == Need.LOOK
    tick = Tick(command_id=new_id(), job_id=job_id, comment="asked him")
    first, again, unknown = give(harness, tick, tick, Tick(command_id=new_id(), job_id=new_id()))
    assert answer(first, JobActionAnswer).code == ""
    assert again == first
    assert answer(unknown, JobActionAnswer).code == "job-unknown"
    assert job_id not in harness.wants()
    assert [(row.action, row.detail) for row in harness.audits()] == [("job-looked-at", "asked him")]
    lost = report(job_id, "ada", 3, revision=2)
    give(harness, _in_doubt(lost))
    assert harness.wants()[job_id].need == Need.LOOK


def _in_doubt(body: object) -> Body:
    return msgspec.structs.replace(body, in_doubt=True)  # type: ignore[type-var,return-value]


def test_what_fits_no_account_is_refunded_there(harness: Harness) -> None:
    harness.add_queue("q")
    job_id = new_id()

    async def play() -> list[Outcome]:
        session = harness.store.session(0)
        try:
            await run(session, report(job_id, "nobody", 1), create_users=False)
            return await run(session, refund(job_id))
        finally:
            await session.close()

    (found,) = asyncio.run(play())
    assert money(found).amount == PRICE
    assert harness.contents().jobs[job_id].account_id == UNASSIGNED
    assert_sound(harness.contents())
