"""Every operation does on a distributed database what it does on any other."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from tests.kit import citus, commands
from tests.kit.authenticator import Authenticator
from tests.kit.smtp import until
from tests.privacy import passkeys, visits
from tests.privacy.evidence import FIRST, everything
from tests.privacy.marks import Marks
from tests.privacy.tour import OPERATIONS, Heard, Tour

DONE = {200, 201, 202, 204}
NOT_DONE_HERE = {"get_problem"}  # the pages of the problems are visited elsewhere


@dataclass
class Toured:
    heard: list[Heard]
    log: str
    purged: str
    left: int


@pytest.fixture(scope="module", params=citus.KINDS)
def toured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Toured:
    """What people heard who did everything there is, and then left; what `byline purge` said."""
    folder = tmp_path_factory.mktemp("tour")
    url = citus.distributed(request.param)
    tour = Tour(Marks(), folder)
    settings = {
        "DATABASE_URL": url,
        "JWT_KEYS_DIR": "keys",
        "MAIL_DIR": "mail",
        "METRICS_TOKEN": "m" * 32,
    }
    assert commands.run(folder, "keys", "generate", **settings).returncode == 0
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    command = [*commands.COMMAND, "serve"]
    with commands.running(command, folder, **settings, **FIRST) as address, tour.at(address):
        people = everything(tour, engine, settings["METRICS_TOKEN"])
        anna, ben, ada, cora = (people[name] for name in ("anna", "ben", "ada", "cora"))
        for visitor in (anna, ada, cora):
            tour.sign_in(visitor)
        passkeys.added(tour, cora, Authenticator(tour.page))
        visits.going(tour, ben, ada, cora)
        until(lambda: not _count(engine, "deletions"))
    _expire(engine)
    if request.param == "stand-in":
        citus.execute(url, AFTER_MANY_SHARDS)
    done = commands.run(folder, "purge", **settings)
    left = sum(_count(engine, table) for table in EXPIRING)
    engine.dispose()
    return Toured(tour.heard, (folder / "serve.log").read_text(), done.stdout + done.stderr, left)


# Citus refuses to change a copied table after many shards of a table that refers to it, unless they
# were changed one after the other.
AFTER_MANY_SHARDS = """
CREATE FUNCTION check_users() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('citus.multi_shard_modify_mode', true) IS DISTINCT FROM 'sequential' THEN
        PERFORM refuse('cannot modify reference table "users" after a parallel operation');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER check_users BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION check_users();
"""
EXPIRING = ("sessions", "idempotency_keys", "challenges", "known_networks", "sign_in_guards")


def _count(engine: sa.Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def _expire(engine: sa.Engine) -> None:
    for table in EXPIRING:
        with engine.begin() as connection:
            assert connection.exec_driver_sql(f"UPDATE {table} SET expires_at = now()").rowcount


def test_nothing_fails(toured):
    failed = [(one.operation, one.status, one.data) for one in toured.heard if one.status >= 500]
    assert failed == []
    assert "Traceback" not in toured.log


def test_every_operation_was_done(toured):
    done = {one.operation for one in toured.heard if one.status in DONE}
    assert OPERATIONS.keys() - done <= NOT_DONE_HERE


def test_what_has_expired_is_removed(toured):
    assert "sessions" in toured.purged
    assert toured.left == 0, toured.purged
