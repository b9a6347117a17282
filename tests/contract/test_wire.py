"""The wire contract held still: a golden sample of every message, byte for byte.

A change of a sample is a change of what other programs read and write. Fields may be added with a default (then old
samples must still decode); anything else needs a new version. `INKEEPER_UPDATE_GOLDEN=1 pytest tests/contract` writes
the samples anew: read the difference as the author of a client would.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend.wire import access, cluster, errors, jobs, money, people, printers
from backend.wire.access import (
    AuditEntry,
    AuditList,
    Caller,
    ChangePassword,
    CreateOperator,
    CreateToken,
    LogIn,
    LogInAnswer,
    OperatorList,
    OperatorView,
    SetOperator,
    SetSetting,
    SettingList,
    SettingView,
    TokenCreated,
    TokenList,
    TokenView,
)
from backend.wire.base import VERSION, Ledger, Message
from backend.wire.cluster import (
    ClusterAction,
    ClusterEvent,
    ClusterEventList,
    DatabaseSwitchover,
    DatabaseView,
    Event,
    Objection,
    Plan,
    ProviderView,
    ServerView,
    Topology,
)
from backend.wire.errors import PROBLEMS, Problem, problem
from backend.wire.jobs import (
    Authorise,
    AuthoriseAnswer,
    CancelJob,
    DecisionList,
    JobActionAnswer,
    JobDecision,
    JobFacts,
    JobIdentity,
    JobList,
    JobView,
    MediaCount,
    Printing,
    ReleaseJob,
    Report,
    ReportAnswer,
    Run,
    TickOff,
)
from backend.wire.money import (
    Adjust,
    ConfigureAccount,
    MoneyAnswer,
    RefundJob,
    ReverseTransfer,
    SetBalance,
    TransferList,
    TransferView,
)
from backend.wire.people import (
    CreateUser,
    DeleteUser,
    ImportAnswer,
    ImportRow,
    ImportTrouble,
    ImportUsers,
    RenameUser,
    SetUser,
    UserDeleted,
    UserDetails,
    UserList,
    UserView,
)
from backend.wire.pricing import MediaCost, PageCost, Printed, SimpleCost, StandardCost
from backend.wire.printers import (
    Enroll,
    EnrollAnswer,
    Heartbeat,
    HeartbeatAnswer,
    Member,
    MemberList,
    QueueList,
    QueuePolicy,
    QueueReport,
    QueueView,
    RuleList,
    RuleView,
    ServerContact,
    SetQueue,
    SetQueues,
    Supply,
)

GOLDEN = Path(__file__).with_name("golden")
COMMAND = "0193a5f0-0000-7000-8000-000000000001"
JOB = "0193a5f0-0000-7000-8000-000000000002"
AT = 1_795_000_000_000
LEDGER = Ledger(currency="EUR", decimals=4)
RULE = SimpleCost(per_impression=500, version=3, duplex_discount=10, grayscale_discount=20, grayscale_printer=True)
PAGES = PageCost(grayscale_simplex=500, grayscale_duplex=400, color_simplex=2500, color_duplex=2400)
TABLE = StandardCost(default=PAGES, media=(MediaCost(media="a3", cost=PAGES),), version=4, grayscale_printer=True)
DETAILS = UserDetails(
    full_name="Anna Müller",
    email="anna@uni.example",
    department="Physics",
    office="B 12",
    notes="",
    card_number="4711",
    card_number2="4712",
    alias="am17",
    disabled=True,
    disabled_until=1_795_000_000_000,
)
PRINTING = Printing(spool_id="spool-1", cups_job_id=17, time_at_creation=1_795_000_000, time_at_completed=0)
FACTS = JobFacts(
    impressions=6,
    sheets=3,
    color_impressions=2,
    copies=2,
    sides="two-sided-long-edge",
    media="iso_a4_210x297mm",
    document_format="application/pdf",
    document_bytes=12345,
    estimated=True,
    estimate_reason="not a PDF",
    media_counts=(
        MediaCount(media="iso_a4_210x297mm", impressions=4),
        MediaCount(media="iso_a5_148x210mm", impressions=2),
    ),
    blank_backs=1,
)
SUPPLY = Supply(name="Black toner", level=7, color="#000000", kind="toner", low=True)
CONTACT = ServerContact(url="http://server-1:9191", age_s=0.5, trouble="does not answer")
JOB_VIEW = JobView(
    job_id=JOB,
    state="completed",
    user_name="anna",
    provider="print1",
    queue="office",
    title="letter.pdf",
    impressions=6,
    sheets=3,
    color_impressions=2,
    copies=2,
    reserved=0,
    charged=3000,
    code="",
    marks=("estimated", "offline"),
    created_at=AT,
    updated_at=AT + 1,
    cost=3000,
    refunded=1000,
    printed=6,
    host="client-7",
    sides="two-sided-long-edge",
    media="iso_a4_210x297mm",
)
QUEUE_VIEW = QueueView(
    queue_id=4,
    provider="print1",
    name="office",
    tracked=True,
    disabled=False,
    cost=RULE,
    offline_policy="allow",
    printer_state="stopped",
    printer_state_reasons=("media-empty",),
    accepting=True,
    info="Office",
    location="2nd floor",
    device_uri="ipp://printer/ipp/print",
    jobs=10,
    impressions=100,
    seen_at=AT,
    partial_charge="nothing",
    hold_jobs=True,
    supplies=(SUPPLY,),
    media_ready=("iso_a4_210x297mm",),
)
CLUSTER_EVENT = ClusterEvent(
    event_id="71.9",
    at=AT,
    kind="leader-changed",
    subject="server-1",
    actor="admin:anna",
    term=6,
    cause="lease expired",
    away_ms=5200,
    detail={"before": "server-2", "silent_ms": 5000},
)
MEMBER = Member(name="server-1", url="http://server-1:9191", state="serving")
IDENTITY: dict[str, Any] = {
    "command_id": COMMAND,
    "job_id": JOB,
    "attempt": 2,
    "printing": PRINTING,
    "queue": "office",
    "user_name": "anna",
    "title": "Brief – ä.pdf",
    "host": "client-7",
    "facts": FACTS,
}

SAMPLES: dict[str, Message | Problem] = {
    "authorise": Authorise(**IDENTITY),
    "authorise_answer": AuthoriseAnswer(
        job_id=JOB,
        decision="denied",
        code="account-limit-reached",
        message="This job costs 0.30 EUR, you have 0.10 EUR left to print with.",
        cost=3000,
        rule_version=3,
        balance=1000,
        available=1000,
    ),
    "report": Report(
        **IDENTITY,
        revision=1,
        outcome="completed",
        printed=Printed(impressions=6, sheets=3, color_impressions=2, media="iso_a4_210x297mm"),
        estimated=True,
        offline=True,
        possible_duplicate=True,
        in_doubt=True,
        offline_rule=RULE,
        runs=(
            Run(number=1, started_at=AT),
            Run(number=2, started_at=AT, ended_at=AT + 1, exit_code=0, impressions_completed=6),
        ),
    ),
    "report_answer": ReportAnswer(
        job_id=JOB, state="completed", charged=3000, balance=-2000, available=-2500, marks=("estimated", "offline")
    ),
    "caller": Caller(
        role="helpdesk",
        name="maria",
        full_name="Maria Berg",
        person=True,
        expires_at=AT,
        limit_each=50_000,
        limit_day=200_000,
        moved_today=5000,
        ledger=LEDGER,
    ),
    "log_in": LogIn(name="maria", password="correct horse"),
    "log_in_answer": LogInAnswer(
        token="ik_token", role="helpdesk", name="maria", full_name="Maria Berg", expires_at=AT
    ),
    "change_password": ChangePassword(old="correct horse", new="battery staple"),
    "operator_list": OperatorList(
        operators=(
            OperatorView(
                name="maria",
                full_name="Maria Berg",
                role="helpdesk",
                disabled=True,
                limit_each=-1,
                limit_day=0,
                created_at=AT,
                logged_in_at=AT + 1,
            ),
        ),
        default_limit_each=50_000,
        default_limit_day=0,
        ledger=LEDGER,
    ),
    "create_operator": CreateOperator(
        name="maria", full_name="Maria Berg", role="helpdesk", password="correct horse", limit_each=50_000, limit_day=0
    ),
    "set_operator": SetOperator(
        full_name="Maria Berg", role="auditor", disabled=False, password="new one", limit_each=-1, limit_day=0
    ),
    "token_list": TokenList(
        tokens=(
            TokenView(
                token_id="0a1b2c3d4e5f6071",
                role="metrics",
                name="prometheus",
                person=True,
                created_at=AT,
                expires_at=AT + 1,
                revoked_at=AT + 2,
            ),
        )
    ),
    "create_token": CreateToken(role="metrics", name="prometheus", lifetime_s=86_400),
    "token_created": TokenCreated(token="ik_token"),
    "audit_list": AuditList(
        entries=(
            AuditEntry(
                audit_id=9,
                at=AT,
                actor="helpdesk:maria",
                role="helpdesk",
                action="user-opened",
                subject="anna",
                detail="",
            ),
        )
    ),
    "setting_list": SettingList(
        settings=(SettingView(key="users.initial-credit", value="0", default="0", secret=True, fixed=True),)
    ),
    "set_setting": SetSetting(key="users.initial-credit", value="50000"),
    "tick_off": TickOff(command_id=COMMAND, comment="asked the printer"),
    "release_job": ReleaseJob(command_id=COMMAND),
    "cancel_job": CancelJob(command_id=COMMAND, reason="printed by mistake"),
    "job_action_answer": JobActionAnswer(code="job-not-held", message="This job is not held.", state="printing"),
    "decision_list": DecisionList(
        decisions=(JobDecision(job_id=JOB, decision="cancel", reason="not released in time"),)
    ),
    "adjust": Adjust(
        command_id=COMMAND, user_name="anna", amount=-500, comment="refund", only_if_available=True, leave=100
    ),
    "set_balance": SetBalance(command_id=COMMAND, user_name="anna", balance=10_000, comment="new term"),
    "configure_account": ConfigureAccount(
        command_id=COMMAND,
        user_name="anna",
        restricted=True,
        overdraft=0,
        overdraft_mode="individual",
        print_jobs=3,
        print_impressions=9,
    ),
    "money_answer": MoneyAnswer(code="", message="", amount=-500, balance=9500, available=6500, sequence=7),
    "refund_job": RefundJob(command_id=COMMAND, amount=500, pages=1, comment="paper jam"),
    "reverse_transfer": ReverseTransfer(command_id=COMMAND, comment="wrong person"),
    "create_user": CreateUser(name="anna", details=DETAILS),
    "set_user": SetUser(details=DETAILS),
    "rename_user": RenameUser(new_name="ann"),
    "delete_user": DeleteUser(redact=True),
    "user_deleted": UserDeleted(account_id=17, account_name="deleted-17", balance=-2500),
    "import_users": ImportUsers(
        rows=(ImportRow(row=2, name="anna", details=DETAILS, balance=10_000, restricted=True, overdraft=0),),
        update=False,
        dry_run=True,
    ),
    "import_answer": ImportAnswer(
        created=1,
        updated=2,
        unchanged=3,
        troubles=(ImportTrouble(row=4, name="bob", text="another user has that card"),),
    ),
    "enroll": Enroll(token="ik_token", secret="s" * 43, name="print1", host="print1.example"),
    "enroll_answer": EnrollAnswer(provider_id=7, name="print1", generation=2, members=(MEMBER,)),
    "heartbeat": Heartbeat(
        program_version="0.1.0",
        host="print1.example",
        queues=(
            QueueReport(
                name="office",
                tracked=True,
                device_uri="inkeeper:/ipp://printer/ipp/print",
                info="Office",
                location="2nd floor",
                printer_state="idle",
                printer_state_reasons=("toner-low",),
                accepting=True,
                supplies=(SUPPLY,),
                media_ready=("iso_a4_210x297mm",),
            ),
        ),
        open_jobs=(JOB,),
        backlog=1,
        oldest_unsent_s=2.5,
        disk_free_bytes=10**9,
        held_jobs=1,
        trouble="the disk is full",
        contacts=(CONTACT,),
    ),
    "heartbeat_answer": HeartbeatAnswer(
        generation=2,
        members=(MEMBER,),
        queues=(
            QueuePolicy(
                name="office",
                disabled=False,
                cost=RULE,
                offline_policy="allowance",
                partial_charge="nothing",
                hold_jobs=True,
            ),
        ),
        heartbeat_s=2.0,
        ledger=LEDGER,
    ),
    "user_list": UserList(
        users=(
            UserView(
                name="anna",
                full_name="Anna Müller",
                email="anna@uni.example",
                department="Physics",
                card_number="4711",
                card_number2="4712",
                alias="am17",
                office="B 12",
                notes="",
                balance=1000,
                reserved=500,
                available=500,
                overdraft=0,
                overdraft_mode="default",
                restricted=True,
                disabled=False,
                disabled_until=AT,
                created_at=AT,
                print_jobs=3,
                print_impressions=9,
            ),
        ),
        total=1,
        ledger=LEDGER,
        as_of=AT,
    ),
    "transfer_list": TransferList(
        transfers=(
            TransferView(
                sequence=3,
                at=AT,
                kind="posted",
                code="print",
                amount=-3000,
                balance=1000,
                job_id=JOB,
                actor="provider:print1",
                comment="",
                user_name="anna",
                earlier=2,
                reversed=True,
            ),
        ),
        ledger=LEDGER,
    ),
    "job_list": JobList(jobs=(JOB_VIEW,), ledger=LEDGER),
    "queue_list": QueueList(queues=(QUEUE_VIEW,), ledger=LEDGER),
    "set_queue": SetQueue(
        cost_per_impression=150,
        disabled=True,
        offline_policy="hold",
        partial_charge="nothing",
        hold_jobs=True,
        cost=TABLE,
    ),
    "set_queues": SetQueues(queue_ids=(4, 5), change=SetQueue(disabled=True)),
    "rule_list": RuleList(rules=(RuleView(cost=TABLE, at=AT, actor="admin:anna"),), ledger=LEDGER),
    "topology": Topology(
        cluster="c",
        seen_by="server-1",
        as_of=AT,
        generation=2,
        term=5,
        verdict="All is well: 1 server, 1 print server, 1 tracked queue.",
        health="ok",
        servers=(
            ServerView(
                name="server-1",
                url="http://server-1:9191",
                state="serving",
                health="ok",
                detail="serving",
                leader=True,
                program_version="0.1.0",
                age_s=0.5,
                wanted="draining",
                load=3,
                connections=2,
                serves="http https",
            ),
        ),
        databases=(
            DatabaseView(
                name="db2",
                engine="postgresql",
                role="standby",
                health="ok",
                detail="streaming, sync",
                sync_state="sync",
                lag_bytes=384,
                lag_s=0.25,
                timeline=3,
                last_failover_at=AT,
                source="patroni",
                age_s=0.5,
            ),
        ),
        providers=(
            ProviderView(
                provider_id=7,
                name="print1",
                host="print1.example",
                health="ok",
                detail="tracks 1 queue",
                program_version="0.1.0",
                backlog=0,
                oldest_unsent_s=0.0,
                queue_count=1,
                age_s=1.5,
                disk_free_bytes=10**9,
                held_jobs=1,
                trouble="the disk is full",
                contacts=(CONTACT,),
                server="server-1",
            ),
        ),
        queues=(QUEUE_VIEW,),
        ledger=LEDGER,
        paused=True,
    ),
    "member_list": MemberList(generation=2, members=(MEMBER,)),
    "event": Event(kind="jobs", at=AT, jobs=(JOB_VIEW,), detail=""),
    "event_of_the_cluster": Event(kind="cluster", at=AT, cluster=CLUSTER_EVENT),
    "cluster_action": ClusterAction(action="switchover", subject="server-2", dry_run=True, force=True),
    "cluster_event_list": ClusterEventList(events=(CLUSTER_EVENT,)),
    "database_switchover": DatabaseSwitchover(to="db2", dry_run=True),
    "plan": Plan(
        action="drain",
        subject="server-1",
        steps=("server-1 takes no new work",),
        objections=(Objection(blocks=True, text="no other server serves"), Objection(blocks=False, text="it leads")),
        done=True,
    ),
    "problem": problem("command-conflict", "this command id was used with other content"),
}

NOT_SENT_ALONE = {Message, JobIdentity}


def _kinds() -> set[type[Message]]:
    rooms = (access, cluster, jobs, money, people, printers)
    kinds = {kind for room in rooms for kind in vars(room).values() if isinstance(kind, type)}
    found = [kind for kind in kinds if issubclass(kind, Message)]
    return set(found) - NOT_SENT_ALONE


def test_every_message_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES.values()} - {Problem} == _kinds()
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_is_written_and_read_as_ever(name: str) -> None:
    sample, path = SAMPLES[name], GOLDEN / f"{name}.json"
    written = msgspec.json.format(msgspec.json.encode(sample), indent=1) + b"\n"
    if os.environ.get("INKEEPER_UPDATE_GOLDEN"):
        path.write_bytes(written)
    assert written == path.read_bytes()
    assert msgspec.json.decode(path.read_bytes(), type=type(sample)) == sample


@pytest.mark.parametrize("name", SAMPLES)
def test_a_field_that_a_newer_program_adds_is_no_hindrance(name: str) -> None:
    content = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())
    newer = msgspec.json.encode(content | {"from_the_future": {"x": 1}})
    assert msgspec.json.decode(newer, type=type(SAMPLES[name])) == SAMPLES[name]


def test_every_message_carries_its_version() -> None:
    for name, sample in SAMPLES.items():
        if isinstance(sample, Message):
            assert msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes())["v"] == VERSION


def test_problems_have_http_statuses_and_titles() -> None:
    assert all(400 <= status < 600 and title for status, title in PROBLEMS.values())
    assert not set(PROBLEMS) & set(errors.REFUSALS)
