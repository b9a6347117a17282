"""Keeps the parts running until Ctrl-C: what died is started again after ten seconds, counted down in sight.

Ten seconds are long enough to print while it is away and to see that nothing is lost. Meanwhile every job that gets
charged is told, and so is one that was printed while no server could charge it.
"""

import signal
import time
from collections.abc import Sequence

from backend.wire.jobs import JobView
from scripts.demo.calls import Api, only_user
from scripts.demo.cast import Cast, Part
from scripts.demo.story import SETTLED, counted, money
from scripts.demo.voice import Voice
from tests.support.processes import Failed

RESTART_S = 10.0
LOOK_S = 0.25
FEED_S = 1.0


def seconds_left(died_at: float, now: float) -> float:
    """Until it is started again; 0 when that is due."""
    return max(0.0, died_at + RESTART_S - now)


def how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"was killed (signal {-exit_code})"


class Supervisor:
    def __init__(self, parts: Sequence[Part], voice: Voice) -> None:
        self._parts = parts
        self._voice = voice
        self._died_at: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Notice what died, start again what is due, show how long that takes."""
        for part in self._parts:
            if part.name in self._died_at:
                if seconds_left(self._died_at[part.name], now) == 0:
                    self._start_again(part, now)
            elif not part.process.running:
                self._died_at[part.name] = now
                part.forget()
                ended = how_it_ended(part.process.exit_code)
                self._say(f"the {part.name} {ended}; it is started again in {RESTART_S:g} s", "yellow")
        waiting = [
            f"the {name} starts again in {seconds_left(died_at, now):.0f} s" for name, died_at in self._died_at.items()
        ]
        self._voice.countdown(", ".join(waiting))

    def _start_again(self, part: Part, now: float) -> None:
        self._voice.countdown("")
        try:
            part.start()
        except Failed as error:
            self._died_at[part.name] = now
            self._say(f"the {part.name} did not start: {str(error).splitlines()[0]}", "red")
        else:
            del self._died_at[part.name]
            self._say(f"the {part.name} runs again", "green")

    def _say(self, text: str, style: str) -> None:
        self._voice.event(time.strftime("%H:%M:%S"), text, style)


class Feed:
    """Tells of jobs as they are settled, and of printouts that no server could be told of yet."""

    def __init__(self, cast: Cast, api: Api, voice: Voice) -> None:
        self._cast = cast
        self._api = api
        self._voice = voice
        self._since_ms = time.time_ns() // 1_000_000  # what was settled before was told by the story
        self._told: set[str] = set()
        self._printed = len(cast.printer.printouts())

    def look(self) -> None:
        self._tell_printouts()
        if not self._cast.server.running:
            return
        try:
            found = self._api.jobs()
            for job in reversed(found.jobs):
                if job.state in SETTLED and job.updated_at >= self._since_ms and job.job_id not in self._told:
                    self._tell_job(job)
                    self._told.add(job.job_id)
        except Failed:
            return  # it died or is still starting: the supervisor tells, and the next look asks again

    def _tell_printouts(self) -> None:
        printouts = [printout for printout in self._cast.printer.printouts() if printout.complete]
        for printout in printouts[self._printed :]:
            if not self._cast.server.running:
                self._say(f"{printout.user_name} printed {printout.title!r}; no server is there, the provider keeps it")
        self._printed = max(self._printed, len(printouts))

    def _tell_job(self, job: JobView) -> None:
        user = self._api.user(job.user_name)
        balance = money(only_user(user, job.user_name).balance, user.ledger)
        marks = f" ({', '.join(job.marks)})" if job.marks else ""
        if job.state == "denied":
            self._say(f"{job.user_name} was refused {job.title!r}: {job.code}, balance {balance}")
        else:
            cost = money(job.charged, user.ledger)
            self._say(f"{job.user_name} paid {cost} for {job.title!r}{marks}: {counted(job)}, balance {balance}")

    def _say(self, text: str) -> None:
        self._voice.event(time.strftime("%H:%M:%S"), text)


def keep_running(cast: Cast, api: Api, voice: Voice) -> None:
    """Until an exception (Ctrl-C) ends it."""
    supervisor = Supervisor(cast.parts(), voice)
    feed = Feed(cast, api, voice)
    next_feed = 0.0
    while True:
        now = time.monotonic()
        supervisor.look(now)
        if now >= next_feed:
            feed.look()
            next_feed = now + FEED_S
        time.sleep(LOOK_S)
