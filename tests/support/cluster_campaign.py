"""One run of the whole cluster: load, one nemesis after another, everything healed, and what came of all of it.

On one queue jobs wait to be released, and somebody releases them or takes them back; on another they wait while no
server answers. Somebody gives back what jobs cost, and undoes some of that; somebody logs in, rightly and wrongly.

Rounds are chosen by the seed: in each, one nemesis of servers or database and often one of printing beside it. The
outside checker knows only what lies in the printers' spools, what was acknowledged, and the ledger. The time away of a
nemesis is the longest time without one acknowledged command from its strike until every client was answered after it
was healed; a wait is how long one command took; a decision's wait is what the provider tells of it, from the end of
the document's analysis.
"""

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from backend.checker.check import check, check_growth
from backend.checker.model import Findings, Ledger
from backend.client.client import ApiClient
from backend.wire.cluster import ClusterEvent
from backend.wire.printers import QueueList, SetQueue
from tests.support.command_traffic import CommandTraffic
from tests.support.login_desk import LoginDesk
from tests.support.machines import Machines
from tests.support.nemeses import NEMESES, Heal, Nemesis
from tests.support.print_traffic import EDGE, FREE, PrintTraffic
from tests.support.processes import Failed, run, wait_until
from tests.support.refund_desk import RefundDesk
from tests.support.release_station import ReleaseStation
from tests.support.site import PRICE

ADJUSTED = ("ann", "bob", "carl")  # users of scripts; some of those who print are adjusted too
RULES = {"green": SetQueue(offline_policy="hold"), "grey": SetQueue(hold_jobs=True)}
LOGGED_IN = ("log-ins right", "log-ins wrong", "log-ins known")
PRINT_PAUSE_S = 1.0
WHOLE_S = 180.0
QUIET_S = 240.0
AGAIN = 30
DECIDED = re.compile(r"job \S+: (authorised|denied|superseded|held|no server decided) (\d+) ms after its analysis")


class Decision(NamedTuple):
    """A print job's: what, after how long, and where."""

    what: str
    wait_ms: int
    place: str


@dataclass
class Struck:
    """What a round's nemesis did. `decisions` are those of all print jobs decided meanwhile."""

    name: str
    victim: str
    away_s: float
    wait_s: float
    decisions: list[Decision] = field(default_factory=list)


@dataclass
class Outcome:
    """Everything that the test judges and tells."""

    struck: list[Struck]
    findings: Findings
    faults: list[str]
    jobs: int
    commands: int
    unanswered: int
    offline: int
    people: dict[str, int]  # what was done at the desks: released, canceled, refunded, undone, log-ins of each kind
    waits_ms: list[int]  # of print jobs for their decision, while a nemesis struck


def rounds(seed: int, *, slow: bool, only: str = "") -> Iterator[tuple[Nemesis, ...]]:
    """Rounds without end. Every kind comes once before one comes again; kinds that take long only with `slow`, and only
    those whose names have `only` in them."""
    chance = random.Random(f"{seed} rounds")
    chosen = [nemesis for nemesis in NEMESES if (slow or not nemesis.slow) and only in nemesis.name]
    while True:
        first = _shuffled(chance, [nemesis for nemesis in chosen if nemesis.realm != "printing"])
        beside = _shuffled(chance, [nemesis for nemesis in chosen if nemesis.realm == "printing"])
        for number, nemesis in enumerate(first or beside):
            alone = number >= len(beside) or chance.random() < 0.2
            yield (nemesis,) if alone or not first else (nemesis, beside[number])


def _shuffled(chance: random.Random, found: list[Nemesis]) -> list[Nemesis]:
    return chance.sample(found, len(found))


class ClusterCampaign:
    """`machines` are up."""

    def __init__(self, machines: Machines, folder: Path, seed: int) -> None:
        self.machines = machines
        self.chance = random.Random(f"{seed} strikes")
        token = machines.first.command("token", "create", "--role", "admin", "--name", "campaign")
        rpcs = [machines.rpc(name) for name in machines.servers]
        self._add_users()
        self.commands = CommandTraffic(machines.urls, token, rpcs, (*ADJUSTED, "rita", "fay"), seed)
        self.printing = PrintTraffic([*machines.print_servers.values()], folder, seed, PRINT_PAUSE_S)
        helpdesk = machines.first.command("token", "create", "--role", "helpdesk", "--name", "desk")
        password = f"password {seed}"
        words = ("operator", "create", "--role", "helpdesk", "--name", "maria")
        machines.first.command(*words, typed=f"{password}\n")
        self.station = ReleaseStation(machines.urls, helpdesk, seed)
        self.refunds = RefundDesk(machines.urls, helpdesk, seed)
        self.logins = LoginDesk(machines.urls, "maria", password)
        asyncio.run(_set_rules(machines.urls, token))
        self.struck: list[Struck] = []
        self.waits_ms: list[int] = []
        self._kills = 0  # of backends and cupsds: CUPS may give a job up then

    def _add_users(self) -> None:
        rpc = self.machines.rpc()
        for name, impressions in EDGE.items():
            rpc.add_user(name, restricted=True, balance=impressions * PRICE / 10_000)
        for name in (*FREE, *ADJUSTED):
            rpc.add_user(name, restricted=False, balance=0)

    # ------------------------------------------------ the run

    def run(self, script: Iterator[tuple[Nemesis, ...]], until_s: float) -> Outcome:
        """Rounds until this time of the monotonic clock, then rest."""
        before = self.machines.ledger()
        self.commands.start()
        with self.refunds, self.station, self.logins:
            self.printing.start()
            try:
                self.commands.wait_answered("the start")
                while time.monotonic() < until_s:
                    self._round(next(script))
            finally:
                self.printing.stop()
            self._come_to_rest()
        self.commands.stop()
        again = self.commands.again(AGAIN)
        return self._judge(before, self.machines.ledger(), again)

    def _round(self, nemeses: Sequence[Nemesis]) -> None:
        if any(nemesis.realm == "database" for nemesis in nemeses):
            self.machines.cluster.wait_whole(WHOLE_S)
        self.commands.wait_answered("the round before")
        logs = self._log_places()
        begun_s = time.monotonic()
        healing: list[tuple[float, Heal]] = []
        told: list[tuple[Nemesis, str]] = []
        try:
            for nemesis in nemeses:
                victim, heal = nemesis.strike(self.machines, self.chance)
                healing.append((time.monotonic() + self.chance.uniform(nemesis.least_s, nemesis.most_s), heal))
                told.append((nemesis, victim))
                print(f"  {time.strftime('%X')} {nemesis.name}: {victim}", flush=True)
        finally:
            for at_s, heal in sorted(healing, key=lambda pair: pair[0]):
                time.sleep(max(0.0, at_s - time.monotonic()))  # for how long a fault lasts is what the seed chooses
                heal()
        self.commands.wait_answered(" and ".join(nemesis.name for nemesis in nemeses))
        self._note(told, begun_s, logs)

    def _note(self, told: list[tuple[Nemesis, str]], begun_s: float, logs: dict[str, int]) -> None:
        since = [one for one in self.commands.answered if one.at_s >= begun_s - 1.0]
        away_s = max(later.at_s - earlier.at_s for earlier, later in itertools.pairwise(since))
        wait_s = max(one.took_s for one in since if one.way != "rpc")  # that one asks a single server, dead or not
        decisions = [decision for name, start in logs.items() for decision in self._decided(name, start)]
        self.waits_ms += [decision.wait_ms for decision in decisions]
        for nemesis, victim in told:
            self.struck.append(Struck(nemesis.name, victim, away_s, wait_s, decisions))
            self._kills += nemesis.name in ("a CUPS backend killed", "a cupsd killed") and victim != ""
        self._tell_refusals(begun_s)
        slow = max(decisions, key=lambda decision: decision.wait_ms, default=None)
        print(f"    away {away_s:.2f} s, a command took at most {wait_s:.2f} s, a decision {slow}", flush=True)

    def _tell_refusals(self, begun_s: float) -> None:
        """The commonest reasons, numbers and addresses left out, and when the first and the last were."""
        found: dict[str, list[float]] = {}
        for at_s, reason in self.commands.refusals:
            if at_s >= begun_s:
                found.setdefault(re.sub(r"https?://\S+|[0-9]+", "_", reason), []).append(at_s - begun_s)
        for reason, at in sorted(found.items(), key=lambda pair: -len(pair[1]))[:3]:
            print(f"    {len(at)} not answered, {at[0]:.1f} to {at[-1]:.1f} s: {reason[:300]}", flush=True)

    def _log_places(self) -> dict[str, int]:
        return {name: place.provider.log.stat().st_size for name, place in self.machines.print_servers.items()}

    def _decided(self, name: str, start: int) -> list[Decision]:
        """What a provider has told since this place of its log."""
        with self.machines.print_servers[name].provider.log.open("rb") as log:
            log.seek(start)
            told = log.read().decode(errors="replace")
        return [Decision(found[1], int(found[2]), name) for found in DECIDED.finditer(told)]

    def _come_to_rest(self) -> None:
        """Everything is healed by now: nobody may stay behind."""
        self.machines.cluster.wait_whole(WHOLE_S)
        for server in self.machines.servers.values():
            server.wait()
        try:
            wait_until(self.machines.is_quiet, QUIET_S, "the print servers to be quiet", 0.5)
        except Failed as failure:
            raise Failed(f"{failure}: {self._restless()}") from failure
        self.commands.wait_answered("everything")

    def _restless(self) -> str:
        """What each print server still has to do, by its own words and cupsd's."""
        told = [f"released {sorted(self.station.released)[-9:]}, taken back {sorted(self.station.canceled)}"]
        for name, place in self.machines.print_servers.items():
            waiting = run(["lpstat", "-W", "not-completed", "-o", "-l"], env=place.cupsd.env, check=False).stdout
            runs = [path.name for path in (place.state_dir / "runs").glob("*.run")]
            told.append(f"{name}: runs {runs}\n{waiting}\n{place.provider_command('status', check=False)}")
        return "\n".join(told)

    # ------------------------------------------------ what came of it

    def _judge(self, before: Ledger, after: Ledger, again: list[str]) -> Outcome:
        sent = [replace(wish, canceled=wish.key in self.station.canceled) for wish in self.printing.sent]
        findings = check(self.machines.printed(), sent, after, self.machines.prices, commands=self.commands.commands())
        faults = [*map(str, check_growth(before, after)), *again]
        faults += _history_faults(self.commands.history(), self.commands)
        given_back = {job.job_id: job.refunded for job in after.jobs if job.refunded}
        told = {job_id: case.net for job_id, case in self.refunds.cases.items() if case.net}
        if given_back != told:
            faults.append(f"P7 given back by the ledger {given_back}, by the answers {told}")
        denied = {job.title for job in after.jobs if job.state == "denied"} | self.station.canceled
        vanished = [
            wish.key
            for wish in sent
            if wish.acknowledged and findings.verdicts[wish.key] == "unprinted" and wish.key not in denied
        ]
        if len(vanished) > self._kills:  # CUPS gives a job up whose backend is killed; nothing else may
            faults.append(f"P13 never printed, and nobody denied it: {', '.join(vanished)}")
        if self.commands.open:
            faults.append(f"P7 never answered: {', '.join(self.commands.open)}")
        return Outcome(
            struck=self.struck,
            findings=findings,
            faults=faults,
            jobs=len(sent),
            commands=len(self.commands.told) + len(self.commands.calls),
            unanswered=len(self.commands.refusals),
            offline=sum("offline" in job.marks for job in after.jobs),
            people=self._people(),
            waits_ms=sorted(self.waits_ms),
        )

    def _people(self) -> dict[str, int]:
        cases = self.refunds.cases.values()
        return {
            "released": len(self.station.released),
            "taken back": len(self.station.canceled),
            "refunded": sum(case.refunded is not None and not case.refunded.code for case in cases),
            "undone": sum(case.undone is not None and not case.undone.code for case in cases),
            **{f"log-ins {kind}": count for kind, count in sorted(self.logins.counts.items())},
        }


async def _set_rules(urls: Sequence[str], token: str) -> None:
    async with contextlib.aclosing(ApiClient(urls, token)) as client:
        found = await client.call("GET", "queues", None, QueueList, timeout_s=20, patient=True)
        for queue in found.queues:
            if queue.name in RULES:
                path = f"queues/{queue.queue_id}"
                await client.call("POST", path, RULES[queue.name], QueueList, timeout_s=20, patient=True)


def _history_faults(history: Sequence[ClusterEvent], traffic: CommandTraffic) -> list[str]:
    """P9, and that the stream told each event once: between the first it brought and the last, unless it began anew."""
    terms = [event.term for event in history if event.kind == "leader-changed"]
    faults = [f"P9 terms of leaders: {terms}"] if sorted(set(terms)) != terms else []
    followed = [event.event_id for event in traffic.followed]
    ids = [event.event_id for event in history]
    if len(set(followed)) != len(followed):
        faults.append(f"the stream told an event twice: {sorted(x for x in followed if followed.count(x) > 1)}")
    if followed and not traffic.resets:
        missed = set(ids[ids.index(followed[0]) : ids.index(followed[-1])]) - set(followed)
        if missed:
            faults.append(f"the stream left out {sorted(missed)}")
    return faults


def text(seed: int, outcome: Outcome) -> str:
    """The run in lines for people."""
    lines = [f"seed {seed}: {outcome.jobs} jobs ({outcome.offline} decided without a server), "]
    lines[0] += f"{outcome.commands} commands, {outcome.unanswered} calls without an answer"
    lines.append("  " + ", ".join(f"{count} {what}" for what, count in outcome.people.items()))
    lines += [f"  {one.name} ({one.victim}): away {one.away_s:.2f} s" for one in outcome.struck]
    waits = outcome.waits_ms or [0]
    middle, most = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    lines.append(f"  {len(waits)} decisions meanwhile: p50 {middle} ms, p99 {most} ms, max {waits[-1]} ms")
    return "\n".join([*lines, outcome.findings.text(), *outcome.faults])


def judge(seed: int, outcome: Outcome) -> None:
    """Raises AssertionError with all of it where a promise was broken, or nobody was at a desk."""
    idle = not all(outcome.people.get(what) for what in ("released", "refunded", *LOGGED_IN))
    if outcome.faults or not outcome.findings.ok or idle:
        raise AssertionError(text(seed, outcome))
