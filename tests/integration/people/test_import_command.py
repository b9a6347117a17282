"""`inkeeper-server users import` and the route of the console: told on the terminal, told as JSON."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.main import main
from backend.wire.people import ImportAnswer, ImportRow, ImportUsers, UserDetails, UserList
from tests.support.api import Api, scene
from tests.support.app_server import AppServer

Said = tuple[int, str, str]
LIST = "Name;Full name;Card number;Balance\nann;Ann Müller;1;\nbob;Bob;1;\nANN;;;\ncarl;Carl;2;1,5\ndave;Dave;3;2.5\n"


@pytest.fixture
def call(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    config = AppServer(tmp_path, database_url=url).config

    def run(*words: str) -> Said:
        code = main(["--config", str(config), "users", "import", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_list_is_imported(tmp_path: Path, call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users.csv"
    file.write_text(LIST)
    code, out, err = call("--dry-run", "--initial-credit", "5", str(file))
    assert (code, out) == (1, "dry run, nothing was done: 2 created, 0 changed, 0 unchanged, 3 refused\n")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["line 3 (bob)", "line 4 (ann)", "line 5 (carl)"]
    assert call("--initial-credit", "5", str(file))[:2] == (1, "2 created, 0 changed, 0 unchanged, 3 refused\n")
    assert call("--no-update", str(file))[:2] == (1, "0 created, 0 changed, 2 unchanged, 3 refused\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"eve\t1.00\tY\tEve\n")))
    assert call("--papercut", "-")[:2] == (0, "1 created, 0 changed, 0 unchanged, 0 refused\n")


@pytest.mark.parametrize(
    ("content", "words", "code", "says"),
    [
        ("name,shoe size\nann,40\n", [], 1, "users.csv: the column 'shoe size' is not known"),
        ("name\nann\n", ["--initial-credit", "much"], 2, "--initial-credit takes"),
        ("name\nann\n", ["--initial-credit", "-1"], 2, "--initial-credit takes"),
        (None, [], 1, "cannot be read: No such file"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, call: Callable[..., Said], content: str | None, words: list[str], code: int, says: str
) -> None:
    file = tmp_path / "users.csv"
    if content is not None:
        file.write_text(content)
    found, out, err = call(*words, str(file))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert says in err


def test_the_console_imports_by_the_api(url: str) -> None:
    async def play(server: Api) -> None:
        rows = (
            ImportRow(row=2, name="CAMPUS\\Ann", details=UserDetails(full_name="Ann"), balance=500),
            ImportRow(row=3, name="bob", details=UserDetails(email="bob")),
        )
        path = "/api/v1/users/import"
        for dry_run, left in ((True, 0), (False, 1)):
            body = ImportUsers(rows=rows, dry_run=dry_run)
            answer = await server.ask("POST", path, ImportAnswer, body)
            assert (answer.created, answer.updated, answer.unchanged) == (1, 0, 0)
            assert [(it.row, it.name, it.text) for it in answer.troubles] == [(3, "bob", "'bob' is no e-mail address")]
            users = await server.ask("GET", "/api/v1/users", UserList)
            assert users.total == left
        assert [(it.name, it.full_name, it.balance) for it in users.users] == [("ann", "Ann", 500)]
        assert (await server.ask("POST", path, ImportAnswer, ImportUsers(rows=rows))).unchanged == 1
        many = ImportUsers(rows=tuple(ImportRow(row=number, name=f"u{number}") for number in range(501)))
        assert (await server.refused("POST", path, many)).code == "invalid"
        assert (await server.refused("POST", path, ImportUsers(rows=rows), role="helpdesk")).code == "forbidden"

    scene(url, play)
