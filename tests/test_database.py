"""The ORM and Core are one transaction, so that either may be used in a handler."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from service.database import connection, db
from service.models import User
from tests.conftest import Server


def test_the_session_writes_in_the_transaction_of_the_request(server: Server) -> None:
    name = f"orm-{secrets.token_hex(6)}"
    made = sa.select(User.id).where(User.username == name)
    with server.flask.app_context():
        for kept in (False, True):
            with db.transaction() as transaction:
                user = User.create(email=f"{name}@example.com", username=name, password_hash="x")
                db.session.get(User, user["id"]).bio = "by the ORM"
                db.session.flush()
                row = connection().execute(sa.select(User.bio).where(User.username == name)).one()
                assert row.bio == "by the ORM"
                db.session.close()
                if kept:
                    transaction.commit()
            assert bool(server.execute(made)) is kept
