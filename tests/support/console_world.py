"""A made-up cluster for tests and pictures of the console: topologies, people and jobs in the contract's own
messages.
"""

from typing import Final

import msgspec

from backend.wire.base import Ledger
from backend.wire.cluster import DatabaseView, Health, ProviderView, ServerView, Topology
from backend.wire.jobs import JobView
from backend.wire.money import TransferView
from backend.wire.people import UserView
from backend.wire.pricing import SimpleCost
from backend.wire.printers import MemberState, QueueView

LEDGER: Final = Ledger(currency="EUR", decimals=4)
NOW_MS: Final = 1_790_000_000_000


def server(
    name: str,
    url: str = "",
    health: Health = "ok",
    state: MemberState = "serving",
    leader: bool = False,
    age_s: float = 0.4,
) -> ServerView:
    return ServerView(
        name=name,
        url=url or f"http://{name}:9191",
        state=state,
        health=health,
        detail="",
        leader=leader,
        program_version="0.1.0",
        age_s=age_s,
    )


def provider(
    provider_id: int,
    name: str,
    health: Health = "ok",
    age_s: float = 1.0,
    backlog: int = 0,
    server_name: str = "",
    queue_count: int = 3,
) -> ProviderView:
    return ProviderView(
        provider_id=provider_id,
        name=name,
        host=f"{name}.example.org",
        health=health,
        detail="",
        program_version="0.1.0",
        backlog=backlog,
        oldest_unsent_s=12.0 if backlog else 0.0,
        queue_count=queue_count,
        age_s=age_s,
        server=server_name,
    )


def queue(queue_id: int, provider_name: str, name: str, **changes: object) -> QueueView:
    view = QueueView(
        queue_id=queue_id,
        provider=provider_name,
        name=name,
        tracked=True,
        disabled=False,
        cost=SimpleCost(per_impression=500),
        offline_policy="allow",
        printer_state="idle",
        location="Library, ground floor",
        device_uri=f"inkeeper:/ipp://10.0.4.{queue_id}/ipp/print",
        jobs=40 + queue_id,
        impressions=300 + queue_id,
        seen_at=NOW_MS - 900,
    )
    return msgspec.structs.replace(view, **changes)


def small_topology(url: str = "http://app-01:9191", **changes: object) -> Topology:
    """One server on SQLite, one print server, two queues: what `make run` starts."""
    view = Topology(
        cluster="campus",
        seen_by="app-01",
        as_of=NOW_MS,
        generation=1,
        term=3,
        verdict="All is well: 1 server, 1 print server, 2 queues.",
        health="ok",
        servers=(server("app-01", url, leader=True),),
        databases=(DatabaseView(name="main", engine="sqlite", role="single copy", health="ok", detail=""),),
        providers=(provider(1, "print-01", queue_count=2),),
        queues=(queue(1, "print-01", "library"), queue(2, "print-01", "lab-a4", printer_state="processing")),
        ledger=LEDGER,
    )
    return msgspec.structs.replace(view, **changes)


def large_topology(urls: tuple[str, ...] = ()) -> Topology:
    """Three servers on three databases, three print servers; something of every state."""
    names = ("app-01", "app-02", "app-03")
    urls = urls or tuple(f"http://{name}:9191" for name in names)
    servers = (
        server(names[0], urls[0], leader=True),
        server(names[1], urls[1 % len(urls)]),
        server(names[2], f"http://{names[2]}:9191", health="draining", state="draining"),
    )
    databases = (
        DatabaseView(name="pg-a", engine="postgresql", role="standby", health="warning", detail="replay 96 MB behind"),
        DatabaseView(name="pg-b", engine="postgresql", role="primary", health="ok", detail="timeline 7"),
        DatabaseView(name="pg-c", engine="postgresql", role="standby", health="ok", detail="synchronous"),
    )
    providers = (
        provider(1, "print-north", server_name="app-01"),
        provider(2, "print-library", server_name="app-02", backlog=14, health="warning"),
        provider(3, "print-lab", server_name="app-01", age_s=42.0, health="error", queue_count=2),
    )
    queues = (
        queue(1, "print-north", "north-a4"),
        queue(2, "print-north", "north-color", printer_state="processing", cost=SimpleCost(per_impression=1500)),
        queue(3, "print-north", "north-plot", printer_state="stopped", printer_state_reasons=("media-jam-error",)),
        queue(4, "print-library", "lib-ground"),
        queue(5, "print-library", "lib-first", disabled=True),
        queue(6, "print-library", "lib-office", tracked=False, location="Office"),
        queue(7, "print-lab", "lab-1", seen_at=NOW_MS - 42_000),
        queue(8, "print-lab", "lab-2", seen_at=NOW_MS - 42_000),
    )
    return Topology(
        cluster="campus",
        seen_by="app-01",
        as_of=NOW_MS,
        generation=1,
        term=7,
        verdict="print-lab has been silent for 42 s; everything else prints and is charged.",
        health="warning",
        servers=servers,
        databases=databases,
        providers=providers,
        queues=queues,
        ledger=LEDGER,
    )


def job(number: int, **changes: object) -> JobView:
    view = JobView(
        job_id=f"01890000-0000-7000-8000-{number:012d}",
        state="completed",
        user_name="mira",
        provider="print-01",
        queue="library",
        title=f"Thesis, chapter {number}",
        impressions=12,
        sheets=6,
        color_impressions=0,
        copies=1,
        reserved=0,
        charged=6000,
        created_at=NOW_MS - 1_000_000 + number * 1000,
        updated_at=NOW_MS - 1_000_000 + number * 1000 + 500,
    )
    return msgspec.structs.replace(view, **changes)


def mixed_jobs() -> tuple[JobView, ...]:
    """A job of every kind that the table shows differently."""
    limit = "account-limit-reached"
    return (
        job(1),
        job(2, user_name="tomas", title="Exam sheet 4b", impressions=60, charged=30000, marks=("estimated",)),
        job(3, user_name="wei", state="denied", code=limit, title="Poster draft", impressions=40, charged=0),
        job(4, user_name="anna", title="Seminar notes", marks=("offline", "possible_duplicate"), queue="lab-a4"),
        job(5, user_name="anna", state="canceled", title="Wrong tray", charged=0),
        job(6, user_name="tomas", state="in_doubt", title="Handout", reserved=4000, charged=0),
        job(
            7,
            user_name="mira",
            state="printing",
            title="Thesis, final print",
            impressions=148,
            reserved=74000,
            charged=0,
        ),
        job(8, user_name="lukas", state="authorised", title="Timetable", impressions=2, reserved=1000, charged=0),
    )


def user(name: str, full_name: str = "", **changes: object) -> UserView:
    view = UserView(
        name=name,
        full_name=full_name or name.capitalize(),
        email=f"{name}@example.org",
        department="Physics",
        card_number="0471 2290",
        balance=184_500,
        reserved=74_000,
        available=110_500,
        restricted=True,
        print_jobs=61,
        print_impressions=734,
    )
    return msgspec.structs.replace(view, **changes)


def people() -> tuple[UserView, ...]:
    return (
        user("mira", "Mira Novak"),
        user("miriam", "Miriam Okafor", department="Law", balance=-2500, available=-2500, reserved=0),
        user("mirko", "Mirko Sanders", department="Computing", restricted=False, balance=50_000, reserved=0),
        user("mireille", "Mireille Dubois", department="Library", disabled=True, balance=0, reserved=0, available=0),
        user("wei", "Wei Zhang", department="Design", balance=1_000, reserved=0, available=1_000),
        user("anna", "Anna Kowalska", department="History", balance=96_250, reserved=0, available=96_250),
    )


def transfers(count: int = 14) -> tuple[TransferView, ...]:
    """Newest first, each with the balance that it left."""
    rows: list[TransferView] = []
    balance = 250_000
    rows.append(
        TransferView(
            sequence=1,
            at=NOW_MS - 900_000,
            kind="posted",
            code="adjustment",
            amount=250_000,
            balance=balance,
            actor="helpdesk-1",
            comment="Start of term",
        )
    )
    for number in range(2, count):
        amount = -500 * (3 + number * 7 % 23)
        balance += amount
        rows.append(
            TransferView(
                sequence=number,
                at=NOW_MS - 900_000 + number * 40_000,
                kind="posted",
                code="print-job",
                amount=amount,
                balance=balance,
                job_id=job(number).job_id,
                comment=f"Thesis, chapter {number}",
            )
        )
    pending = TransferView(
        sequence=count,
        at=NOW_MS - 9_000,
        kind="pending",
        code="print-job",
        amount=-74_000,
        balance=balance,
        job_id=job(99).job_id,
        comment="Thesis, final print",
    )
    return tuple(reversed([*rows, pending]))
