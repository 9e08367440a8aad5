"""A violated constraint is a problem of the client's whatever the database says of it.

Citus and others that speak PostgreSQL's protocol name the constraint in the message only, and Citus
adds the number of a shard.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.engine.database.errors import unique, violated
from service.problems import EmailTaken, UsernameTaken
from tests.kit import databases
from tests.kit.serving import PASSWORD, Server, serving

# What a worker of a cluster answers, and what the coordinator makes of it.
OF_A_WORKER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    broken text := CASE
        WHEN EXISTS (SELECT FROM users WHERE email = NEW.email AND id <> NEW.id)
            THEN 'uq_users_email_102008'
        WHEN EXISTS (SELECT FROM users WHERE email_key = NEW.email_key AND id <> NEW.id)
            THEN 'ix_users_email_key_102008'
        WHEN EXISTS (SELECT FROM users WHERE username = NEW.username AND id <> NEW.id)
            THEN 'uq_users_username_102008'
    END;
BEGIN
    IF broken IS NOT NULL THEN
        RAISE unique_violation USING
            MESSAGE = format('duplicate key value violates unique constraint "%s"', broken),
            DETAIL = format('Key (email)=(%s) already exists.', NEW.email);
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a database that names constraints as Citus does."""
    folder = tmp_path_factory.mktemp("clustered")
    with serving(folder, database_url=databases.postgresql()) as server:
        server.execute(sa.text(OF_A_WORKER))
        yield server


@pytest.fixture(scope="module")
def postgresql() -> Iterator[sa.Connection]:
    url = sa.make_url(databases.postgresql()).set(drivername="postgresql+psycopg")
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        yield connection
    connection.engine.dispose()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[sa.Connection]:
    databases.upgrade(url := f"sqlite:///{tmp_path}/byline.db")
    with sa.create_engine(url).connect() as connection:
        yield connection
    connection.engine.dispose()


def test_what_is_taken_is_refused_where_only_the_message_names_the_constraint(clustered):
    anna, ben = clustered.sign_up(), clustered.sign_up()
    name = anna.http.get("/auth/me").json()["username"]
    same = {"email": anna.email, "password": PASSWORD, "username": "somebody-else"}
    with clustered.client() as anonymous:
        other_spelling = same | {"email": anna.email.upper()}
        taken = [anonymous.post("/auth/register", json=body) for body in (same, other_spelling)]
    taken.append(ben.http.patch(f"/api/users/{_id(ben)}", json={"username": name}, headers=ANY))
    assert [(answer.status_code, answer.json()["code"]) for answer in taken] == [
        (409, "email-taken"),
        (409, "email-taken"),
        (409, "username-taken"),
    ]


DUPLICATE = 'duplicate key value violates unique constraint "%s"'
NO_PARENT = 'insert or update on table "sessions_102040" violates foreign key constraint "%s"'


@pytest.mark.parametrize(
    ("message", "columns"),
    [
        (DUPLICATE % "uq_users_email_102008", {"email"}),
        (DUPLICATE % "ix_users_email_key", {"email_key"}),
        (DUPLICATE % "uq_elsewhere_email", set()),
        (NO_PARENT % "fk_sessions_user_id_102040", {"user_id"}),
        ("duplicate key value violates something", set()),
    ],
)
def test_the_number_of_a_shard_does_not_hide_the_name(postgresql, message, columns):
    assert violated(_raised(postgresql, message)) == columns


@pytest.mark.parametrize("database", ["postgresql", "embedded"])
def test_a_column_whose_name_is_part_of_another_s_is_not_mistaken_for_it(request, database):
    connection = request.getfixturevalue(database)
    rows = [{"number": str(number), "id": f"{number:0>8}{NO_ONE}"} for number in (1, 2)]
    with pytest.raises(UsernameTaken), unique(email=EmailTaken, email_key=UsernameTaken):
        connection.execute(INSERT, rows)


def test_a_constraint_that_nothing_was_said_of_stays_an_error(postgresql):
    error = _raised(postgresql, 'violates unique constraint "uq_users_username_102008"')
    with pytest.raises(sa.exc.IntegrityError), unique(email=EmailTaken):
        raise error


ANY = {"If-Match": "*"}
NO_ONE = "-0000-7000-8000-000000000000"
INSERT = sa.text(
    "INSERT INTO users (id, email, email_key, email_verified, username, bio, password_hash, role,"
    " disabled, version, created_at, updated_at) VALUES (:id, 'a@' || :number, 'the same', false,"
    " :number, '', '', 'user', false, 1, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z')"
).bindparams(sa.bindparam("number", type_=sa.String))


def _id(person):
    return person.http.get("/auth/me").json()["id"]


def _raised(connection: sa.Connection, message: str) -> sa.exc.IntegrityError:
    raising = f"DO $$ BEGIN RAISE unique_violation USING MESSAGE = '{message}'; END $$"
    with pytest.raises(sa.exc.IntegrityError) as caught:
        connection.exec_driver_sql(raising)
    return caught.value
