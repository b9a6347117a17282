"""From what clients send to what methods work with."""

from typing import Any

import pytest

from backend.compat.arguments import Argument, Kind, Signature, taken
from backend.compat.faults import Code, Fault
from backend.compat.xmlrpc import Scalar, Value


def take(kind: Kind, value: Value) -> Any:
    return taken(Signature((Argument("it", kind),), 1), [value], 4)[0]


def text(value: str) -> Scalar:
    return Scalar("string", value)


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (Kind.TEXT, text(" a "), " a "),
        (Kind.TEXT, Scalar("int", "007"), "007"),
        (Kind.TEXT, Scalar("boolean", "true"), "true"),
        (Kind.TEXT, Scalar("double", "1.50"), "1.50"),
        (Kind.TEXT, None, ""),
        (Kind.USER, text("DOMAIN\\Bob"), "bob"),
        (Kind.USER, text("Bob@example.org"), "bob"),
        (Kind.USER, Scalar("int", "0042"), "0042"),
        (Kind.TEXTS, [text("a"), None, Scalar("int", "1")], ["a", "", "1"]),
        (Kind.COUNT, Scalar("int", "+5"), 5),
        (Kind.FLAG, Scalar("boolean", "false"), False),
        (Kind.MONEY, Scalar("double", "1.1"), 11000),
        (Kind.MONEY, Scalar("double", "3.3000000000000003"), 33000),
        (Kind.MONEY, Scalar("double", "1.9465000000000003"), 19465),
        (Kind.MONEY, Scalar("double", "0.00005"), 0),
        (Kind.MONEY, Scalar("double", "-1.0E7"), -100_000_000_000),
        (Kind.MONEY, Scalar("int", "10"), 100_000),
    ],
)
def test_taken(kind: Kind, value: Value, result: object) -> None:
    assert take(kind, value) == result


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        (Kind.USER, text(""), 259),
        (Kind.USER, text("  "), 259),
        (Kind.USER, None, 259),
        (Kind.USER, text("@example.org"), 259),
        (Kind.TEXT, [], 257),
        (Kind.TEXT, {}, 257),
        (Kind.TEXT, text("x" * 70_000), 257),
        (Kind.TEXTS, text("a"), 257),
        (Kind.TEXTS, [[text("a")]], 257),
        (Kind.COUNT, text("5"), 257),
        (Kind.COUNT, Scalar("int", "-1"), 257),
        (Kind.COUNT, Scalar("int", "2147483648"), 257),
        (Kind.COUNT, Scalar("double", "5"), 257),
        (Kind.COUNT, None, 257),
        (Kind.FLAG, text("true"), 257),
        (Kind.MONEY, text("1.5"), 257),
        (Kind.MONEY, None, 257),
        (Kind.MONEY, Scalar("boolean", "true"), 257),
        (Kind.MONEY, Scalar("double", "1e300"), 275),
        (Kind.MONEY, Scalar("double", "1e999"), 275),
        (Kind.MONEY, Scalar("double", "900719925474.0993"), 275),
        (Kind.MONEY, Scalar("double", "9" * 300), 275),
    ],
)
def test_refused(kind: Kind, value: Value, code: int) -> None:
    with pytest.raises(Fault) as caught:
        take(kind, value)
    assert caught.value.code == code


def test_largest_amounts_are_exact() -> None:
    assert take(Kind.MONEY, Scalar("double", "900719925474.0992")) == 2**53
    assert take(Kind.MONEY, Scalar("double", "-900719925474.0992")) == -(2**53)


TWO = Signature((Argument("user", Kind.USER), Argument("amount", Kind.MONEY), Argument("account", Kind.TEXT)), 2)


def test_arity() -> None:
    given: list[Value] = [text("bob"), Scalar("int", "1"), text(""), text("more")]
    assert taken(TWO, given[:2], 4) == ["bob", 10000]
    assert taken(TWO, given[:3], 4) == ["bob", 10000, ""]
    for wrong in (given[:1], given):
        with pytest.raises(Fault, match=r"takes \(authToken, user, amount double\[, account\]\)"):
            taken(TWO, wrong, 4)


@pytest.mark.parametrize(
    ("words", "text_out"),
    [
        ('User "john.smith" cannot be found', 'User "john.smith" cannot be found'),
        ("srv.x: gone", "srv.x : gone"),
        ("at a.b.c:d", "at a.b.c :d"),
    ],
)
def test_no_fault_text_holds_what_java_clients_cut_off(words: str, text_out: str) -> None:
    assert Fault(Code.GENERAL, words).text == text_out


@pytest.mark.parametrize(("written", "minutes"), [("-1", -1), ("1", 1), ("+90", 90)])
def test_minutes(written: str, minutes: int) -> None:
    assert take(Kind.MINUTES, Scalar("int", written)) == minutes


@pytest.mark.parametrize(
    "value", [Scalar("int", "0"), Scalar("int", "-2"), Scalar("int", "99999999999"), text("5"), None]
)
def test_minutes_refused(value: Value) -> None:
    with pytest.raises(Fault):
        take(Kind.MINUTES, value)


def test_pairs_come_as_arrays_or_as_a_struct() -> None:
    assert take(Kind.PAIRS, [[text("a"), Scalar("boolean", "true")], [text("b"), None]]) == [("a", "true"), ("b", "")]
    assert take(Kind.PAIRS, {"a": text("1")}) == [("a", "1")]
    assert take(Kind.PAIRS, []) == []
    wrong_ones: list[Value] = [text("a"), [text("a")], [[text("a")]], [[text("a"), text("b"), text("c")]], None]
    for wrong in wrong_ones:
        with pytest.raises(Fault):
            take(Kind.PAIRS, wrong)
