"""What an action on the cluster would do, and what speaks against it. Pure: a snapshot in, a plan out.

The command line, the API and the console show the same plan. A plan without steps that is blocked cannot be forced:
there is nothing to do.

Invariant: a plan that is not blocked leaves at least one server serving that served before.
"""

from collections.abc import Iterable

from backend.cluster.model import MemberRow, Snapshot, state_of
from backend.wire.cluster import ClusterAction, Objection, Plan


def make(wanted: ClusterAction, snapshot: Snapshot, grace_s: float = 3.0) -> Plan:
    """The plan of this action as things stand."""
    name = wanted.subject
    if wanted.action == "drain":
        return _drain(name, snapshot, grace_s)
    if wanted.action == "undrain":
        return _undrain(name, snapshot)
    if wanted.action == "switchover":
        return _switchover(name, snapshot)
    if wanted.action == "remove":
        return _remove(name, snapshot)
    return _pause(wanted.action == "pause", snapshot)


def target(snapshot: Snapshot, name: str) -> MemberRow | None:
    """Who would lead after a switchover to `name`, or to whichever was seen last and has least to do with ""."""
    able = [row for row in _serving(snapshot) if row.process != snapshot.lease.holder]
    if name:
        return next((row for row in able if row.name == name), None)
    return min(able, key=lambda row: (row.age_ms, row.load, row.name), default=None)


def text(plan: Plan) -> str:
    """The plan for people, on a terminal."""
    lines = [f"{plan.action} {plan.subject}".rstrip()]
    lines += [f"  {number}. {step}" for number, step in enumerate(plan.steps, 1)]
    lines += [
        f"  {'against it' if objection.blocks else 'to be known'}: {objection.text}" for objection in plan.objections
    ]
    return "\n".join(lines)


def against(plan: Plan) -> str:
    """What blocks it, on one line."""
    return "; ".join(objection.text for objection in plan.objections if objection.blocks)


def _drain(name: str, snapshot: Snapshot, grace_s: float) -> Plan:
    row = _find(snapshot, name)
    if row is None:
        return _unknown("drain", name, snapshot)
    if row.wanted == "draining":
        return Plan(action="drain", subject=name, objections=(_note(f"{name} is draining already"),))
    others = [other for other in _serving(snapshot) if other.name != name]
    state = state_of(row, snapshot.heartbeat_s)
    steps: list[str] = []
    notes: list[Objection] = []
    if row.process == snapshot.lease.holder and others:
        steps.append(f"{name} gives the lead back; another server takes it")
    if state == "gone":
        steps.append(f"{name} will drain as soon as it is back, until it is undrained")
        notes.append(_note(f"{name} is gone"))
    else:
        steps += [
            f"{name} answers 503 on /health/ready, ends its event streams, and tells its clients to go to another",
            f"after {grace_s:g} s it takes no new work; what is under way ({row.load} requests) is finished",
            f"{name} stays draining, over restarts too, until it is undrained",
        ]
    if not others and state != "gone":
        notes.append(_block("no other server serves: nothing would be answered"))
    elif len(others) == 1:
        notes.append(_note(f"only {others[0].name} is left to serve then"))
    return Plan(action="drain", subject=name, steps=tuple(steps), objections=tuple(notes))


def _undrain(name: str, snapshot: Snapshot) -> Plan:
    row = _find(snapshot, name)
    if row is None:
        return _unknown("undrain", name, snapshot)
    if row.wanted != "draining":
        return Plan(action="undrain", subject=name, objections=(_note(f"{name} is not to drain"),))
    if state_of(row, snapshot.heartbeat_s) == "gone":
        note = _note(f"{name} is gone")
        return Plan(action="undrain", subject=name, steps=(f"{name} will serve when it is back",), objections=(note,))
    return Plan(action="undrain", subject=name, steps=(f"{name} takes work again within a heartbeat",))


def _switchover(name: str, snapshot: Snapshot) -> Plan:
    leader = next((row for row in snapshot.members if row.process == snapshot.lease.holder), None)
    plan = Plan(action="switchover", subject=name)
    if name and _find(snapshot, name) is None:
        return _unknown("switchover", name, snapshot)
    if leader is None or not snapshot.lease.holder:
        return _blocked(plan, "no server leads at the moment; one will within a few seconds, by itself")
    if name == leader.name:
        return _blocked(plan, f"{name} leads already")
    chosen = target(snapshot, name)
    if chosen is None and name:
        row = _find(snapshot, name)
        state = "draining" if row is None else state_of(row, snapshot.heartbeat_s)
        return _blocked(plan, f"{name} is {state}: it cannot lead")
    if chosen is None:
        return _blocked(plan, "no other server serves")
    steps = (
        f"{leader.name} gives the lead back at its next heartbeat (term {snapshot.lease.term} ends)",
        f"{chosen.name} leads term {snapshot.lease.term + 1} at its next heartbeat; requests are not concerned",
    )
    notes: list[Objection] = []
    if state_of(leader, snapshot.heartbeat_s) in ("suspect", "gone"):
        notes.append(_note(f"{leader.name} gives no sign of life; if it is dead the lead moves when its lease ends"))
    return Plan(action="switchover", subject=chosen.name, steps=steps, objections=tuple(notes))


def _remove(name: str, snapshot: Snapshot) -> Plan:
    row = _find(snapshot, name)
    if row is None:
        return _unknown("remove", name, snapshot)
    plan = Plan(action="remove", subject=name)
    state = state_of(row, snapshot.heartbeat_s)
    if state != "gone":
        return _blocked(plan, f"{name} lives ({state}): stop it first")
    notes = (_note(f"{name} is forgotten as one that is to drain too"),) if row.wanted == "draining" else ()
    steps = (f"{name} ({row.url}) is forgotten: clients are told of it no more; it joins anew when it is started",)
    return Plan(action="remove", subject=name, steps=steps, objections=notes)


def _pause(pause: bool, snapshot: Snapshot) -> Plan:
    plan = Plan(action="pause" if pause else "resume", subject="")
    if pause == snapshot.paused:
        note = _note("the cluster is paused already" if pause else "the cluster is not paused")
        return Plan(action=plan.action, subject="", objections=(note,))
    if not pause:
        return Plan(action="resume", subject="", steps=("members that are gone are removed again, DNS is kept again",))
    steps = (
        "no member that is gone is removed, the cluster's name in DNS stays as it is",
        "printing, leases and failover of the lead go on; every picture of the cluster says that it is paused",
    )
    return Plan(action="pause", subject="", steps=steps)


def _find(snapshot: Snapshot, name: str) -> MemberRow | None:
    return next((row for row in snapshot.members if row.name == name), None)


def _serving(snapshot: Snapshot) -> Iterable[MemberRow]:
    return [row for row in snapshot.members if state_of(row, snapshot.heartbeat_s) == "serving"]


def _unknown(action: str, name: str, snapshot: Snapshot) -> Plan:
    names = ", ".join(row.name for row in snapshot.members) or "none"
    return _blocked(Plan(action=action, subject=name), f"there is no server {name!r}; there are: {names}")


def _blocked(plan: Plan, reason: str) -> Plan:
    return Plan(action=plan.action, subject=plan.subject, objections=(_block(reason),))


def _block(reason: str) -> Objection:
    return Objection(blocks=True, text=reason)


def _note(what: str) -> Objection:
    return Objection(blocks=False, text=what)
