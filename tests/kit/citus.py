"""A Citus for the tests: the cluster in TEST_CITUS_URL, or a PostgreSQL with stand-ins for its
functions, which refuse what Citus refuses and move nothing.

TEST_CITUS_URL is the URL of a database of its coordinator, in which the extension is created and
the nodes are registered. Each test has a schema of its own there, which is dropped in the end.
"""

from __future__ import annotations

import atexit
import os
import secrets
from functools import cache
from typing import Any

import sqlalchemy as sa

from service import migrations
from service.engine.database import citus
from service.engine.database.transaction import db
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import databases, postgres

CLUSTER = os.environ.get("TEST_CITUS_URL")
KINDS = ["stand-in", *(["citus"] if CLUSTER else [])]
# After docs.citusdata.com, "Citus Utility Functions", and what its sources refuse.
STAND_INS = """
CREATE TABLE pg_dist_node (groupid int, shouldhaveshards bool, isactive bool, noderole text);
INSERT INTO pg_dist_node VALUES (0, false, true, 'primary'), (1, true, true, 'primary'),
    (2, true, true, 'primary'), (3, true, false, 'primary'), (4, true, true, 'secondary');
CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY, kind text, distcolumn text,
    colocationid int, truncated bool DEFAULT false);
CREATE TABLE pg_dist_colocation (colocationid serial, shardcount int);
CREATE VIEW citus_tables AS SELECT logicalrelid AS table_name, kind AS citus_table_type,
    distcolumn AS distribution_column, colocationid AS colocation_id FROM pg_dist_partition;

CREATE FUNCTION refuse(reason text) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', reason USING ERRCODE = 'feature_not_supported'; END $$;

CREATE FUNCTION check_moving(moved regclass, is_kept bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('citus.multi_shard_modify_mode') <> 'sequential' THEN
        PERFORM refuse('cannot run in parallel with what came before in the transaction');
    END IF;
    IF EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = moved) THEN
        PERFORM refuse(format('table %s is already distributed', moved));
    END IF;
    IF NOT is_kept AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = moved AND NOT tgisinternal)
    THEN
        PERFORM refuse(format('cannot distribute relation %s because it has triggers', moved));
    END IF;
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = moved AND confrelid
        NOT IN (SELECT logicalrelid FROM pg_dist_partition)) OR EXISTS (SELECT FROM pg_constraint
        WHERE contype = 'f' AND confrelid = moved) THEN
        PERFORM refuse(format('%s has a foreign key to or from a local table', moved));
    END IF;
END $$;

CREATE FUNCTION create_reference_table(table_name regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_moving(table_name, false);
    INSERT INTO pg_dist_partition VALUES (table_name, 'reference');
END $$;

CREATE FUNCTION citus_add_local_table_to_metadata(table_name regclass,
    cascade_via_foreign_keys bool DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_moving(table_name, true);
    INSERT INTO pg_dist_partition VALUES (table_name, 'local');
END $$;

CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text,
    distribution_type text DEFAULT 'hash', colocate_with text DEFAULT 'default',
    shard_count int DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    number smallint := attnum FROM pg_attribute
        WHERE attrelid = table_name AND attname = distribution_column AND attnotnull;
    beside int;
BEGIN
    PERFORM check_moving(table_name, false);
    IF number IS NULL THEN
        PERFORM refuse(format('%s has no %s that is never null', table_name, distribution_column));
    END IF;
    IF EXISTS (SELECT FROM pg_index WHERE indrelid = table_name AND indisunique
        AND NOT number = ANY (indkey::smallint[])) THEN
        PERFORM refuse(format('cannot create constraint on %s: it must include %s', table_name,
            distribution_column));
    END IF;
    IF current_setting('citus.shard_replication_factor') <> '1' THEN
        PERFORM refuse('SELECT FOR UPDATE is not supported for replicated shards');
    END IF;
    IF colocate_with = 'none' THEN
        INSERT INTO pg_dist_colocation (shardcount) VALUES (shard_count)
            RETURNING colocationid INTO beside;
    ELSIF shard_count IS NOT NULL THEN
        PERFORM refuse('Cannot use colocate_with with a table and shard_count at the same time');
    ELSE
        SELECT colocationid INTO STRICT beside FROM pg_dist_partition
            WHERE logicalrelid = colocate_with::regclass AND kind = 'distributed';
    END IF;
    INSERT INTO pg_dist_partition VALUES (table_name, 'distributed', distribution_column, beside);
END $$;

CREATE FUNCTION truncate_local_data_after_distributing_table(function_name regclass) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pg_dist_partition SET truncated = true
        WHERE logicalrelid = function_name AND kind <> 'local';
    IF NOT FOUND THEN
        PERFORM refuse('supplied parameter is not a distributed relation');
    END IF;
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = function_name) THEN
        PERFORM refuse('cannot truncate a table referenced in a foreign key constraint');
    END IF;
END $$;
"""


@cache
def _template() -> str:
    """The name of a database with the schema and the stand-ins."""
    url = databases.postgresql()
    execute(url, STAND_INS)
    return str(sa.make_url(url).database)


def undistributed(kind: str) -> str:
    """The URL of a new database with the schema on a cluster of this kind."""
    if kind == "stand-in":
        return postgres.start(_template())
    assert CLUSTER
    name = f"byline_{secrets.token_hex(8)}"
    execute(CLUSTER, f"CREATE SCHEMA {name}")
    atexit.register(execute, CLUSTER, f"DROP SCHEMA {name} CASCADE")
    cluster = sa.make_url(CLUSTER.replace("+psycopg", ""))
    own = cluster.update_query_dict({"options": f"-c search_path={name},public"})
    databases.upgrade(url := own.render_as_string(hide_password=False))
    return url


def distributed(kind: str) -> str:
    """The URL of a new database whose tables are distributed."""
    url = undistributed(kind)
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        with migrations.connect(db.engine) as connection:
            plan = citus.plan(connection, db.metadata, None)
            citus.distribute(connection, plan.statements)
        db.engine.dispose()
    return url


def execute(url: str, statements: str) -> list[Any]:
    """Run SQL on a database and commit; the rows of the last statement, if it has any."""
    address = sa.make_url(url.replace("+psycopg", ""))
    engine = sa.create_engine(address.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        cursor = driver.execute(statements)
        rows = cursor.fetchall() if cursor.description else []
    engine.dispose()
    return rows
