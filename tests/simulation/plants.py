"""Bugs to plant: each takes one decision of a core, or one sync of the disk, the wrong way. The simulator must find it.

A plant changes the code under test alone, never the auditor. They show that the simulator's silence means something.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec.structs import replace as change

from backend.cluster import machine as lease
from backend.intake import fold
from backend.jobs import machine as jobs
from backend.jobs.model import Job, Mark
from backend.ledger import rules
from backend.ledger.model import Account, Kind, Origin
from backend.wire.pricing import Printed
from provider.cups import printer
from provider.jobs import events as ev
from provider.jobs import machine as provider
from provider.jobs import offline
from provider.jobs import rules as verdicts
from provider.journal import record as records
from provider.uplink import machine as uplink
from provider.uplink import messages
from tests.simulation import backend, database, journal, people
from tests.simulation import plants_access as access
from tests.simulation import provider as daemon
from tests.simulation.disk import Disk, File

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Plant:
    """`where` the bug is, in words, and how it is planted."""

    name: str
    where: str
    plant: Callable[[Patch], None]


# ---------------------------------------------------------------- the servers' cores


def _replay_decided_anew(patch: Patch) -> None:
    take = fold._Batch.take

    def anew(self: Any, command: Any) -> Any:
        self._answered.pop(command.command_id, None)
        return take(self, command)

    patch.setattr(fold._Batch, "take", anew)


def _fingerprint_ignored(patch: Patch) -> None:
    take = fold._Batch.take

    def blind(self: Any, command: Any) -> Any:
        before = self._answered.get(command.command_id)
        return before[1] if before is not None else take(self, command)

    patch.setattr(fold._Batch, "take", blind)


def _expiry_does_not_look_again(patch: Patch) -> None:
    expire = jobs.expire
    patch.setattr(jobs, "expire", lambda book, job, since, origin: expire(book, job, 2**60, origin))


def _report_revision_ignored(patch: Patch) -> None:
    report = jobs.report

    def forgetful(book: Any, job: Job | None, *rest: Any) -> Any:
        if job is not None:
            job.revision = 0
        return report(book, job, *rest)

    patch.setattr(jobs, "report", forgetful)


def _attempt_ignored(patch: Patch) -> None:
    authorise = jobs.authorise

    def forgetful(book: Any, job: Job | None, *rest: Any) -> Any:
        if job is not None:
            job.attempt = 0
        return authorise(book, job, *rest)

    patch.setattr(jobs, "authorise", forgetful)


def _limit_of_the_balance(patch: Patch) -> None:
    def covers(account: Account, amount: int, leave: int = 0) -> bool:
        return not account.restricted or account.balance - amount >= leave - account.overdraft

    patch.setattr(rules, "covers", covers)


def _old_reservation_kept(patch: Patch) -> None:
    def forget(book: Any, account: Account, job: Job, origin: Origin) -> None:
        job.reserved_sequence = job.reserved = 0

    patch.setattr(jobs, "_void", forget)


def _late_report_not_charged(patch: Patch) -> None:
    post = jobs._post_rest

    def skip(book: Any, account: Account, job: Job, due: int, code: str, origin: Origin) -> None:
        if code != "print-late":
            post(book, account, job, due, code, origin)

    patch.setattr(jobs, "_post_rest", skip)


def _excess_swallowed(patch: Patch) -> None:
    settle = rules.settle

    def swallow(*arguments: Any) -> int:
        settle(*arguments)
        return 0

    patch.setattr(rules, "settle", swallow)


def _expired_posts_again(patch: Patch) -> None:
    def expire(book: Any, job: Job, silent_since: int, origin: Origin) -> Job | None:
        if not job.reserved_sequence or job.renewed_at >= silent_since:
            return None
        account = book.accounts[job.account_id]
        rules.end_unposted(book, account, job.reserved_sequence, job.reserved, Kind.EXPIRED, origin)
        job.state = "in_doubt"  # the reservation stays on the job
        return job

    patch.setattr(jobs, "expire", expire)


# ---------------------------------------------------------------- the lease


def _term_not_checked(patch: Patch) -> None:
    def fence(self: database.Database, name: str, term: int, process: str, reply: Any) -> None:
        self._next += 1
        self.lease.shared[name] = self._next
        reply(self._next)

    patch.setattr(database.Database, "fence", fence)


def _leads_without_end(patch: Patch) -> None:
    patch.setattr(lease, "leads", lambda state, now_s: isinstance(state, lease.Leading))


def _lease_from_the_answer(patch: Patch) -> None:
    """The lease counted from a generous moment: the leader stops after the candidate may begin."""
    patch.setattr(lease, "SAFETY", 1.3)


def _impatient_candidate(patch: Patch) -> None:
    action = lease.action
    patch.setattr(lease, "action", lambda state, now_s, lease_s: action(state, now_s, lease_s * 0.5))


def _unknown_take_over_leads(patch: Patch) -> None:
    def hopeful(state: lease.State, now_s: float) -> lease.State:
        if isinstance(state, lease.Following) and state.seen is not None and now_s - state.since_s >= 5.0:
            return lease.Leading(state.seen.term + 1, now_s + 4.0)
        return state if lease.leads(state, now_s) else lease.Following()

    patch.setattr(lease, "unknown", hopeful)


# ---------------------------------------------------------------- the provider's cores


def _end_believed_too_early(patch: Patch) -> None:
    seen = provider._HANDLERS[ev.RunsSeen]

    def hasty(state: Any, event: ev.RunsSeen, moment: Any) -> Any:
        return seen(state, replace(event, locked=False), moment)

    patch.setitem(provider._HANDLERS, ev.RunsSeen, hasty)


def _exit_code_believed(patch: Patch) -> None:
    judge = verdicts.judge

    def trusting(run: Any, uri: str) -> Any:
        return "printed" if run.exit_code == 0 else judge(run, uri)

    patch.setattr(verdicts, "judge", trusting)


def _killed_run_is_nothing(patch: Patch) -> None:
    judge = verdicts.judge

    def hopeful(run: Any, uri: str) -> Any:
        return "nothing" if run.exit_code is None else judge(run, uri)

    patch.setattr(verdicts, "judge", hopeful)


def _runs_summed(patch: Patch) -> None:
    def summed(runs: Any) -> Any:
        found = [verdicts.printed_by(run) for run in runs]
        total = sum(printed.impressions for printed, _ in found)
        return Printed(impressions=total, sheets=total), any(estimated for _, estimated in found)

    patch.setattr(verdicts, "charge", summed)


def _asked_before_written(patch: Patch) -> None:
    analysed = provider._HANDLERS[ev.Analysed]

    def hasty(state: Any, event: Any, moment: Any) -> Any:
        state, effects = analysed(state, event, moment)
        if not effects:
            return state, effects
        state = replace(state, stage="authorising", token=state.token + 1, on_disk=True)
        return state, (ev.Write(0, state.record), ev.Authorise(state.token, state.record, state.deadline_s))

    patch.setitem(provider._HANDLERS, ev.Analysed, hasty)


def _reported_before_written(patch: Patch) -> None:
    close = provider._close

    def hasty(*arguments: Any) -> Any:
        state, _ = close(*arguments)
        names = tuple(run.name for run in state.record.runs)
        state = replace(state, stage="reporting", token=state.token + 1)
        return state, (ev.RemoveRuns(names), ev.SendReport(state.record), ev.Write(0, state.record))

    patch.setattr(provider, "_close", hasty)


def _taken_in_run_is_lost(patch: Patch) -> None:
    def written(state: Any, event: ev.Written, moment: Any) -> Any:
        if state.stage == "closing" and event.token == state.token:
            state = replace(state, stage="reporting", wake_at_s=None, on_disk=True)
            names = tuple(run.name for run in state.record.runs)
            return state, (ev.RemoveRuns(names), ev.SendReport(state.record))
        return before(state, event, moment)

    before = provider._HANDLERS[ev.Written]
    patch.setitem(provider._HANDLERS, ev.Written, written)


def _outbox_drops_unsent(patch: Patch) -> None:
    def failed(self: uplink.Outbox, job_id: str, now_s: float, random_unit: float) -> None:
        self.drop(job_id)

    patch.setattr(uplink.Outbox, "failed", failed)


def _report_with_a_new_id(patch: Patch) -> None:
    """Each time the report is sent it gets another id, and says that it is newer."""
    report = messages.report
    count = [0]

    def anew(record: Any) -> Any:
        count[0] += 1
        body = report(record)
        return change(
            body, command_id=f"{body.command_id[:-6]}{count[0] % 10**6:06}", revision=body.revision + count[0]
        )

    patch.setattr(messages, "report", anew)


def _check_sum_not_checked(patch: Patch) -> None:
    def trusting(data: bytes, start: int) -> Any:
        if len(data) - start < records.HEADER.size:
            return None
        _, version, length, _ = records.HEADER.unpack_from(data, start)
        end = start + records.HEADER.size + length
        payload = data[start + records.HEADER.size : end]
        return records.Record(version, payload, start, end) if end <= len(data) else None

    patch.setattr(records, "_record_at", trusting)


def _age_by_a_clock_that_is_set(patch: Patch) -> None:
    patch.setattr(printer, "DOUBT_S", 0.0)
    patch.setattr(daemon, "DOUBT_S", 0.0)


# ---------------------------------------------------------------- the disk, and who writes to it


def _without_sync(patch: Patch, which: Callable[[str], bool]) -> None:
    sync = Disk.sync

    def lazy(self: Disk, file: File) -> None:
        names = [name for name, known in self.files.items() if known is file]
        if not any(which(name) for name in names):
            sync(self, file)

    patch.setattr(Disk, "sync", lazy)


def _journal_not_synced(patch: Patch) -> None:
    _without_sync(patch, lambda name: name.endswith(journal.SUFFIX))


def _run_file_not_synced(patch: Patch) -> None:
    _without_sync(patch, lambda name: name.endswith(".run") or name.startswith(".new."))


def _folder_not_synced(patch: Patch) -> None:
    patch.setattr(Disk, "sync_folder", lambda self: None)


def _messages_not_synced(patch: Patch) -> None:
    _without_sync(patch, lambda name: name.endswith(".log"))


def _lock_not_inherited(patch: Patch) -> None:
    def forgetful(self: File, holder: Any) -> None:
        if not isinstance(holder, backend.Inner):
            self.holders.append((holder, holder.life))

    patch.setattr(File, "lock", forgetful)


def _retry_with_a_new_id(patch: Patch) -> None:
    """A person's program gives the command under another id when nobody answered."""
    until = people.Desk._until_answered

    async def anew(self: people.Desk, body: Any) -> None:
        answered = await self.ask(body)
        if answered is None:
            self.open.pop(body.command_id, None)
            body = change(body, command_id=people.new_id(self.kernel))
            self.open[body.command_id] = body
            await until(self, body)

    patch.setattr(people.Desk, "_until_answered", anew)


def _any_release_will_do(patch: Patch) -> None:
    """What was released is not looked at: two pages were, fifty are printed."""
    patch.setattr(jobs, "_asks_for_what_was_released", lambda job, body, queue: bool(job.marks & Mark.RELEASED))


def _hold_ended_though_released(patch: Patch) -> None:
    """The leader does not look again whether the job still waits."""

    def blind(job: Job, before: int, origin: Origin) -> Job:
        jobs._cancel_waiting(job, "hold-expired", origin)
        return job

    patch.setattr(jobs, "end_hold", blind)


def _canceled_and_printed(patch: Patch) -> None:
    patch.setattr(jobs, "_BY_HAND", {})


def _allowance_spent_twice(patch: Patch) -> None:
    """Jobs of one user that print offline at the same time are each let have all of it."""
    decide = offline.decide

    def generous(*arguments: Any) -> offline.Verdict:
        name, facts, queue, own, allowance, purse, ledger = arguments
        return decide(name, facts, queue, own, allowance, replace(purse, spent=0), ledger)

    patch.setattr(daemon, "decide", generous)


def _held_for_nothing(patch: Patch) -> None:
    """Why a job is held is not on the disk."""
    step = provider.step

    def forgetful(state: Any, event: Any, moment: Any) -> Any:
        after, effects = step(state, event, moment)
        return after, tuple(
            replace(effect, record=change(effect.record, held_for="")) if isinstance(effect, ev.Write) else effect
            for effect in effects
        )

    patch.setattr(provider, "step", forgetful)


def _doubt_is_not_told(patch: Patch) -> None:
    patch.setattr(verdicts, "is_in_doubt", lambda runs: False)


def _refund_beyond_the_charge(patch: Patch) -> None:
    honest = jobs.refundable

    def generous(job: Job, amount: int | None, pages: int | None) -> int:
        return honest(job, amount, pages) or amount or job.charged

    patch.setattr(jobs, "refundable", generous)


def _undo_leaves_the_job_refunded(patch: Patch) -> None:
    patch.setattr(jobs, "unrefund", lambda job, amount, origin: None)


def _undone_as_often_as_asked(patch: Patch) -> None:
    honest = fold._Batch._not_reversible

    def forgetful(self: Any, command: Any, earlier: Any, body: Any) -> str:
        return honest(self, command, change(earlier, is_reversed=False), body)

    patch.setattr(fold._Batch, "_not_reversible", forgetful)


def _undone_twice_in_a_batch(patch: Patch) -> None:
    honest = fold._Batch._not_reversible

    def forgetful(self: Any, command: Any, earlier: Any, body: Any) -> str:
        self._reversed.clear()
        return honest(self, command, earlier, body)

    patch.setattr(fold._Batch, "_not_reversible", forgetful)


def _limit_of_the_day_by_batch(patch: Patch) -> None:
    def spent(self: Any, command: Any) -> int:
        return int(self._spent.get((command.actor, self._today), 0))

    patch.setattr(fold._Batch, "_spent_today", spent)


def _limit_for_ever(patch: Patch) -> None:
    patch.setattr(fold._Batch, "_today", 1)


PLANTS = (
    Plant("any-release-will-do", "jobs.machine", _any_release_will_do),
    Plant("hold-ended-though-released", "jobs.machine", _hold_ended_though_released),
    Plant("canceled-and-printed", "jobs.machine", _canceled_and_printed),
    Plant("allowance-spent-twice", "provider.jobs.offline", _allowance_spent_twice),
    Plant("held-for-nothing", "provider.jobs.machine", _held_for_nothing),
    Plant("doubt-is-not-told", "provider.jobs.rules", _doubt_is_not_told),
    Plant("replay-decided-anew", "intake.fold", _replay_decided_anew),
    Plant("fingerprint-ignored", "intake.fold", _fingerprint_ignored),
    Plant("undone-as-often-as-asked", "intake.fold", _undone_as_often_as_asked),
    Plant("undone-twice-in-a-batch", "intake.fold", _undone_twice_in_a_batch),
    Plant("limit-of-the-day-by-batch", "intake.fold", _limit_of_the_day_by_batch),
    Plant("limit-for-ever", "intake.fold", _limit_for_ever),
    Plant("refund-beyond-the-charge", "jobs.machine", _refund_beyond_the_charge),
    Plant("undo-leaves-the-job-refunded", "jobs.machine", _undo_leaves_the_job_refunded),
    Plant("expiry-does-not-look-again", "jobs.machine", _expiry_does_not_look_again),
    Plant("expired-and-posted", "jobs.machine", _expired_posts_again),
    Plant("report-revision-ignored", "jobs.machine", _report_revision_ignored),
    Plant("attempt-ignored", "jobs.machine", _attempt_ignored),
    Plant("old-reservation-kept", "jobs.machine", _old_reservation_kept),
    Plant("late-report-not-charged", "jobs.machine", _late_report_not_charged),
    Plant("excess-swallowed", "ledger.rules", _excess_swallowed),
    Plant("limit-of-the-balance", "ledger.rules", _limit_of_the_balance),
    Plant("term-not-checked", "cluster.service", _term_not_checked),
    Plant("leads-without-end", "cluster.machine", _leads_without_end),
    Plant("leader-stops-too-late", "cluster.machine", _lease_from_the_answer),
    Plant("impatient-candidate", "cluster.machine", _impatient_candidate),
    Plant("unknown-take-over-leads", "cluster.machine", _unknown_take_over_leads),
    Plant("run-end-believed-too-early", "provider.jobs.machine", _end_believed_too_early),
    Plant("asked-before-written", "provider.jobs.machine", _asked_before_written),
    Plant("reported-before-written", "provider.jobs.machine", _reported_before_written),
    Plant("run-taken-in-is-lost", "provider.jobs.machine", _taken_in_run_is_lost),
    Plant("exit-code-believed", "provider.jobs.rules", _exit_code_believed),
    Plant("killed-run-is-nothing", "provider.jobs.rules", _killed_run_is_nothing),
    Plant("runs-summed", "provider.jobs.rules", _runs_summed),
    Plant("outbox-drops-unsent", "provider.uplink.machine", _outbox_drops_unsent),
    Plant("report-with-a-new-id", "provider.uplink.messages", _report_with_a_new_id),
    Plant("check-sum-not-checked", "provider.journal.record", _check_sum_not_checked),
    Plant("age-by-a-clock-that-is-set", "provider.cups.printer", _age_by_a_clock_that_is_set),
    Plant("journal-not-synced", "disk", _journal_not_synced),
    Plant("run-file-not-synced", "disk", _run_file_not_synced),
    Plant("folder-not-synced", "disk", _folder_not_synced),
    Plant("messages-not-synced", "disk", _messages_not_synced),
    Plant("lock-not-inherited", "disk", _lock_not_inherited),
    Plant("retry-with-a-new-id", "client", _retry_with_a_new_id),
    Plant("ended-token-honoured", "access.remembered", access.ended_token_honoured),
    Plant("age-of-the-answer", "access.remembered", access.age_of_the_answer),
    Plant("tokens-outlive-a-change", "access.operators", access.tokens_outlive_a_change),
    Plant("attempt-not-counted", "access.operators", access.attempt_not_counted),
    Plant("old-password-lets-in", "access.operators", access.old_password_lets_in),
    Plant("log-in-not-noted", "access.operators", access.log_in_not_noted),
    Plant("limits-forgotten", "access.service", access.limits_forgotten),
    Plant("strangers-lock-out", "access.attempts", access.strangers_lock_out),
    Plant("clock-set-back-locks-out", "access.attempts", access.clock_set_back_locks_out),
)
