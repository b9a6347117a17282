"""A large site's database, made in a minute or two: people of many languages, their cards and addresses, and a year of
jobs whose transfers come to the balances. The same rows for SQLite and PostgreSQL.

Some print much, most a little. Ids of jobs and commands rise with time, as those that clients make.
"""

import random
import sys
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from backend.db import migrate
from backend.db.bulk import patient, restart_sequences, take_long, write_rows
from backend.db.engine import Database, now_ms
from backend.db.metadata import metadata
from backend.intake.tables import command
from backend.jobs.tables import job
from backend.ledger.model import FUNDING, PRINTING, Kind
from backend.ledger.tables import account, account_stripe, transfer
from backend.people.tables import user, user_identity, user_word
from backend.people.words import marks_of, words_of
from backend.printers.tables import provider, queue
from backend.wire.jobs import JobFacts
from backend.wire.jobs import Printing as PrintingKey
from backend.wire.pricing import SimpleCost

PORTION: Final = 5_000
FIRST_ACCOUNT: Final = 100
PRICE: Final = 500
CREDIT: Final = 500_000
PROVIDERS: Final = 20
QUEUES: Final = 400
YEAR_MS: Final = 365 * 24 * 3600 * 1000
ID_BITS: Final = 0x7000 << 64 | 0x8000 << 48  # version 7, variant 8


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN: Final = _words(
    "Anna Maria Marie Martin Markus Matthias Andreas Anton Angela Antje Jan Johanna Johannes Hans Hannah "
    "Peter Petra Paul Sofia Sophie Stefan Stephanie Thomas Tobias Laura Lukas Lena Leon Emma Mia Noah "
    "Felix Jonas Julia Katharina Michael Anne-Marie Jean-Luc François Chloé Zoé Aurélie Élodie Hélène "
    "Benoît José María Ángel Núria Iñaki João Inês Conceição Łukasz Małgorzata Paweł Zofia Krzysztof Jiří "
    "Šárka Tomáš Žofie Ágnes László Zoltán Ştefan Ioana Bjørn Åse Søren Jürgen Ömer Ayşe Çağla İbrahim "
    "Mehmet Fatma Mohammed Ahmed Fatima Aisha Omar Yusuf Nguyễn Thị Minh Anh Wei Xin Yan Li Mei Jing "
    "Haruto Yuki Sakura Hiroshi Priya Rahul Ananya Arjun Olga Ivan Natalia Dmitri Anastasia Ελένη Γιώργος "
    "Анна Михаил Мария "
)
FAMILY: Final = _words(
    "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Schäfer Koch Bauer "
    "Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Schmitt "
    "Werner Krause Meier Lehmann Schmid Maier Köhler Martin Bernard Dubois Thomas Robert Petit Durand "
    "Leroy Moreau García Martínez López Sánchez Pérez González Rodríguez Silva Santos Ferreira Pereira "
    "Oliveira Kowalski Nowak Wiśniewski Wójcik Kamiński Novák Svoboda Novotný Dvořák Nagy Kovács Tóth "
    "Szabó Popescu Ionescu Hansen Johansen Olsen Larsen Andersen Nilsson Johansson Yılmaz Kaya Demir "
    "Şahin Çelik Öztürk Nguyen Tran Le Pham Hoang Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Sato "
    "Suzuki Takahashi Tanaka Watanabe Singh Kumar Sharma Patel Gupta Khan Ali Hussein Hassan Ivanov "
    "Smirnov Kuznetsov Popov Papadopoulos Παπαδόπουλος Иванова Смирнов von-Hohenstein-Lüdemann Mac-Donald "
    "O'Brien O'Connor Smith Jones Taylor Brown Williams Wilson Johnson Davies Mason Manning "
)
DEPARTMENTS: Final = tuple(
    f"{faculty} {level}" for faculty in ("Law", "Medicine", "Physics", "Arts") for level in range(10)
)
TITLES: Final = (
    "Lecture notes, week 7.pdf",
    "Thesis – final (3).docx",
    "Rechnung_2026-04.pdf",
    "untitled",
    "課題レポート.pdf",
)

Row = list[Any]


class People:
    """What is told of everybody, number by number."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.count = count
        self._chance = random.Random(seed)
        self.names: list[str] = []
        self.full_names: list[str] = []

    def rows(self, now: int) -> Iterator[Row]:
        """Of `users`, in the order of USER."""
        chance = self._chance
        for number in range(self.count):
            given, family = chance.choice(GIVEN), chance.choice(FAMILY)
            second = f" {chance.choice(GIVEN)}" if number % 7 == 0 else ""
            name = f"{_plain(given)[:1]}{_plain(family)[:6]}{number}"
            self.names.append(name)
            self.full_names.append(f"{given}{second} {family}")
            yield [
                number + 1, name, FIRST_ACCOUNT + number, self.full_names[-1],
                f"{_plain(given)}.{_plain(family)}.{number}@example.org", chance.choice(DEPARTMENTS), "", "",
                self.card(number), "", "", False, number % 97 == 0, 0, now, now, 0, "",
                f"s{2_000_000 + number}" if number % 5 == 0 else "",
            ]  # fmt: skip

    def card(self, number: int) -> str:
        """Nine people in ten have one."""
        return f"{(number * 7_919_337 + 1_000_000_007) % 9_000_000_000 + 1_000_000_000}" if number % 10 else ""


USER: Final = [
    user.c[name]
    for name in (
        "user_id", "name", "account_id", "full_name", "email", "department", "office", "notes", "card_number",
        "card_pin_hash", "password_hash", "internal", "disabled", "disabled_until", "created_at", "updated_at", "term",
        "card_number2", "alias",
    )
]  # fmt: skip


def _plain(text: str) -> str:
    kept = "".join(char for char in text.lower() if char.isascii() and char.isalpha())
    return kept or "x"


class History:
    """Jobs and what they cost, in the order of time. Knows each account's row at the end."""

    def __init__(self, people: int, jobs: int, now: int, seed: int = 2) -> None:
        self.people, self.jobs, self.now = people, jobs, now
        self._chance = random.Random(seed)
        self.sequence = [1] * people
        self.debits = [0] * people
        self.printed = [0] * people
        self.impressions = [0] * people
        self.earned = 0
        rule = msgspec.json.encode(SimpleCost(per_impression=PRICE)).decode()
        facts = JobFacts(impressions=3, sheets=2, sides="two-sided-long-edge", media="iso_a4_210x297mm")
        self._rule, self._facts = rule, msgspec.json.encode(facts).decode()
        key = PrintingKey(spool_id="9a6f03c1b2d4", cups_job_id=4711, time_at_creation=1_700_000_000)
        self._printing = msgspec.json.encode(key).decode()

    def chosen(self) -> Iterator[tuple[int, int, int, int]]:
        """(number, person, impressions, when) of each job; the same each time it is asked."""
        chance = random.Random(7)
        step = YEAR_MS / max(1, self.jobs)
        for number in range(self.jobs):
            person = int(self.people * chance.random() ** 3)
            yield number, person, 1 + int(chance.expovariate(0.25)), int(self.now - YEAR_MS + step * number)

    def job_rows(self, names: list[str]) -> Iterator[Row]:
        for number, person, impressions, at in self.chosen():
            denied = number % 50 == 0
            charged = 0 if denied else PRICE * impressions
            yield [
                uuid_of(at, number, 1), 1 + number % PROVIDERS, 1 + number % QUEUES, FIRST_ACCOUNT + person,
                names[person], TITLES[number % len(TITLES)], "pc-17.example.org", "denied" if denied else "completed",
                "account-limit-reached" if denied else "", 0, 1, 0 if denied else 1, 0, 0, charged,
                0 if denied else impressions, self._rule, impressions, (impressions + 1) // 2, 0, 1, self._facts,
                self._printing, 0, at, at + 9_000, at + 9_000, 0,
            ]  # fmt: skip

    def transfer_rows(self) -> Iterator[Row]:
        for person in range(self.people):
            yield [
                FIRST_ACCOUNT + person, 1, int(Kind.POSTED), "initial-credit", FUNDING, FIRST_ACCOUNT + person, CREDIT,
                None, CREDIT, None, uuid_of(self.now - YEAR_MS, person, 0), "system", "", 0, self.now - YEAR_MS,
            ]  # fmt: skip
        for number, person, impressions, at in self.chosen():
            if number % 50 == 0:
                continue
            amount, account_id = PRICE * impressions, FIRST_ACCOUNT + person
            pending = self.sequence[person] + 1
            self.sequence[person] = pending + 1
            before = CREDIT - self.debits[person]
            self.debits[person] += amount
            self.printed[person] += 1
            self.impressions[person] += impressions
            self.earned += amount
            own = (account_id, PRINTING, amount)
            job_id, actor = uuid_of(at, number, 1), f"provider:print-{1 + number % PROVIDERS}"
            yield [
                account_id, pending, int(Kind.PENDING), "print", *own, None, before, job_id,
                uuid_of(at, number, 2), actor, "", 0, at,
            ]  # fmt: skip
            yield [
                account_id, pending + 1, int(Kind.POSTED), "print", *own, pending, before - amount, job_id,
                uuid_of(at, number, 3), actor, "", 0, at + 9_000,
            ]  # fmt: skip

    def command_rows(self) -> Iterator[Row]:
        answer = (
            '{"job_id":"01890a5d-ac96-774b-bcce-b302099a8057","decision":"authorised","cost":1500,"available":98500}'
        )
        for number, _, _, at in self.chosen():
            yield [uuid_of(at, number, 2), bytes(16), answer, at]
            if number % 50:
                yield [uuid_of(at, number, 3), bytes(16), answer, at + 9_000]

    def account_rows(self, names: list[str]) -> Iterator[Row]:
        """After the transfers."""
        for person, name in enumerate(names):
            yield [
                FIRST_ACCOUNT + person, "user", name, person % 2 == 0, 0, CREDIT, self.debits[person], 0,
                self.sequence[person], 0, 0, 0, self.printed[person], self.impressions[person],
            ]  # fmt: skip


def uuid_of(at: int, number: int, salt: int) -> str:
    """A UUIDv7 of that time."""
    low = (number * 2_654_435_761 + salt * 97) & (1 << 48) - 1
    digits = f"{at << 80 | ID_BITS | salt << 64 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def fill(url: str, people: int, jobs: int, told: bool = True) -> People:
    """An empty database with all of it, in one transaction."""
    database = Database(url)
    if not database.is_sqlite:
        database = Database(patient(database.url))
    migrate.migrate(database)
    found = People(people)
    with database.connect(writing=True) as conn:
        take_long(conn)
        now = now_ms(conn)
        history = History(people, jobs, now)

        def put(table: sa.Table, rows: Iterator[Row], columns: list[sa.Column[Any]] | None = None) -> None:
            count = write_rows(conn, table, columns or list(table.columns), _portions(rows))
            if told:
                print(f"  {table.name}: {count:,} rows", file=sys.stderr, flush=True)

        _add_queues(conn, now)
        users = list(found.rows(now))
        put(transfer, history.transfer_rows())
        put(account, history.account_rows(found.names))
        put(user, iter(users), USER)
        put(user_word, _words_of(users))
        put(user_identity, _identities(users))
        put(job, history.job_rows(found.names))
        put(command, history.command_rows())
        stripes = [[PRINTING, 0, history.earned, 0], [FUNDING, 0, 0, CREDIT * people]]
        put(account_stripe, iter(stripes))
        for table in metadata.sorted_tables:
            restart_sequences(conn, table, 0)
        if conn.dialect.name == "postgresql":
            conn.exec_driver_sql("ANALYZE")
    database.close()
    return found


def _words_of(users: list[Row]) -> Iterator[Row]:
    for row in users:
        words = sorted(words_of(*(row[at] for at in (1, 3, 4, 8, 17, 18))))
        marks = marks_of(words)
        for word in words:
            yield [row[0], word, marks]


def _identities(users: list[Row]) -> Iterator[Row]:
    for row in users:
        if row[8]:
            yield ["card", row[8], row[0]]
        if row[18]:
            yield ["alias", row[18], row[0]]


def _add_queues(conn: sa.Connection, now: int) -> None:
    cost = msgspec.json.encode(SimpleCost(per_impression=PRICE)).decode()
    conn.execute(
        sa.insert(provider),
        [{"provider_id": n, "name": f"print-{n}", "enrolled_at": now, "seen_at": now} for n in range(1, PROVIDERS + 1)],
    )
    conn.execute(
        sa.insert(queue),
        [
            {"queue_id": n, "provider_id": 1 + n % PROVIDERS, "name": f"q{n - 1}", "cost": cost, "seen_at": now}
            for n in range(1, QUEUES + 1)
        ],
    )


def _portions(rows: Iterator[Row]) -> Iterator[list[Row]]:
    portion: list[Row] = []
    for row in rows:
        portion.append(row)
        if len(portion) == PORTION:
            yield portion
            portion = []
    yield portion
