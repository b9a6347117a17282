"""The auditor of log-ins: who may be let in by which password and token, rebuilt from what was asked and committed.

Apart from the code under test: it keeps passwords, roles, tokens and failures of its own, and moves them by each
transaction at the moment of its commit. Times are the world's true ones; only what the primary's clock decides (when a
token expires, how long one waits) is by that clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from backend.access.service import hash_token
from backend.access.tables import access_token, audit
from backend.ledger.model import Transfer
from backend.wire.access import CreateOperator, SetOperator
from tests.simulation.access import AccessTables, password_of
from tests.simulation.errors import Broken
from tests.simulation.kernel import Kernel

ENDED_S: Final = 5.2  # within this an ended token is refused everywhere; clocks run 2 % wrong
DONE_S: Final = 12.0  # within this what was let in is done, or never
LONGEST_WAIT_S: Final = 121
WINDOW_S: Final = 14 * 60
FREE, FREE_NAME = 5, 10


@dataclass
class _Person:
    """`states`: since when which password was right, "" for none."""

    password: str = ""
    role: str = ""
    disabled: bool = False
    states: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class _Token:
    """Of a program where `name` is ""."""

    name: str
    expires_ms: int
    ended_s: float | None = None


@dataclass
class _Failures:
    """Attempts of one name from one address that did not turn out to be right."""

    count: int = 0
    last_ms: int = 0
    known: bool = False


class AccessAuditor:
    """`counts` tells how it went."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._people: dict[str, _Person] = {}
        self._tokens: dict[bytes, _Token] = {}
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._audits: Counter[tuple[str, str, str]] = Counter()
        self._let_in: dict[str, float] = {}
        self._jumped_s = -1e9
        self._now_ms = 0
        self.counts: Counter[str] = Counter()

    def clock_jumped(self) -> None:
        """The primary's clock was set."""
        self._jumped_s = self._kernel.now

    # ------------------------------------------------------------ what is committed

    def access_committed(
        self, work: str, arguments: tuple[Any, ...], named: dict[str, Any], result: Any, now_ms: int
    ) -> None:
        self._now_ms = now_ms
        actor = named.get("actor", "")
        if work == "create_operator":
            self._created(arguments[0], arguments[1], actor)
        elif work == "create_token":
            self._tokens[hash_token(result)] = _Token("", 0)
        elif work == "begin_login":
            self._begun(arguments[0], arguments[1], result[0], now_ms)
        elif work == "complete_login":
            self._logged_in(arguments, result)
        elif work == "change_own_password":
            self._changed_own(arguments)
        elif work == "set_operator":
            self._set(arguments[0], arguments[1], actor)
        elif work == "revoke_token":
            self._revoked(arguments[0], actor)

    def _created(self, body: CreateOperator, kept: str, actor: str) -> None:
        self._people[body.name] = person = _Person(body.password, body.role)
        self._audits["operator-created", actor, body.name] += 1
        self._note(person)

    def _note(self, person: _Person) -> None:
        person.states.append((self._kernel.now, "" if person.disabled else person.password))

    def _begun(self, name: str, address: str, early_ms: int, now_ms: int) -> None:
        """An attempt was let through, and counts as failed, or has to wait."""
        if early_ms > LONGEST_WAIT_S * 1000:
            raise Broken("log-ins", f"{name} at {address} has to wait {early_ms} ms: that is a lock-out")
        if self._jumped_s < 0 and self._kernel.now < WINDOW_S:
            self._compare_wait(name, address, early_ms, now_ms)
        self.counts["waits"] += bool(early_ms)
        if not early_ms:
            pair = self._pair(name, address)
            pair.count, pair.last_ms = pair.count + 1, now_ms

    def _compare_wait(self, name: str, address: str, early_ms: int, now_ms: int) -> None:
        pair = self._pair(name, address)
        if pair.known:
            due = _wait_ms([pair], FREE, 60_000, now_ms)
        else:
            from_here = [one for (_, place), one in self._failures.items() if place == address]
            of_name = [one for (who, _), one in self._failures.items() if who == name]
            due = max(_wait_ms(from_here, FREE, 60_000, now_ms), _wait_ms(of_name, FREE_NAME, 8_000, now_ms))
        if early_ms != due:
            raise Broken("log-ins", f"{name} at {address} has to wait {early_ms} ms, should {due}: {self._failures}")

    def _pair(self, name: str, address: str) -> _Failures:
        return self._failures.setdefault((name, address), _Failures())

    def _logged_in(self, arguments: tuple[Any, ...], result: Any) -> None:
        name, address, kept = arguments
        token, view, expires_ms = result
        person = self._people[name]
        self._expect_right(name, password_of(kept))
        if view.role != person.role:
            raise Broken("log-ins", f"{name} logged in as {view.role}, is {person.role}")
        self._tokens[hash_token(token)] = _Token(name, expires_ms)
        pair = self._pair(name, address)
        pair.count, pair.last_ms, pair.known = 0, 0, True
        self._audits["logged-in", f"{person.role}:{name}", name] += 1
        self.counts["log-ins"] += 1

    def _changed_own(self, arguments: tuple[Any, ...]) -> None:
        name, address, old, new, kept_token = arguments
        person = self._people[name]
        self._expect_right(name, password_of(old))
        person.password = password_of(new)
        pair = self._pair(name, address)
        pair.count, pair.last_ms = 0, 0
        self._end_tokens(name, kept_token)
        self._audits["password-changed", f"{person.role}:{name}", name] += 1
        self._note(person)

    def _expect_right(self, name: str, password: str) -> None:
        if self._right_now(name) != password:
            raise Broken("log-ins", f"{name} was let in by {password!r}, right is {self._right_now(name)!r}")

    def _right_now(self, name: str) -> str:
        return self._people[name].states[-1][1]

    def _set(self, name: str, body: SetOperator, actor: str) -> None:
        person = self._people[name]
        if (body.role, body.disabled, body.password) != (None, None, None):
            self._end_tokens(name)
        person.role = body.role or person.role
        person.disabled = person.disabled if body.disabled is None else body.disabled
        person.password = body.password or person.password
        self._audits["operator-changed", actor, name] += 1
        self._note(person)

    def _revoked(self, token_id: str, actor: str) -> None:
        for key, token in self._tokens.items():
            if key.hex().startswith(token_id) and token.ended_s is None:
                token.ended_s = self._kernel.now
                self._audits["token-revoked", actor, token.name] += 1

    def _end_tokens(self, name: str, kept: bytes = b"") -> None:
        for key, token in self._tokens.items():
            if token.name == name and key != kept and token.ended_s is None:
                token.ended_s = self._kernel.now
                self.counts["ended"] += 1

    # ------------------------------------------------------------ who is let in

    def let_in(self, token: str, server: str) -> None:
        """A server takes this token for valid now."""
        found = self._tokens.get(hash_token(token))
        now_s = self._kernel.now
        if found is None:
            raise Broken("tokens", f"{server} lets in a token that was never made")
        if found.ended_s is not None and now_s - found.ended_s > ENDED_S:
            ago_s = now_s - found.ended_s
            raise Broken("tokens", f"{server} lets {found.name} in by a token that was ended {ago_s:.1f} s ago")
        over_ms = self._now_ms - found.expires_ms if found.expires_ms else 0
        if over_ms > ENDED_S * 1000 and now_s - self._jumped_s > ENDED_S:
            raise Broken("tokens", f"{server} lets {found.name} in by a token that expired {over_ms} ms ago")

    def turned_away(self, token: str, since_s: float, server: str, now_ms: int) -> None:
        """A server that was asked at `since_s` does not know this token."""
        found = self._tokens.get(hash_token(token))
        self.counts["turned away"] += 1
        if found is None or self._jumped_s >= since_s or (found.ended_s is not None):
            return
        if found.expires_ms == 0 or now_ms < found.expires_ms:
            raise Broken("tokens", f"{server} refuses a token of {found.name or 'a program'}, which is valid")

    def admitted(self, command_id: str) -> None:
        """A server that knows its giver takes this command."""
        self._let_in[command_id] = self._kernel.now

    def acted(self, command_id: str, actor: str, rows: Sequence[Transfer], *, by_token: bool) -> None:
        """A command of this person was committed with these transfers."""
        wrong = [row.actor for row in rows if row.actor != actor]
        if wrong:
            raise Broken("actors", f"what {actor} did stands in the ledger as {wrong}")
        if not by_token:
            return
        ago_s = self._kernel.now - self._let_in.get(command_id, -1e9)
        if ago_s > DONE_S:
            raise Broken("tokens", f"{command_id} of {actor} was let in {ago_s:.1f} s before it was done")
        self.counts["acted"] += 1

    # ------------------------------------------------------------ what people hear

    def told(self, name: str, password: str, since_s: float, *, right: bool) -> None:
        """Somebody who tried this password at `since_s` heard that it is right, or that it is not."""
        states = self._people[name].states if name in self._people else [(0.0, "")]
        ends = [later[0] for later in states[1:]] + [float("inf")]
        lately = [word for (_, word), end_s in zip(states, ends, strict=True) if end_s >= since_s]
        if right and password not in lately:
            raise Broken("log-ins", f"{name} was let in by {password!r}; right were {lately}")
        if not right and all(word == password for word in lately):
            raise Broken("log-ins", f"{name} was told that {password!r} is wrong; it was right all the time")
        self.counts["right" if right else "wrong"] += 1

    # ------------------------------------------------------------ the end

    def final(self, tables: AccessTables) -> None:
        """The audit log tells what was committed, no more and no less; whose token ended has none that works."""
        actions = sorted({action for action, _, _ in self._audits})
        columns = audit.c
        statement = sa.select(columns.action, columns.actor, columns.subject).where(columns.action.in_(actions))
        found = Counter(tuple(row) for row in tables.read(lambda conn: conn.execute(statement).all()))
        if found != self._audits:
            raise Broken("actors", f"the audit log has {found - self._audits} too many, {self._audits - found} too few")
        rows = tables.read(lambda conn: conn.execute(sa.select(access_token)).all())
        ended = {key for key, token in self._tokens.items() if token.ended_s is not None}
        wrong = [row.name for row in rows if bool(row.revoked_at) != (row.token_hash in ended)]
        if wrong or len(rows) != len(self._tokens):
            raise Broken("tokens", f"tokens of {wrong} are not ended as they were; {len(rows)} of {len(self._tokens)}")


def _wait_ms(found: Sequence[_Failures], free: int, longest_ms: int, now_ms: int) -> int:
    """From the fifth (tenth) failure on 1, 2, 4 … seconds since the last."""
    count = sum(one.count for one in found)
    if count < free:
        return 0
    last_ms = max(one.last_ms for one in found)
    pause_ms = min(longest_ms, 1000 << min(count - free, 10))
    return max(0, last_ms + pause_ms - now_ms)
