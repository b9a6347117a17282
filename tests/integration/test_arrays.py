"""Array parameters as PostgreSQL reads them: every value comes back as it was, whatever shape its column has."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.db.arrays import encoder
from backend.db.libpq import PipelineConnection
from tests.support.postgresql import Postgres

TYPES = ("boolean", "smallint", "integer", "bigint", "text", "uuid")
STATEMENTS = {
    name.encode(): f"SELECT v::text FROM unnest($1::{name}[]) WITH ORDINALITY AS t (v, n) ORDER BY n" for name in TYPES
}

numbers = st.integers(-(2**63), 2**63 - 1)
any_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


def told(postgres: Postgres, sql_type: str, values: Sequence[object]) -> list[str | None]:
    """What PostgreSQL says the array holds, each value as text."""

    async def ask() -> list[str | None]:
        conninfo = f"host=127.0.0.1 port={postgres.port} user=postgres dbname=postgres"
        connection = await PipelineConnection.connect(conninfo, STATEMENTS, 30)
        try:
            (result,) = await connection.run([(sql_type.encode(), (encoder(sql_type)(values),))], 30)
            return [row[0] for row in connection.rows(result)]
        finally:
            connection.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("sql_type", "values", "said"),
    [
        ("bigint", [], []),
        ("bigint", [7], ["7"]),
        ("bigint", [0, 0, 0], ["0", "0", "0"]),
        ("bigint", [None, -(2**63), 2**63 - 1], [None, str(-(2**63)), str(2**63 - 1)]),
        ("bigint", [None, None], [None, None]),
        ("smallint", [1, 2, 4], ["1", "2", "4"]),
        ("integer", [-1, 2**31 - 1], ["-1", str(2**31 - 1)]),
        ("boolean", [True, False, True], ["true", "false", "true"]),
        ("uuid", [None, "01890a5d-ac96-774b-bcce-b302099a8057"], [None, "01890a5d-ac96-774b-bcce-b302099a8057"]),
        ("uuid", ["01890a5d-ac96-774b-bcce-b302099a8057"] * 2, ["01890a5d-ac96-774b-bcce-b302099a8057"] * 2),
        ("uuid", [], []),
        ("text", [], []),
        ("text", ["", "NULL", '{"a\\b"}', "ä€😀", "two\nlines"], ["", "NULL", '{"a\\b"}', "ä€😀", "two\nlines"]),
        ("text", ["nul\x00byte", "half \ud83d pair"], ["nul\ufffdbyte", "half ? pair"]),
    ],
)
def test_what_is_sent_is_what_is_read(
    postgres: Postgres, sql_type: str, values: list[object], said: list[str | None]
) -> None:
    assert told(postgres, sql_type, values) == said


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | numbers), st.lists(any_text), st.lists(st.uuids()))
def test_any_column(postgres: Postgres, some: list[int | None], words: list[str], ids: list[object]) -> None:
    assert told(postgres, "bigint", some) == [None if n is None else str(n) for n in some]
    assert told(postgres, "text", words) == words
    assert told(postgres, "uuid", [str(i) for i in ids]) == [str(i) for i in ids]
