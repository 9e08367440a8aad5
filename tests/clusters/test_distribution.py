"""`byline db distribute` moves each table of a Citus cluster to its place, or none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import groupby

import pytest
import sqlalchemy as sa

from service.engine.database.distribution import column_of, group, place
from service.engine.database.transaction import db
from tests.kit import citus, commands, databases
from tests.kit.commands import run

FOREIGN_KEYS = """SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text = ANY ({names})
    AND conparentid = 0 ORDER BY 1"""
PRIMARY_KEYS = """SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text = ANY ({names})"""
PLACES = """SELECT relname, citus_table_type, distribution_column, colocation_id
    FROM citus_tables JOIN pg_class ON pg_class.oid = table_name::regclass
    WHERE table_name::regclass = to_regclass(quote_ident(relname))"""
KIND = {"everywhere": "reference", "coordinator": "local"}


@pytest.fixture(params=citus.KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """A database with the schema, on a cluster, that is not distributed."""
    return citus.undistributed(request.param)


@pytest.fixture
def standing_in() -> str:
    return citus.undistributed("stand-in")


@pytest.fixture
def distribute(tmp_path) -> Callable[..., tuple[int, str]]:
    """Runs the command: its exit code and what it says."""

    def command(url: str, *options: str) -> tuple[int, str]:
        done = run(tmp_path, "db", "distribute", *options, DATABASE_URL=url)
        return done.returncode, done.stdout + done.stderr

    return command


def named(statement: str, *others: str) -> str:
    tables = [*(table.name for table in db.metadata.sorted_tables), *others]
    return statement.format(names="ARRAY[" + ", ".join(f"'{name}'" for name in tables) + "]")


def test_each_table_goes_to_its_place_and_keeps_its_keys(url, distribute):
    before = citus.execute(url, named(FOREIGN_KEYS))
    code, said = distribute(url, "--yes", "--shards", "4")
    assert (code, said.splitlines()[-1]) == (0, "The tables are distributed.")
    assert "  the primary key of sessions becomes (id, user_id)\n" in said
    assert "  the trigger fill_email_key of users is dropped\n" in said
    assert citus.execute(url, named(FOREIGN_KEYS)) == before != []
    rows = citus.execute(url, PLACES)
    found = {name: (kind, column) for name, kind, column, _ in rows}
    assert found.pop("alembic_version")[0] == "reference"
    assert {name: kind for name, (kind, _) in found.items()} == {
        table.name: KIND.get(str(place(table)), "distributed")
        for table in db.metadata.sorted_tables
    }
    spread = [table for table in db.metadata.sorted_tables if column_of(place(table))]
    assert {table.name: found[table.name][1] for table in spread} == {
        table.name: column_of(place(table)) for table in spread
    }
    together = {name: number for name, _, _, number in rows}
    groups = [list(its) for _, its in groupby(sorted(spread, key=group), key=group)]
    numbers = [{together[table.name] for table in its} for its in groups]
    assert all(len(one) == 1 for one in numbers)
    assert len(set.union(*numbers)) == len(groups)
    keys = dict(citus.execute(url, named(PRIMARY_KEYS)))
    assert keys["sessions"] == "PRIMARY KEY (id, user_id)"
    assert keys["posts"] == "PRIMARY KEY (id)"  # posts
    assert keys["post_documents"] == "PRIMARY KEY (id, post_id)"  # posts


def test_only_copies_of_rows_that_have_moved_are_removed(standing_in, distribute):
    distribute(standing_in, "--yes")
    kept = "SELECT table_name FROM pg_dist_partition p JOIN citus_tables ON table_name ="
    kept += " logicalrelid WHERE truncated <> (citus_table_type <> 'local')"
    assert citus.execute(standing_in, kept) == []


def test_it_says_what_it_will_do_and_does_it_only_when_told(standing_in, distribute):
    code, said = distribute(standing_in)
    first, *lines = said.splitlines()
    assert (code, first) == (2, "8 shards of each spread table, on 2 machines")
    assert "  copied to every machine: alembic_version, users, deletions" in lines
    assert "Add --yes if DATABASE_URL is the database you mean." in lines[-1]
    assert citus.execute(standing_in, PLACES) == []


def test_it_is_done_once(url, distribute):
    assert distribute(url, "--yes")[0] == 0
    code, said = distribute(url, "--yes")
    assert code == 2
    assert said.startswith("Error: The database is distributed already: alembic_version,")


UNREADY = {
    "DROP TABLE pg_dist_node": "is not that of a Citus cluster",
    "DELETE FROM pg_dist_node WHERE groupid = 0": "citus_set_coordinator_host",
    "DELETE FROM pg_dist_node WHERE groupid > 0": "has no workers",
    "UPDATE alembic_version SET version_num = 'users_0016' WHERE version_num LIKE 'users%'": (
        "The schema is behind: run `byline db upgrade` first."
    ),
    "INSERT INTO alembic_version VALUES ('own_0001')": "The schema is newer",
    "CREATE TABLE orders (user_id uuid REFERENCES users)": "orders and users, and one of them",
    "CREATE TRIGGER remember BEFORE UPDATE ON users FOR EACH ROW"
    " EXECUTE FUNCTION fill_email_key()": "The trigger remember of users cannot exist",
}


@pytest.mark.parametrize("change", UNREADY)
def test_what_is_in_the_way_is_said_before_anything_is_changed(standing_in, distribute, change):
    citus.execute(standing_in, change)
    before = citus.execute(standing_in, named(PRIMARY_KEYS))
    code, said = distribute(standing_in, "--yes")
    assert code in {1, 2}
    assert UNREADY[change] in said
    assert citus.execute(standing_in, named(PRIMARY_KEYS)) == before


def test_all_is_as_it_was_when_a_step_fails(standing_in, distribute):
    broken = "CREATE OR REPLACE FUNCTION create_distributed_table(table_name regclass,"
    broken += " distribution_column text, distribution_type text DEFAULT 'hash', colocate_with"
    broken += " text DEFAULT 'default', shard_count int DEFAULT NULL) RETURNS void LANGUAGE"
    broken += " plpgsql AS $$ BEGIN PERFORM refuse('the disk of a worker is full'); END $$"
    citus.execute(standing_in, broken)
    every = [FOREIGN_KEYS, PRIMARY_KEYS, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"]
    state = partial(citus.execute, standing_in)
    before = [state(named(statement)) for statement in every]
    assert distribute(standing_in, "--yes") == (
        1,
        "\n".join(
            [*_summary(standing_in), "Error: Database error: the disk of a worker is full", ""]
        ),
    )
    assert [state(named(statement)) for statement in every] == before
    assert state(PLACES) == []


def _summary(url: str) -> list[str]:
    with commands.create_flask(citus.Settings(_env_file=None, database_url=url)).app_context():
        with db.engine.connect() as connection:
            first, *lines = citus.citus.plan(connection, db.metadata, None).summary
        db.engine.dispose()
    return [first, *(f"  {line}" for line in lines)]


def test_neither_the_embedded_database_nor_pgbouncer_is_a_cluster(tmp_path, distribute):
    databases.upgrade(embedded := f"sqlite:///{tmp_path}/byline.db")
    assert distribute(embedded, "--yes") == (
        2,
        "Error: DATABASE_URL is not that of a Citus cluster\n",
    )
    pooled = sa.make_url(citus.undistributed("stand-in")).update_query_dict({"pgbouncer": "true"})
    code, said = distribute(pooled.render_as_string(hide_password=False), "--yes")
    assert (code, "DATABASE_URL names a PgBouncer" in said) == (2, True)
