"""Prepared statements on PostgreSQL, which libpq sends as text, several in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql as dialect

from service.engine.database import libpq
from service.engine.database.statements import Prepared
from service.engine.database.transaction import Transaction, db
from service.engine.database.types import Id, Time
from tests.kit.postgres_cluster import Cluster, cluster
from tests.kit.serving import Server, serving

ID = "01936ad2-7c5e-7def-8abc-0123456789ab"
THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("of", sa.Integer),
)
_insert = Prepared(sa.insert(THINGS).values({"id": bindparam("new"), "of": bindparam("parent")}))
_count = Prepared(sa.select(sa.func.count()).select_from(THINGS))
_all = Prepared(sa.select(THINGS.c.of).order_by(THINGS.c.id))


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def owner(own: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("libpq"), database_url=own.create("libpq")) as server:
        yield server


@pytest.fixture
def things(own: Cluster, owner: Server) -> Iterator[Server]:
    """A table whose rows may refer to another one; that is checked at the end of a transaction."""
    refers = "REFERENCES things DEFERRABLE INITIALLY DEFERRED"
    own.execute("DROP TABLE IF EXISTS things", "libpq")
    own.execute(f"CREATE TABLE things (id integer PRIMARY KEY, of integer {refers})", "libpq")
    with owner.flask.app_context():
        db.engine.dispose()  # whose connections have planned for the table before
        yield owner


def count() -> int:
    with db.transaction(writes=False):
        row = _count.first()
    assert row
    return int(row[0])


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("Größe 東京 \N{GRINNING FACE} \\ ' \" %s $1", sa.Text()),
        ("", sa.Text()),
        (None, sa.Text()),
        ("x" * 5_000_000, sa.Text()),
        (2**62, sa.BigInteger()),
        (-1, sa.Integer()),
        (0.1, sa.Float()),
        (True, sa.Boolean()),
        (False, sa.Boolean()),
        (bytes(range(256)), sa.LargeBinary()),
        (["a", "%_\\", '{,"}'], dialect.ARRAY(sa.Text)),
        ([], dialect.ARRAY(sa.Text)),
        (ID, Id()),
        ("2026-11-30T09:41:00.123Z", Time()),
        ("2026-11-30T09:41:00.120Z", Time()),
        ("2026-11-30T09:41:00.500Z", Time()),
        ("2026-11-30T09:41:00.000Z", Time()),
        ("0001-01-01T00:00:00.000Z", Time()),
        ("9999-12-31T23:59:59.999Z", Time()),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_value_comes_back_as_it_went(things: Server, value: Any, type_: Any) -> None:
    statement = Prepared(sa.select(sa.cast(bindparam("value", type_=type_), type_).label("it")))
    with db.transaction(writes=False):
        for _ in range(2):  # unknown to the connection, and prepared
            row = statement.first(value=value)
            assert row is not None
            assert row.it == value
            assert statement.tuples(value=value) == [(value,)]


def test_a_nul_is_refused_and_ends_no_text_early(things: Server) -> None:
    statement = Prepared(sa.select(bindparam("value", type_=sa.Text).label("it")))
    with db.transaction(writes=False), pytest.raises(sa.exc.DataError):
        statement.first(value="before\0after")


def test_a_column_of_another_kind_of_moment_or_id_is_refused(things: Server) -> None:
    for type_ in (sa.DateTime(timezone=True), sa.Uuid()):
        with db.transaction(writes=False), pytest.raises(TypeError, match="use Id or Time"):
            Prepared(sa.select(sa.cast(bindparam("value"), type_).label("it"))).first(value=None)


def test_a_migration_may_change_the_type_of_a_column_that_is_read(
    things: Server, own: Cluster
) -> None:
    with db.transaction() as transaction:
        _insert.write(new=1, parent=None)
        transaction.commit()
        assert _all.tuples() == [(None,)]
        own.execute("ALTER TABLE things ALTER of TYPE bigint", "libpq")
        with pytest.raises(sa.exc.DBAPIError) as planned:
            _all.tuples()
        assert planned.value.connection_invalidated  # so the work is done again
    with db.transaction(writes=False):
        assert _all.tuples() == [(None,)]


def test_a_connection_keeps_a_limited_number_of_statements(
    things: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libpq, "MAX_PREPARED", 3)
    kept = "SELECT count(*) FROM pg_prepared_statements"
    with db.transaction(writes=False) as transaction:
        for _ in range(2):
            for number in range(9):
                statement = Prepared(sa.select(sa.literal_column(str(number)).label("it")))
                assert statement.tuples() == [(number,)]
        assert transaction.execute(kept, None).fetchone() == (3,)


def test_no_result_is_kept_after_it_was_read(things: Server) -> None:
    statement = Prepared(sa.select(sa.cast(bindparam("value"), sa.Text).label("it")))
    with db.transaction(writes=False) as transaction:
        statement.first(value="x")
        [loader] = transaction._driver.statements._loaders.values()
        assert loader.pgresult is None


def later(transaction: Transaction, *rows: tuple[int, int | None], **options: Any) -> None:
    for id_, parent in rows:
        _insert.write_later(**options, new=id_, parent=parent)
    assert not transaction.is_committed


def test_what_is_left_for_later_is_written_with_the_commit(things: Server) -> None:
    for number, rows in enumerate([[(1, None)], [(2, 1), (3, 2)]]):
        with db.transaction() as transaction:
            later(transaction, *rows)
            assert count() == number
            transaction.commit()
    assert count() == 3


def test_what_is_left_for_later_comes_before_what_is_asked(things: Server) -> None:
    with db.transaction() as transaction:
        later(transaction, (1, None), (2, 1))
        assert _all.tuples() == [(None,), (1,)]
        assert count() == 0  # for others
        transaction.commit()
    assert count() == 2


@pytest.mark.parametrize("end", [Transaction.rollback, Transaction.close])
def test_what_is_left_for_later_is_forgotten_without_a_commit(
    things: Server, end: Callable[[Transaction], None]
) -> None:
    with db.transaction() as transaction:
        later(transaction, (1, None))
        end(transaction)
        transaction.commit()
    with db.transaction() as transaction:
        later(transaction, (1, None))
    assert count() == 0


@pytest.mark.parametrize("rows", [[(1, None), (1, None), (2, None)], [(1, 9)], [(1, None), (2, 9)]])
@pytest.mark.parametrize("begun", [False, True])
def test_nothing_is_written_if_one_of_them_fails(
    things: Server, rows: list[tuple[int, int | None]], begun: bool
) -> None:
    with db.transaction() as transaction:
        if begun:
            _insert.write(new=7, parent=None)
        later(transaction, *rows)
        with pytest.raises(sa.exc.IntegrityError):
            transaction.commit()
        transaction.rollback()
    assert count() == 0
    with db.transaction() as transaction:  # the connection is good
        later(transaction, (1, None))
        transaction.commit()
    assert count() == 1


class _Refused(Exception):
    """What a check raises."""


def test_a_check_is_given_the_number_of_rows_and_may_refuse(things: Server) -> None:
    counts: list[int] = []

    def refuse(rows: int) -> None:
        counts.append(rows)
        raise _Refused

    with db.transaction() as transaction:
        later(transaction, (1, None), check=refuse)
        with pytest.raises(_Refused):
            transaction.send_queued()
    assert (counts, count()) == ([1], 0)


@pytest.mark.parametrize("begun", [False, True])
def test_a_check_may_ask_for_its_reason_although_a_later_statement_has_failed(
    things: Server, begun: bool
) -> None:
    def refuse(_: int) -> None:
        assert count() == 0
        assert _count.first() == (0,)
        raise _Refused

    with db.transaction() as transaction:
        if begun:
            _insert.write(new=7, parent=None)
        later(transaction, (1, None), check=refuse)
        later(transaction, (1, None))
        with pytest.raises(_Refused):
            transaction.send_queued()
    assert count() == 0


def test_a_lost_connection_is_told_with_what_was_left_for_later(
    things: Server, own: Cluster
) -> None:
    with db.transaction() as transaction:
        [pid] = transaction.execute("SELECT pg_backend_pid()", None).fetchone()
        own.execute(f"SELECT pg_terminate_backend({pid})")
        later(transaction, (1, None), (2, None))
        with pytest.raises(sa.exc.OperationalError) as lost:
            transaction.send_queued()
        assert lost.value.connection_invalidated
    assert count() == 0


def test_only_a_statement_that_changes_or_locks_something_begins_a_transaction(
    things: Server,
) -> None:
    locking = Prepared(sa.select(THINGS.c.id).with_for_update())
    noting = Prepared(sa.select(sa.func.pg_advisory_xact_lock(1)))
    with db.transaction() as transaction:
        _all.tuples()
        driver = transaction._driver
        assert driver.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        for statement in (locking, noting):
            statement.first()
            assert driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
            transaction.rollback()
