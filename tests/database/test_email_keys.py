"""The keys of addresses in rows that the release before them has written, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
import sqlalchemy as sa

from service import email_keys, migrations
from service.engine.database.transaction import db
from service.engine.database.types import Id, Time
from service.flask_app import create_flask
from service.settings import Settings
from tests.kit import postgres
from tests.kit.serving import PASSWORD, Server, serving

EVA_OLD, EVA_NEW, EVA_YOUNGER = (
    "eva@m\xfcller.example",
    "eva@xn--mller-kva.example",
    "eva@x.example",
)
MOMENT = "2026-11-01T00:00:00.000Z"
# As the release before writes it: it does not know `email_key`.
INSERT = sa.text(
    "INSERT INTO users (id, email, email_verified, username, bio, password_hash, role, disabled,"
    " version, created_at, updated_at)"
    " VALUES (:id, :email, :no, :name, '', :hash, 'user', :no, 1, :moment, :moment)"
).bindparams(sa.bindparam("id", type_=Id), sa.bindparam("moment", type_=Time))


def person(number: int, email: str, hashed: str = "x") -> dict[str, object]:
    id_ = str(UUID(int=0x019A0000000070008000000000000000 + number))
    about = {"id": id_, "email": email, "name": f"user-{number}", "hash": hashed}
    return about | {"no": False, "moment": MOMENT}


def id_of(number: int) -> str:
    return str(person(number, "")["id"])


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path) -> Iterator[sa.Engine]:
    """A database with the schema of the release before."""
    url = postgres.start() if request.param == "postgresql" else f"sqlite:///{tmp_path}/byline.db"
    with create_flask(Settings(_env_file=None, database_url=url)).app_context():
        migrations.upgrade(db.engine, "users_0005")
        yield db.engine
        db.engine.dispose()


def keys(engine: sa.Engine) -> list[str | None]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.text("SELECT email_key FROM users ORDER BY id")))


def insert(engine: sa.Engine, *emails: str) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT, [person(number, email) for number, email in enumerate(emails)])


def test_every_row_of_the_previous_release_gets_a_key(engine):
    many = [f"user{number}@example.com" for number in range(2500)]
    insert(engine, "ann@b\xfccher.example", "stra\xdfe@x.example", "ann@ab--cd.example", *many)
    migrations.upgrade(engine)
    its_keys = ["ann@xn--bcher-kva.example", "stra\xdfe@x.example", "ann@ab--cd.example", *many]
    assert keys(engine) == its_keys


def test_of_two_spellings_the_older_account_keeps_the_key_and_nothing_is_lost(engine):
    insert(engine, EVA_OLD, EVA_NEW, EVA_YOUNGER, "!bang@example.com")
    migrations.upgrade(engine)
    assert keys(engine) == [EVA_NEW, f"!{id_of(1)}", EVA_YOUNGER, "!bang@example.com"]
    with engine.connect() as connection:
        emails = list(connection.scalars(sa.text("SELECT email FROM users ORDER BY id")))
        assert email_keys.unreachable(connection) == [id_of(1)]
    assert emails == [EVA_OLD, EVA_NEW, EVA_YOUNGER, "!bang@example.com"]


def test_an_upgrade_back_and_forth_leaves_the_rows(engine):
    insert(engine, EVA_OLD, EVA_NEW)
    for _ in range(2):
        migrations.upgrade(engine)
        assert keys(engine) == [EVA_NEW, f"!{id_of(1)}"]
        migrations.downgrade(engine, "users_0005")
    migrations.upgrade(engine)


@pytest.mark.parametrize(
    ("written", "its_key"),
    [("bob@example.com", "bob@example.com"), ("bob@xn--mller-kva.example",) * 2],
)
def test_processes_of_the_previous_release_keep_writing(engine, written, its_key):
    insert(engine, "ann@example.com")
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(INSERT, person(1, written))
        change = sa.text("UPDATE users SET email = :new WHERE id = :id")
        connection.execute(change, {"new": f"new-{written}", "id": id_of(0)})
    assert keys(engine) == [f"new-{its_key}", its_key]


def test_the_previous_release_refuses_a_taken_address(engine):
    migrations.upgrade(engine)
    insert(engine, "ann@example.com")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE users SET email = 'Ann@Example.com'"))
    assert keys(engine) == ["ann@example.com"]
    # It looks for the column's name in what the database says, and finds it.
    with pytest.raises(sa.exc.IntegrityError, match="email"), engine.begin() as connection:
        connection.execute(INSERT, person(1, "ann@example.com"))


@pytest.mark.parametrize("on", ["sqlite", "postgresql"])
def test_a_user_of_the_previous_release_signs_in(on: str, tmp_path) -> None:
    own = {"database_url": postgres.start()} if on == "postgresql" else {}
    with serving(tmp_path, **own) as server:
        written = {"ann@example.com": "Ann@Example.com", EVA_OLD: EVA_NEW}
        people = [server.sign_up(email=f"u{number}@x.example") for number in range(2)]
        [[hashed]] = server.execute(
            sa.text("SELECT password_hash FROM users WHERE id = :id"), {"id": people[0].id}
        )
        for number, email in enumerate(written):
            server.execute(INSERT, person(number, email, hashed))
        assert sign_in(server, "Ann@Example.com") == 200
        assert sign_in(server, EVA_NEW) == 401  # the trigger knows ASCII only
        with server.flask.app_context():
            migrations.upgrade(db.engine)
        assert [sign_in(server, email) for email in (*written, *written.values())] == [200] * 4


def sign_in(server: Server, email: str) -> int:
    body = {"email": email, "password": PASSWORD}
    with server.client() as anonymous:
        return anonymous.post("/auth/login", json=body).status_code
