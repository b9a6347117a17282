"""A refund whose charge a later report has lowered is not undone as a whole: the books would no longer agree."""

import asyncio

import msgspec

from backend.intake.model import Refund, Reverse
from backend.wire.money import MoneyAnswer
from tests.support.books import assert_sound
from tests.support.stores import PRICE, MemoryHarness, authorise, new_id, report, run


def test_a_refund_that_a_lower_charge_has_eaten_up_is_not_undone() -> None:
    harness = MemoryHarness()
    harness.add_user("anna", balance=10_000)
    harness.add_queue("q")
    account_id = harness.store.users["anna"].account_id

    async def play() -> list[MoneyAnswer]:
        session, job_id = harness.store.session(0), new_id()
        await run(session, authorise(job_id, "anna", 3))
        await run(session, report(job_id, "anna", 3))
        told = await run(session, Refund(command_id=new_id(), job_id=job_id))
        refund = msgspec.json.decode(str(told[0]), type=MoneyAnswer)
        await run(session, report(job_id, "anna", 1, revision=2))
        undo = Reverse(command_id=new_id(), account_id=account_id, sequence=refund.sequence, job_id=job_id)
        told = await run(session, undo)
        return [refund, msgspec.json.decode(str(told[0]), type=MoneyAnswer)]

    refund, undone = asyncio.run(play())
    assert (refund.code, refund.amount) == ("", 3 * PRICE)
    assert (undone.code, undone.amount, undone.balance) == ("not-reversible", 0, 10_000)
    assert_sound(harness.contents())
    (job,) = harness.contents().jobs.values()
    assert (job.charged, job.refunded) == (PRICE, PRICE)
