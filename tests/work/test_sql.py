"""SQL jobs against real databases: values are bound, results bounded, and time limited."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from jobd.core.executors import Misread, find
from jobd.core.model import Call, Ending
from jobd.core.states import Outcome
from jobd.work.databases import only_reads
from jobd.work.orders import Order
from tests.work import servers
from tests.work.harness import floor, key

EVIL = "x'); DROP TABLE person; --"


def order(run: int, options: dict[str, Any], payload: Any = None, **values: Any) -> Order:
    action = Call("sql", find("sql").read(options))
    return Order(key(run), "job", action, timeout_seconds=30.0, payload=json.dumps(payload), **values)


def asked(tmp_path: Path, *orders: Order) -> list[Ending]:
    """The ending of each, one after the other in one worker."""

    async def scenario() -> list[Ending]:
        async with floor(tmp_path, max_workers=1) as hall:
            return [(await hall.run(one))[0] for one in orders]

    return asyncio.run(scenario())


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = str(tmp_path / "shop.db")
    made = apsw.Connection(path)
    made.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT UNIQUE, photo BLOB)")
    made.execute("INSERT INTO person VALUES (1, 'ann', x'00ff'), (2, 'bob', NULL), (3, 'eve', NULL)")
    made.close()
    return path


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    if servers.PROGRAMS is None:
        pytest.skip("there is no PostgreSQL on this host")
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def maria() -> Iterator[str]:
    if servers.MARIADB is None or importlib.util.find_spec("mysql") is None:
        pytest.skip("there is no MariaDB on this host, or no connector")
    with servers.mariadb() as url:
        yield url


def test_rows_are_the_result_and_each_a_line_of_output(tmp_path: Path, database: str) -> None:
    async def scenario() -> tuple[Ending, bytes]:
        async with floor(tmp_path) as hall:
            statement = {"database": database, "statement": "SELECT id, name, photo FROM person WHERE id < :most"}
            (ending,) = await hall.run(order(1, statement | {"params": {"most": "${payload.n}"}}, {"n": 3}))
            return ending, hall.output(1)

    ending, output = asyncio.run(scenario())
    rows = [[1, "ann", "AP8="], [2, "bob", None]]
    assert ending.result == {"columns": ["id", "name", "photo"], "rows": rows}
    assert [json.loads(line) for line in output.splitlines()] == rows


def test_a_value_never_becomes_part_of_the_statement(tmp_path: Path, database: str) -> None:
    insert = {"database": database, "statement": "INSERT INTO person (name) VALUES (?)", "params": ["${payload.name}"]}
    count = {"database": f"sqlite://{database}", "statement": "SELECT name FROM person WHERE id = 4"}
    made, found = asked(tmp_path, order(1, insert, {"name": EVIL}), order(2, count))
    assert made.result == {"changed": 1}
    assert found.result["rows"] == [[EVIL]]


def test_rows_beyond_the_limit_are_not_fetched(tmp_path: Path, database: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT hex(zeroblob(1000)) FROM n"
    few, large = asked(
        tmp_path,
        order(1, {"database": database, "statement": endless, "row_limit": 2}),
        order(2, {"database": database, "statement": long}),
    )
    assert few.result == {"columns": ["i"], "rows": [[1], [2]], "cut": True}
    assert large.outcome is Outcome.SUCCEEDED and large.result["cut"] is True
    assert 100 < len(large.result["rows"]) < 1000


def test_a_statement_that_takes_too_long_is_ended(tmp_path: Path, database: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    options = {"database": database, "statement": endless}
    jobs = replace(order(2, options), timeout_seconds=0.2)
    own, late = asked(tmp_path, order(1, options | {"timeout": "200ms"}), jobs)
    assert (own.outcome, own.retryable) == (Outcome.FAILED, True)
    assert own.error == "the statement failed: it took longer than 0.2 s"
    assert late.outcome is Outcome.TIMEOUT


@pytest.mark.parametrize(
    ("statement", "params", "said", "again"),
    [
        ("SELEC 1", [], "syntax error", False),
        ("INSERT INTO person (name) VALUES ('ann')", [], "UNIQUE constraint failed", False),
        ("SELECT ?", [], "ncorrect number of bindings", False),
        ("DELETE FROM person; DROP TABLE person", [], "more than one statement, and nothing was done", False),
    ],
)
def test_what_the_database_refuses_is_a_failure_with_its_words(
    tmp_path: Path, database: str, statement: str, params: list[Any], said: str, again: bool
) -> None:
    refused, after = asked(
        tmp_path,
        order(1, {"database": database, "statement": statement, "params": params}),
        order(2, {"database": database, "statement": "SELECT count(*) FROM person"}),
    )
    assert (refused.outcome, refused.retryable) == (Outcome.FAILED, again)
    assert refused.error is not None and said in refused.error
    assert after.result["rows"] == [[3]]


def test_a_database_that_somebody_else_holds_is_worth_another_try(tmp_path: Path, database: str) -> None:
    holder = apsw.Connection(database)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        options = {"database": database, "statement": "SELECT 1 FROM person", "timeout": "100ms"}
        (ending,) = asked(tmp_path, order(1, options))
    finally:
        holder.close()
    assert (ending.outcome, ending.retryable) == (Outcome.FAILED, True)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (ending,) = asked(tmp_path, order(1, {"database": f"{tmp_path}/none.db", "statement": "SELECT 1"}))
    assert (ending.outcome, ending.retryable) == (Outcome.FAILED, False)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.slow
def test_postgresql_is_asked_with_bound_values(tmp_path: Path, postgres: str) -> None:
    kinds = (
        "SELECT 1.10::numeric AS money, '2026-01-02 03:04+00'::timestamptz AS at, '{\"a\": [1]}'::jsonb AS doc,"
        " 'NaN'::float8 AS nan, %s AS evil"
    )
    made, inserted, found, slow, wrong = asked(
        tmp_path,
        order(1, {"database": postgres, "statement": "CREATE TABLE person (name text)"}),
        order(
            2,
            {"database": postgres, "statement": "INSERT INTO person VALUES (%(n)s)", "params": {"n": "${payload.n}"}},
            {"n": EVIL},
        ),
        order(3, {"database": postgres, "statement": kinds, "params": [EVIL]}),
        order(4, {"database": postgres, "statement": "SELECT pg_sleep(30)", "timeout": "200ms"}),
        order(5, {"database": postgres, "statement": "SELECT * FROM nothing"}, isolate=True),
    )
    assert (made.outcome, inserted.result) == (Outcome.SUCCEEDED, {"changed": 1})
    (row,) = found.result["rows"]
    assert (row[0], row[2:]) == ("1.10", [{"a": [1]}, "nan", EVIL])
    assert row[1].startswith("2026-01-02T")
    assert (slow.error, slow.retryable) == ("the statement failed: it took longer than 0.2 s", True)
    assert wrong.error is not None and 'relation "nothing" does not exist' in wrong.error
    assert not wrong.retryable


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i > %s"


@pytest.mark.slow
def test_postgresql_sends_no_more_than_is_wanted_and_takes_nothing_back(tmp_path: Path, postgres: str) -> None:
    statements: list[dict[str, Any]] = [
        {"statement": ENDLESS, "params": [3], "row_limit": 2},
        {"statement": "CREATE TABLE tally (n int)"},
        {"statement": "INSERT INTO tally SELECT generate_series(1, 5000) RETURNING n", "row_limit": 2},
        {"statement": "WITH new AS (INSERT INTO tally VALUES (0) RETURNING n) SELECT n FROM new"},
        {"statement": "/* how many */ (SELECT count(*) FROM tally);"},
        {"statement": "SELECT n FROM tally WHERE n < 0"},
        {"statement": "SHOW server_encoding"},
        {"statement": "SELECT n INTO small FROM tally WHERE n < 4"},
        {"statement": "SELECT * FORM tally"},
    ]
    orders = (order(n, one | {"database": postgres}) for n, one in enumerate(statements, 1))
    endless, _, returned, by_with, counted, none, shown, into, wrong = asked(tmp_path, *orders)
    assert endless.result == {"columns": ["i"], "rows": [[4], [5]], "cut": True}, endless.error
    assert returned.result == {"columns": ["n"], "rows": [[1], [2]], "cut": True}
    assert by_with.result == {"columns": ["n"], "rows": [[0]]}
    assert counted.result == {"columns": ["count"], "rows": [[5001]]}, "all of it was done, and is kept"
    assert none.result == {"columns": ["n"], "rows": []}
    assert shown.result == {"columns": ["server_encoding"], "rows": [["UTF8"]]}
    assert into.result == {"changed": 4}, into.error
    assert wrong.error is not None and "syntax error" in wrong.error


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("SELECT 1", True),
        (" -- a note\n /* and\nanother */ (select 1)", True),
        ("with x as (select 1) select * from x", True),
        ("selection", False),
        ("INSERT INTO x SELECT 1", False),
        ("/* select */ delete from x", False),
    ],
)
def test_what_reads_is_known_by_how_it_begins(statement: str, reads: bool) -> None:
    assert only_reads(statement) is reads


def test_a_server_that_is_not_there_is_worth_another_try(tmp_path: Path) -> None:
    url = f"postgresql://ann:secret@127.0.0.1:{servers.free_port()}/shop"
    (ending,) = asked(tmp_path, order(1, {"database": url, "statement": "SELECT 1"}))
    assert (ending.outcome, ending.retryable) == (Outcome.FAILED, True)
    assert ending.error is not None and "secret" not in ending.error


@pytest.mark.slow
def test_mysql_is_asked_with_bound_values(tmp_path: Path, maria: str) -> None:
    password = tmp_path / "password"
    password.write_text("pa ss/w@rd\n")
    own = {"database": maria, "password_file": str(password)}
    made, inserted, found, wrong = asked(
        tmp_path,
        order(1, own | {"statement": "CREATE TABLE person (name text)"}),
        order(2, own | {"statement": "INSERT INTO person VALUES (%s)", "params": ["${payload.n}"]}, {"n": EVIL}),
        order(3, own | {"statement": "SELECT name, 1.10 AS money FROM person"}),
        order(4, own | {"statement": "SELECT * FROM nothing"}, isolate=True),
    )
    endless = {"statement": "SELECT seq, repeat('x', 1000) FROM seq_1_to_100000000", "row_limit": 2}
    several = "INSERT INTO person SELECT seq FROM seq_1_to_3000 RETURNING name"
    large, returned, counted = asked(
        tmp_path / "again",
        order(5, own | endless),
        order(6, own | {"statement": several, "row_limit": 2}),
        order(7, own | {"statement": "SELECT count(*) AS n FROM person"}),
    )
    assert large.result is not None, large.error
    assert [row[0] for row in large.result["rows"]] == [1, 2] and large.result["cut"] is True
    assert len(returned.result["rows"]) == 2 and counted.result["rows"] == [[3001]], "all of it was done, and is kept"
    assert (made.outcome, inserted.result) == (Outcome.SUCCEEDED, {"changed": 1})
    assert found.result == {"columns": ["name", "money"], "rows": [[EVIL, "1.10"]]}
    assert wrong.error is not None and "doesn't exist" in wrong.error
    assert not wrong.retryable


@pytest.mark.parametrize(
    ("options", "steps", "said"),
    [
        ({"statement": "SELECT 1"}, [], "lacks database"),
        ({"database": "shop.db", "statement": "x"}, ["database"], "is no database"),
        ({"database": "oracle://x/y", "statement": "x"}, ["database"], "is no database"),
        ({"database": "/srv/${payload.x}", "statement": "x"}, ["database"], "from the payload"),
        ({"database": "/a", "statement": "SELECT ${payload.x}"}, ["statement"], "put it in params"),
        ({"database": "/a", "statement": " "}, ["statement"], "is empty"),
        ({"database": "/a", "statement": "x", "params": 5}, ["params"], "neither a list nor a mapping"),
        ({"database": "/a", "statement": "x", "row_limit": 0}, ["row_limit"], "out of range"),
        ({"database": "/a", "statment": "x", "statement": "x"}, ["statment"], 'did you mean "statement"?'),
    ],
)
def test_what_is_wrong_with_a_statement_is_said_when_it_is_loaded(
    options: dict[str, Any], steps: list[str], said: str
) -> None:
    with pytest.raises(Misread) as caught:
        find("sql").read(options)
    ((where, message),) = caught.value.faults
    assert where == steps
    assert said in message


def test_a_payload_that_cannot_be_bound_is_refused_when_it_is_submitted() -> None:
    action = Call("sql", find("sql").read({"database": "/a", "statement": "x", "params": ["${payload.x}"]}))
    ((_, lacking),) = find("sql").faults(action, {})
    assert "has no 'x'" in lacking
    ((_, nested),) = find("sql").faults(action, {"x": [1]})
    assert "only single values can be bound" in nested
    assert find("sql").faults(action, {"x": None}) == ()
