"""The simulator's world clock: one thread, one heap of events, one random source; processes that die between effects.

A process runs small coroutines that wait for `Future`s. Killing it forgets them in the middle; stopping it
(SIGSTOP) keeps what comes until it goes on. Code calls `effect()` before each thing that the world can see: the world
may end the process right there, between any two effects.

Invariant: the same seed gives the same events. Nothing here asks the machine's clock, and nothing is ordered by a hash.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar
from zlib import crc32

from backend.base.ids import uuid7

STORY_LENGTH = 400

T = TypeVar("T")


class Killed(BaseException):
    """The process that is running has just been killed."""


class Kernel:
    """Virtual time in seconds, the events to come, and the story of those that were."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.steps = 0
        self.digest = 0  # of the whole story: two runs that agree in it did the same
        self.story: deque[str] = deque(maxlen=STORY_LENGTH)
        self.on_step: Callable[[int], None] = lambda step: None
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, action))

    def run_one(self) -> None:
        """The next event. Raises IndexError when there is none."""
        when, _, action = heapq.heappop(self._heap)
        self.now = max(self.now, when)
        self.count()
        action()

    def count(self) -> None:
        """One step more: an event, or an effect within one. What the plan has for this step happens now."""
        self.steps += 1
        self.on_step(self.steps)

    def tell(self, who: str, text: str) -> None:
        line = f"{self.steps:5} {self.now:9.3f}s {who:9} {text}"
        self.digest = crc32(line.encode(), self.digest)
        self.story.append(line)

    def fresh_id(self) -> str:
        return uuid7(1_800_000_000_000 + int(self.now * 1000), self.rng.getrandbits(74))

    def chance(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability


START_MS = 1_800_057_599_500  # by all clocks: just before midnight, when limits for a day begin anew


class Machine:
    """A computer: its clocks, one that only grows (at its own rate) and one on the wall that can be set."""

    def __init__(self, kernel: Kernel, name: str, drift: float = 0.02) -> None:
        self.kernel = kernel
        self.name = name
        self.rate = kernel.rng.uniform(1 - drift, 1 + drift)
        self.started_s = kernel.rng.uniform(0, 1e5)
        self.jumped_s = 0
        self.boot = 1

    def monotonic_s(self) -> float:
        return self.started_s + self.kernel.now * self.rate

    def now_ms(self) -> int:
        return START_MS + int((self.kernel.now * self.rate + self.jumped_s) * 1000)


class Future(Generic[T]):
    """Something that one coroutine waits for. The first result counts."""

    __slots__ = ("_waiters", "done", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: T | None = None
        self._waiters: list[Callable[[], None]] = []

    def set(self, value: T | None = None) -> None:
        if not self.done:
            self.done, self.value = True, value
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter()

    def when_done(self, waiter: Callable[[], None]) -> None:
        if self.done:
            waiter()
        else:
            self._waiters.append(waiter)

    def __await__(self) -> Generator["Future[T]", None, T | None]:
        if not self.done:
            yield self
        return self.value


class Process:
    """A program on a machine; each start is another life, and what was meant for an earlier one is lost."""

    def __init__(self, kernel: Kernel, name: str, machine: Machine) -> None:
        self.kernel = kernel
        self.name = name
        self.machine = machine
        self.alive = False
        self.stopped = False
        self.life = 0
        self.exit_code: int | None = None  # None: killed
        self.deaths: dict[int, Callable[[], None]] = {}  # who is told of the end of this life, by an order number
        self._running = 0
        self._held: list[Callable[[], None]] = []
        self._order = 0

    # ------------------------------------------------------------ life and death

    def start(self) -> None:
        if self.alive:
            return
        self.alive, self.stopped = True, False
        self.life += 1
        self.tell("starts")
        self.after(0.0, self.begin)

    def begin(self) -> None:
        """What the program does first."""

    def exit(self, code: int) -> None:
        """The program ends by itself."""
        self.exit_code = code
        self.kill()

    def kill(self, *, silently: bool = False) -> None:
        """SIGKILL; `silently` when the machine goes with it, and nobody is left to say that connections are closed."""
        if not self.alive:
            return
        self.alive = self.stopped = False
        self.life += 1
        self._held.clear()
        deaths, self.deaths = self.deaths, {}
        self.ended(silently)
        if not silently:
            for told in deaths.values():
                told()

    def ended(self, silently: bool) -> None:
        """What the end of this life means to the world."""

    def stop(self) -> None:
        """SIGSTOP."""
        if self.alive:
            self.stopped = True

    def resume(self) -> None:
        """SIGCONT."""
        self.stopped = False
        held, self._held = self._held, []
        for action in held:
            self.kernel.at(self.kernel.now, action)

    def tell_of_death(self, told: Callable[[], None]) -> int:
        self._order += 1
        self.deaths[self._order] = told
        return self._order

    # ------------------------------------------------------------ doing things

    def tell(self, text: str) -> None:
        self.kernel.tell(self.name, text)

    def after(self, delay_s: float, action: Callable[[], None], life: int | None = None) -> None:
        """Do this in `delay_s` of true time, should this life last so long."""
        meant = self.life if life is None else life

        def run() -> None:
            if meant != self.life or not self.alive:
                return
            if self.stopped:
                self._held.append(run)
                return
            before, self._running = self._running, meant
            try:
                action()
            except Killed:
                pass
            finally:
                self._running = before

        self.kernel.at(self.kernel.now + delay_s, run)

    def effect(self) -> None:
        """The next line does something that the world can see. Raises Killed when this process does not get there."""
        self.kernel.count()
        if self._running != self.life:
            raise Killed

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self._advance(work, self.life)

    def _advance(self, work: Coroutine[Any, Any, Any], life: int) -> None:
        if life != self.life:
            work.close()
            return
        try:
            awaited: Future[Any] = work.send(None)
        except StopIteration:
            return
        awaited.when_done(lambda: self._advance(work, life))

    def monotonic_s(self) -> float:
        return self.machine.monotonic_s()

    def now_ms(self) -> int:
        return self.machine.now_ms()

    def sleep(self, seconds: float) -> "Future[None]":
        """Seconds by this machine's own clock."""
        future: Future[None] = Future()
        self.after(max(0.0, seconds) / self.machine.rate, future.set)
        return future

    def first(self, futures: Sequence["Future[Any]"], timeout_s: float) -> "Future[None]":
        """Done when one of them is, or when time is up."""
        either: Future[None] = Future()
        for future in futures:
            future.when_done(either.set)
        if not either.done:
            self.after(max(0.0, timeout_s) / self.machine.rate, either.set)
        return either


class Gone:
    """What a caller hears instead of an answer: the connection is closed."""


GONE = Gone()


class Network:
    """Messages between machines: late, out of order, lost, doubled, or cut in one direction."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.loss = 0.0
        self.double = 0.0
        self.slow = 0.0
        self.cuts: dict[tuple[str, str], int] = {}

    def heal(self) -> None:
        self.loss = self.double = self.slow = 0.0
        self.cuts.clear()

    def send(
        self,
        source: Process,
        target: Process,
        action: Callable[[], None],
        *,
        once: bool = False,
        life: int | None = None,
    ) -> None:
        """`once`: on a connection that puts packets in order and together (a lost one is the end of it)."""
        here, there = source.machine.name, target.machine.name
        kernel = self.kernel
        if here == there:
            target.after(0.0002, action, life)
            return
        if self.cuts.get((here, there)) or kernel.chance(self.loss):
            return
        copies = 2 if not once and kernel.chance(self.double) else 1
        for _ in range(copies):
            delay = kernel.rng.uniform(0.0005, 0.004)
            if kernel.chance(self.slow):
                delay = kernel.rng.uniform(0.1, 6.0)
            target.after(delay, action, life)

    def call(
        self,
        source: Process,
        target: Process,
        request: Callable[[Callable[[Any], None]], None],
        *,
        once: bool = False,
    ) -> "Future[Any]":
        """Ask over a connection: the answer, or GONE when the other side's end is heard of."""
        future: Future[Any] = Future()
        life = source.life
        if not target.alive:
            self.send(target, source, lambda: future.set(GONE), life=life)
            return future
        order = 0

        def answer(value: Any) -> None:
            if order in target.deaths:
                del target.deaths[order]
            self.send(target, source, lambda: future.set(value), once=True, life=life)

        def broken() -> None:
            self.send(target, source, lambda: future.set(GONE), life=life)

        order = target.tell_of_death(broken)
        self.send(source, target, lambda: request(answer), once=once, life=target.life)
        return future
