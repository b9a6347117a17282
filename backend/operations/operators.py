"""`inkeeper-server operator …`: people who log in, from the server's own command line, where the first administrator is
made.

A password comes from the terminal, typed twice, or from the first line of stdin: never from an argument, which every
user of the machine can see.
"""

import argparse
import getpass
import sys
from typing import Final, get_args

import sqlalchemy as sa

from backend.access import operators
from backend.access.passwords import hash_secret
from backend.base import cli
from backend.base.cli import UsageError
from backend.db.engine import Database
from backend.wire.access import CreateOperator, OperatorRole, OperatorView, SetOperator
from backend.wire.names import map_user_name

OPERATOR_ROLES: Final[tuple[OperatorRole, ...]] = get_args(OperatorRole)


def add_parser(parser: argparse.ArgumentParser) -> None:
    """The verbs and their options."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|set-password|disable|enable|list")
    create = verbs.add_parser(
        "create", help="make somebody who may log in; asks for a password, or reads it from stdin"
    )
    create.add_argument("--role", choices=OPERATOR_ROLES, required=True, help="what they may do")
    create.add_argument("--name", required=True, help="the name they log in with")
    create.add_argument("--full-name", default="", help="who they are")
    for verb, text in (
        ("set-password", "give somebody another password; they are logged out"),
        ("disable", "let somebody log in no more; they are logged out"),
        ("enable", "let somebody log in again"),
    ):
        verbs.add_parser(verb, help=text).add_argument("--name", required=True, help="the name they log in with")
    verbs.add_parser("list", help="who may log in")


def run(options: argparse.Namespace, database: Database, person: str) -> int:
    """Do it; the exit code. Raises AccessError, UsageError."""
    if options.verb == "list":
        with database.connect() as conn:
            _show(operators.list_operators(conn)[0])
        return cli.EXIT_OK
    name = map_user_name(options.name)
    if not name or len(options.name) > 255:
        raise UsageError("--name takes 1 to 255 characters")
    wants_password = options.verb in ("create", "set-password")
    password = read_password() if wants_password else ""
    hashed = hash_secret(password) if wants_password else None
    with database.connect(writing=True) as conn:
        _change(conn, options, name, password, hashed, person)
    return cli.EXIT_OK


def _change(
    conn: sa.Connection, options: argparse.Namespace, name: str, password: str, hashed: str | None, person: str
) -> None:
    if options.verb == "create":
        body = CreateOperator(name=name, full_name=options.full_name, role=options.role, password=password)
        operators.create_operator(conn, body, hashed or "", actor=person, role="admin")
        return
    disabled = {"disable": True, "enable": False}.get(options.verb)
    operators.set_operator(conn, name, SetOperator(disabled=disabled), hashed, actor=person, role="admin")


def read_password() -> str:
    """Typed twice at a terminal, else the first line of stdin. Raises PasswordTooShort, UsageError."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        operators.check_password(password)
        if getpass.getpass("The same again: ") != password:
            raise UsageError("the two passwords are not the same")
        return password
    password = sys.stdin.readline().rstrip("\r\n")
    operators.check_password(password)
    return password


def _show(found: tuple[OperatorView, ...]) -> None:
    for one in found:
        print(f"{one.name}\t{one.role}\t{'disabled' if one.disabled else 'may log in'}\t{one.full_name}")
