"""The ORM and Core are one transaction, so that either may be used in a handler."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.engine.database import sqlite
from service.engine.database.statements import Prepared
from service.engine.database.transaction import connection, db
from service.engine.ids import now
from service.models import Session, User
from tests.kit import postgres
from tests.kit.serving import Server, serving


def test_the_session_writes_in_the_transaction_of_the_request(server: Server) -> None:
    name = f"orm-{secrets.token_hex(6)}"
    made = sa.select(User.id).where(User.username == name)
    with server.flask.app_context():
        for kept in (False, True):
            with db.transaction() as transaction:
                email = f"{name}@example.com"
                user = User.create(email=email, email_key=email, username=name, password_hash="x")
                db.session.get(User, user["id"]).bio = "by the ORM"
                db.session.flush()
                row = connection().execute(sa.select(User.bio).where(User.username == name)).one()
                assert row.bio == "by the ORM"
                db.session.close()
                if kept:
                    transaction.commit()
            assert bool(server.execute(made)) is kept


def test_a_connection_that_the_database_has_ended_is_not_used_again(tmp_path: Path) -> None:
    with serving(tmp_path, database_url=postgres.start()) as server, server.flask.app_context():
        with db.transaction() as transaction:
            [own] = transaction.execute("SELECT pg_backend_pid()", None).fetchone()
            server.execute(sa.select(sa.func.pg_terminate_backend(own)))
            with pytest.raises(sa.exc.OperationalError) as ended:
                transaction.execute("SELECT 1", None)
        assert ended.value.connection_invalidated
        with db.transaction() as transaction:
            [other] = transaction.execute("SELECT pg_backend_pid()", None).fetchone()
        assert other != own


def test_a_write_waits_once_for_a_file_that_another_process_has_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WRITE_TIMEOUT_SECONDS", 0.5)
    with serving(tmp_path) as server:
        anna = server.sign_up()
        other = sqlite3.connect(tmp_path / "byline.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            answer = anna.http.delete("/auth/sessions")
        finally:
            other.rollback()
            other.close()
        assert answer.status_code == 503
        assert answer.json()["detail"] == "The database is busy."
        assert anna.http.delete("/auth/sessions").status_code == 204


def test_an_error_of_a_prepared_statement_is_an_error_of_sqlalchemy(server: Server) -> None:
    user = server.sign_up()
    nobody = f"{user.id[:-12]}{'0' * 12}"
    refused = pytest.raises(sa.exc.IntegrityError)
    with server.flask.app_context(), db.transaction(), refused as error:
        moments = {"authenticated_at": now(), "expires_at": now()}
        Session.start(user_id=nobody, ip="", user_agent="", methods="pwd", **moments)
    assert nobody not in str(error.value)


def test_a_list_of_any_length_cannot_be_prepared(server: Server) -> None:
    of_these = Prepared(sa.select(User.id).where(User.id.in_(sa.bindparam("ids", expanding=True))))
    with server.flask.app_context(), db.transaction(), pytest.raises(ValueError, match="list"):
        of_these.all(ids=["a"])
