"""Everything that a plan plays in, and what each of its items does."""

from collections.abc import Callable

from backend.intake.model import Cancel, Refund, Release, Reverse, Tick
from backend.jobs.model import QueueRow
from backend.ledger.rules import REVERSIBLE
from backend.wire.access import SetOperator
from backend.wire.jobs import Authorise, Report
from backend.wire.money import Adjust, ConfigureAccount, SetBalance
from tests.simulation.access import password_of
from tests.simulation.auditor import Auditor
from tests.simulation.backend import Backend, Inner
from tests.simulation.clerks import Clerk, Stranger
from tests.simulation.database import Database
from tests.simulation.disk import Disk
from tests.simulation.giver import CLERKS, by
from tests.simulation.kernel import Kernel, Machine, Network, Process
from tests.simulation.people import Desk, new_id, replayable
from tests.simulation.plan import BALANCES, PRICES, USERS, Item, Plan
from tests.simulation.printer import Printer
from tests.simulation.printing import Cupsd, Site
from tests.simulation.provider import Daemon
from tests.simulation.server import Server

ABUSE_S = 25.0  # by then the last try has come to an end


class World:
    """Machines, programs, people. `wishes` are the titles that were sent, in order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.kernel = kernel = Kernel(f"run {plan.seed}")
        holding = frozenset(queue for queue, rule in zip(PRICES, plan.rules, strict=False) if rule.hold_jobs)
        self.auditor = Auditor(kernel, PRICES, holding)
        self.network = Network(kernel)
        self.network.loss, self.network.double, self.network.slow = plan.loss, plan.double, plan.slow
        self.machines: dict[str, Machine] = {}
        self.database = Database(kernel, self._machine("database"), self.auditor)
        self.servers = [
            Server(kernel, name, self._machine(name), self.network, self.database, plan.create_users, self.auditor.send)
            for name in (f"server{number + 1}" for number in range(plan.servers))
        ]
        admin_token = self.database.access.admin_token
        self.desk = Desk(kernel, self._machine("desk"), self.network, self.servers, self.auditor, admin_token)
        self.stranger = Stranger(kernel, "stranger", self._machine("stranger"))
        self.stranger.prepare(self.network, self.servers, self.auditor.access)
        self.sites = [self._site(number) for number in range(1, plan.providers + 1)]
        self.wishes: list[tuple[Site, str, Item]] = []
        self.printings: dict[str, str] = {}
        self.canceled: dict[str, None] = {}
        self.excused = 0
        self.by_rule = 0
        self._abusers = 0  # who try a clerk's token just now
        self._at = 0
        self._healed = False

    def _machine(self, name: str, drift: float = 0.02) -> Machine:
        machine = self.machines[name] = Machine(self.kernel, name, drift)
        return machine

    def _site(self, number: int) -> Site:
        """A print server with one queue."""
        name, queue = f"print{number}", tuple(PRICES)[number - 1]
        rule = self.plan.rules[number - 1]
        machine, printer = self._machine(name, 0.0005), Printer(self.kernel, queue)
        site = Site(self.kernel, name, machine, Disk(self.kernel), printer, rule)
        site.cupsd = Cupsd(site)
        site.daemon = Daemon(site, number, self.network, self.servers, self.auditor, self.desk)
        cost = f'{{"model":"simple","per_impression":{PRICES[queue]},"version":1}}'
        self.database.store.queues[number, queue] = QueueRow(
            number, number, queue, name, False, 0, cost, rule.hold_jobs
        )
        return site

    # ------------------------------------------------------------ running

    def start(self) -> None:
        for user in USERS:
            self.database.add_user(user)
        for process in self.fixtures():
            process.start()
        for user, (restricted, overdraft) in USERS.items():
            self.desk.give(
                ConfigureAccount(
                    command_id=new_id(self.kernel), user_name=user, restricted=restricted, overdraft=overdraft
                )
            )
            self.desk.give(SetBalance(command_id=new_id(self.kernel), user_name=user, balance=BALANCES[user]))
        self.kernel.on_step = self._step

    def fixtures(self) -> list[Process]:
        """What an administrator's init would start again."""
        sites = [process for site in self.sites for process in (site.cupsd, site.daemon)]
        return [self.database, *self.servers, self.desk, self.stranger, *sites]

    def _step(self, step: int) -> None:
        items = self.plan.items
        while self._at < len(items) and items[self._at].step <= step:
            item = items[self._at]
            self._at += 1
            self._do(item)

    def audit(self) -> None:
        """After each event: who says that it leads?"""
        self.auditor.leaders([server.name for server in self.servers if server.leads])

    def heal(self) -> None:
        """No more faults: everything goes on."""
        self.kernel.tell("world", "heals")
        self._healed = True
        self.network.heal()
        for site in self.sites:
            site.disk.full = site.printer.deaf = False
            site.on_sent = None
            for process in site.living():
                process.resume()
        for process in self.fixtures():
            process.resume()
            process.start()

    @property
    def is_quiet(self) -> bool:
        return (
            self.desk.is_quiet
            and not self.stranger.busy
            and not self._abusers
            and all(self._is_site_quiet(site) for site in self.sites)
            and not any(account.debits_pending for account in self.database.store.accounts.values())
        )

    def _is_site_quiet(self, site: Site) -> bool:
        return len(site.living()) == 2 and site.cupsd.is_quiet and site.printer.is_idle and site.daemon.is_quiet

    # ------------------------------------------------------------ what the plan holds

    def _do(self, item: Item) -> None:
        actions: dict[str, Callable[[Item], None]] = {
            "print": self._print,
            "cancel": self._cancel,
            "release": self._release,
            "call-off": self._call_off,
            "restart": self._restart,
            "adjust": self._adjust,
            "set": self._set,
            "configure": self._configure,
            "refund": self._refund,
            "reverse": self._reverse,
            "tick": self._tick,
            "replay": self._replay,
            "misuse": self._misuse,
            "stale": self._stale,
            "alter": self._alter,
            "clerk": self._clerk,
            "mistype": lambda item: self._acts(item).act(self._acts(item).mistype),
            "log-out": self._log_out,
            "new-password": self._new_password,
            "disable": self._disable,
            "role": self._role,
            "reset": self._reset,
            "guess": lambda item: self.stranger.guess(item.name, item.number),
            "jam": self._jam,
            "kill-server": self._kill,
            "stop-server": self._stop,
            "kill-database": self._kill,
            "cut": self._cut,
            "jump": self._jump,
            "kill-daemon": lambda item: self._kill_part(item, "daemon"),
            "stop-daemon": lambda item: self._stop_part(item, "daemon"),
            "kill-backend": lambda item: self._kill_part(item, "backend"),
            "stop-backend": lambda item: self._stop_part(item, "backend"),
            "kill-inner": lambda item: self._kill_part(item, "inner"),
            "kill-cupsd": lambda item: self._kill_part(item, "cupsd"),
            "power": self._power,
            "full": self._full,
            "late-run": self._late_run,
            "deaf": self._deaf,
        }
        actions[item.what](item)

    def _print(self, item: Item) -> None:
        site = next(site for site in self.sites if site.name == item.name)
        title = f"doc{len(self.wishes)}"
        self.wishes.append((site, title, item))
        self.kernel.tell(item.other, f"prints {title}, {item.number} pages, on {site.name}")
        site.cupsd.submit(title, item.other, item.number)

    def _cancel(self, item: Item) -> None:
        if item.number < len(self.wishes):
            site, title, _ = self.wishes[item.number]
            self._cancel_title(site, title)

    def _release(self, item: Item) -> None:
        for job_id in self._jobs_of(item.number):
            self.desk.give(Release(command_id=new_id(self.kernel), job_id=job_id))

    def _call_off(self, item: Item) -> None:
        """The help desk cancels a job at a server."""
        for job_id in self._jobs_of(item.number):
            self.canceled[self.wishes[item.number][1]] = None
            self.desk.give(Cancel(command_id=new_id(self.kernel), job_id=job_id, reason="not wanted"))

    def _jobs_of(self, number: int) -> list[str]:
        """What the servers know of a wish."""
        if number >= len(self.wishes):
            return []
        jobs = self.database.store.jobs.values()
        return [job.job_id for job in jobs if job.title == self.wishes[number][1]]

    def release_all(self) -> None:
        """Once the faults are over somebody stands at the release station."""
        for job in list(self.database.store.jobs.values()):
            waits = any(isinstance(body, Release) and body.job_id == job.job_id for body in self.desk.open.values())
            if job.state == "held" and not waits:
                self.desk.give(Release(command_id=new_id(self.kernel), job_id=job.job_id))

    def _cancel_title(self, site: Site, title: str) -> None:
        if site.cupsd.cancel(title):
            self.canceled[title] = None

    def _restart(self, item: Item) -> None:
        if item.number < len(self.wishes):
            site, title, _ = self.wishes[item.number]
            if site.cupsd.restart(title):
                self.kernel.tell("person", f"restarts {title}")

    def _adjust(self, item: Item) -> None:
        self.desk.give(
            Adjust(
                command_id=new_id(self.kernel),
                user_name=item.name,
                amount=item.number,
                only_if_available=item.flag,
                leave=100 if item.number == -500 else 0,
                comment=self._by(),
            )
        )

    def _set(self, item: Item) -> None:
        command_id, balance = new_id(self.kernel), abs(item.number)
        self.desk.give(SetBalance(command_id=command_id, user_name=item.name, balance=balance, comment=self._by()))

    def _configure(self, item: Item) -> None:
        overdraft = abs(item.number) if item.flag else None
        restricted = item.number > 0 if not item.flag else None
        self.desk.give(
            ConfigureAccount(
                command_id=new_id(self.kernel), user_name=item.name, restricted=restricted, overdraft=overdraft
            )
        )

    def _by(self) -> str:
        """Whoever gives the next command."""
        return by(self.kernel.rng.choice(CLERKS)) if self.kernel.chance(0.5) else ""

    def _refund(self, item: Item) -> None:
        """All of a job, an amount, or some pages: the plan says which; with the flag it is asked twice at once."""
        ways: tuple[tuple[int | None, int | None], ...] = (
            (None, None),
            (300, None),
            (1000, None),
            (None, 1),
            (None, 3),
        )
        amount, pages = ways[int(item.seconds)]
        for job_id in self._jobs_of(item.number):
            for _ in range(2 if item.flag else 1):
                command_id, by = new_id(self.kernel), self._by()
                self.desk.give(Refund(command_id=command_id, job_id=job_id, amount=amount, pages=pages, comment=by))

    def _reverse(self, item: Item) -> None:
        """A transfer is undone: mostly one that can be, sometimes one that is not there; with the flag twice."""
        rows = [row for row in self.database.store.transfers if row.code in REVERSIBLE or item.number == 700]
        if not rows:
            return
        row = self.kernel.rng.choice(rows)
        missing = 1_000_000 if item.number == -3000 and not item.flag else 0
        for _ in range(2 if item.flag else 1):
            self.desk.give(
                Reverse(
                    command_id=new_id(self.kernel),
                    account_id=row.account_id,
                    sequence=row.sequence + missing,
                    job_id=row.job_id or "",
                    comment=self._by(),
                )
            )

    def _tick(self, item: Item) -> None:
        for job_id in self._jobs_of(item.number):
            self.desk.give(Tick(command_id=new_id(self.kernel), job_id=job_id))

    def _replay(self, item: Item) -> None:
        known = replayable(self.auditor)
        if known:
            self.desk.replay(self.kernel.rng.choice(known), self.kernel.rng.choice(self.servers))

    def _misuse(self, item: Item) -> None:
        known = replayable(self.auditor)
        if known:
            self.desk.misuse(self.kernel.rng.choice(known), self.kernel.rng.choice(self.servers))

    def _stale(self, item: Item) -> None:
        known = [body for body in replayable(self.auditor) if isinstance(body, Authorise | Report)]
        if known:
            self.desk.stale(self.kernel.rng.choice(known), self.kernel.rng.choice(self.servers))

    def _alter(self, item: Item) -> None:
        for site, title, _ in self.wishes[item.number % 10 :]:
            site.cupsd.alter(title, int(item.seconds))

    # ------------------------------------------------------------ who logs in

    def _acts(self, item: Item) -> Clerk:
        return self.desk.clerks[item.name]

    def _clerk(self, item: Item) -> None:
        self.desk.give(self._by_clerk(item))

    def _by_clerk(self, item: Item) -> Adjust:
        command_id, user = new_id(self.kernel), item.other or "ada"
        return Adjust(command_id=command_id, user_name=user, amount=item.number or 1, comment=by(item.name))

    def _log_out(self, item: Item) -> None:
        """With the flag somebody has kept the token, and tries it for a while."""
        clerk = self._acts(item)
        token = clerk.token
        clerk.act(clerk.log_out)
        if token and item.flag:
            self._abuse(item, token)

    def _abuse(self, item: Item, token: str) -> None:
        self._abusers += 1
        for after_s in (0.5, 4.0, 6.0, 9.0):
            server = self.kernel.rng.choice(self.servers)
            self._later(after_s, lambda server=server: self.desk.abuse(self._by_clerk(item), token, server))  # type: ignore[misc]
        self._later(ABUSE_S, self._end_abuse)

    def _end_abuse(self) -> None:
        self._abusers -= 1

    def _new_password(self, item: Item) -> None:
        clerk = self._acts(item)
        clerk.act(clerk.change_password, f"{item.name}'s password of step {item.step}")

    def _disable(self, item: Item) -> None:
        """For a while; whoever has kept the token tries it when its owner may log in again."""
        clerk = self._acts(item)
        self.desk.admin.set(clerk, SetOperator(disabled=True))
        self._later(item.seconds, lambda: self.desk.admin.set(clerk, SetOperator(disabled=False)))
        token = clerk.token
        if token and item.flag:
            self._later(item.seconds, lambda: self._abuse(item, token))

    def _role(self, item: Item) -> None:
        clerk = self._acts(item)
        self.desk.admin.set(clerk, SetOperator(role="auditor"))
        self._later(item.seconds, lambda: self.desk.admin.set(clerk, SetOperator(role="helpdesk")))

    def _reset(self, item: Item) -> None:
        self.desk.admin.set(self._acts(item), SetOperator(password=f"{item.name}'s of step {item.step}"))

    def settle_access(self) -> None:
        """Once the faults are over the administrator sees who may not log in: a server that was stopped may have done
        late what had been undone."""
        if self.desk.admin.busy:
            return
        for row in self.database.access.people():
            clerk = self.desk.clerks[row.name]
            if row.disabled or row.role != "helpdesk":
                self.desk.admin.set(clerk, SetOperator(disabled=False, role="helpdesk"))
            if password_of(row.password_hash) not in clerk.passwords:
                clerk.hear_of(password_of(row.password_hash))

    # ------------------------------------------------------------ faults

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        self.kernel.at(self.kernel.now + seconds, undo)

    def _named(self, name: str) -> Process:
        return next(process for process in self.fixtures() if process.name == name)

    def _kill(self, item: Item) -> None:
        process = self._named(item.name)
        process.tell(f"is killed for {item.seconds:.1f} s")
        process.kill()
        self._later(item.seconds, process.start)

    def _stop(self, item: Item) -> None:
        process = self._named(item.name)
        if item.flag:  # whoever leads
            process = next((server for server in self.servers if server.leads), process)
        process.tell(f"is stopped for {item.seconds:.1f} s")
        process.stop()
        self._later(item.seconds, process.resume)

    def _cut(self, item: Item) -> None:
        ways = [(item.name, item.other), *([(item.other, item.name)] if item.flag else [])]
        self.kernel.tell("network", f"is cut for {item.seconds:.1f} s: {ways}")
        for way in ways:
            self.network.cuts[way] = self.network.cuts.get(way, 0) + 1
            self._later(item.seconds, lambda way=way: self._join(way))  # type: ignore[misc]

    def _join(self, way: tuple[str, str]) -> None:
        if self.network.cuts.get(way):
            self.network.cuts[way] -= 1

    def _jump(self, item: Item) -> None:
        self.kernel.tell(item.name, f"has its clock set by {item.number} s")
        self.machines[item.name].jumped_s += item.number
        if item.name == "database":
            self.auditor.access.clock_jumped()

    def _part(self, item: Item, part: str) -> Process | None:
        site = next(site for site in self.sites if site.name == item.name)
        site.living()
        parts: dict[str, list[Process]] = {
            "daemon": [site.daemon],
            "cupsd": [site.cupsd],
            "backend": [*site.backends],
            "inner": [*site.inners],
        }
        found = parts[part]
        return found[item.number % len(found)] if found else None

    def _kill_part(self, item: Item, part: str) -> None:
        process = self._part(item, part)
        if process is None or not process.alive:
            return
        process.tell("is killed")
        process.kill()
        if part in ("daemon", "cupsd"):
            self._later(item.seconds, process.start)

    def _stop_part(self, item: Item, part: str) -> None:
        process = self._part(item, part)
        if process is None or not process.alive:
            return
        process.tell(f"is stopped for {item.seconds:.1f} s")
        process.stop()
        life = process.life
        self._later(item.seconds, lambda: process.resume() if process.life == life else None)

    def _power(self, item: Item) -> None:
        site = next(site for site in self.sites if site.name == item.name)
        self.kernel.tell(site.name, "loses power")
        if item.number:
            self.kernel.tell(site.name, f"comes back with its clock set by {item.number} s")
            self.machines[site.name].jumped_s += item.number
        site.lose_power()
        self._later(item.seconds, site.cupsd.start)
        self._later(item.seconds + 0.2, site.daemon.start)

    def _jam(self, item: Item) -> None:
        """The printer gives up what it prints; should cupsd try again, the person may have changed the job."""
        site = next(site for site in self.sites if site.name == item.name)
        job = site.cupsd.running.job if site.cupsd.running is not None else None
        site.printer.jam()
        if job is not None and item.number:
            self._later(item.seconds, lambda: site.cupsd.alter(job.title, item.number))

    def _late_run(self, item: Item) -> None:
        """The next backend that may print is stopped; its job is canceled in cupsd's next life, and reported to servers
        that are slow to answer; then the backend goes on and prints by what it was once told."""
        site = next(site for site in self.sites if site.name == item.name)

        def sprung(backend: Backend) -> None:
            title, life = backend.job.title, backend.life
            backend.tell("is stopped with its permission in hand")
            backend.stop()
            site.cupsd.kill()
            site.daemon.kill()
            self._later(0.3, site.cupsd.start)
            self._later(0.35, lambda: self._cancel_title(site, title))
            self._later(0.4, site.daemon.start)
            self._later(item.seconds, lambda: backend.resume() if backend.life == life else None)
            for server in self.servers:
                self._later(0.38, server.stop)
                self._later(item.seconds + 7.5, server.resume)

        site.on_permission = sprung

    def _deaf(self, item: Item) -> None:
        """Nobody can ask the printer; what is sent to it is printed. With the flag, from the moment at which the next
        document has been sent, whose sender dies: what came of it nobody can tell."""
        site = next(site for site in self.sites if site.name == item.name)

        def undo() -> None:
            site.printer.deaf = False

        def begin() -> None:
            self.kernel.tell(site.name, f"has a deaf printer for {item.seconds:.1f} s")
            site.printer.deaf = True
            self._later(item.seconds, undo)

        def sprung(inner: Inner) -> None:
            begin()
            inner.tell("is killed")
            inner.kill()

        if item.flag and not self._healed:
            site.on_sent = sprung
        else:
            begin()

    def _full(self, item: Item) -> None:
        site = next(site for site in self.sites if site.name == item.name)
        self.kernel.tell(site.name, f"has a full disk for {item.seconds:.1f} s")
        site.disk.full = True

        def undo() -> None:
            site.disk.full = False

        self._later(item.seconds, undo)
