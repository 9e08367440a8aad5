"""Maintenance by operators: removing expired rows, and rotating keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy import bindparam

from service import email_keys, stored_bytes
from service.accounts.erasure import Erasure
from service.accounts.resealing import Resealing
from service.engine.database.citus import SEQUENTIAL
from service.engine.database.transaction import connection, db
from service.engine.ids import now
from service.engine.settings import BadConfiguration
from service.engine.tokens import keys
from service.engine.tokens.sealing import Sealer
from service.models import (
    Challenge,
    IdempotencyKey,
    KnownNetwork,
    Mail,
    MailCount,
    PendingTotp,
    PersonalToken,
    RestingUsername,
    Session,
    SignInGuard,
    User,
)
from service.models.idempotency_keys import STORED
from service.models.storage import add_all
from service.specification import specification

ROWS_PER_TRANSACTION = 1000  # few, so that no request waits long for a lock
# The tables with `expires_at`, and further conditions for removing an expired row.
EXPIRING: dict[Any, list[sa.ColumnElement[bool]]] = {
    Session: [],
    Mail: [Mail.due_at.is_(None)],  # each attempt to send an unsent mail renews its token
    MailCount: [],
    IdempotencyKey: [],
    SignInGuard: [],
    KnownNetwork: [],
    RestingUsername: [],
    Challenge: [],
    PersonalToken: [],
    PendingTotp: [],
}
SETTLED = timedelta(minutes=1)  # by then every process signs with the newest key (keys.KeyRing)


def purge() -> dict[str, int]:
    """Delete expired rows and the rest of deleted accounts; returns the number of rows by table.

    Needs an application context. Also fills the keys of addresses that processes of the previous
    release have written meanwhile.
    """
    with db.transaction() as transaction:
        email_keys.fill(transaction.connection(), transaction.commit)
        stored_bytes.fill(transaction.connection(), transaction.commit)
    moment = now()
    expired = {
        model.__tablename__: _purge(model, moment, *ands) for model, ands in EXPIRING.items()
    }
    return expired | {User.__tablename__: Erasure(flask.current_app).finish()}


def rotate_keys(directory: Path, *, now: bool) -> tuple[Path, datetime]:
    """Create the next key; returns the time from which it signs: when all cached key sets without
    it have expired, or `now`, as for the first key."""
    wait = timedelta(0) if now else timedelta(seconds=specification.key_set_max_age) + SETTLED
    moment = datetime.now(UTC) + (wait if keys.key_files(directory) else timedelta(0))
    return keys.generate_key(directory, moment), moment


def signing_keys(directory: Path) -> Iterator[tuple[keys.SigningKey, datetime, str]]:
    """The keys in a folder, the time from which each signs, and its present use, newest first.

    Raises `BadConfiguration` with the name of a file that is not a key.
    """
    paths = keys.key_files(directory)
    due = [path for path in paths if _from(path) <= datetime.now(UTC)]
    signer = due[-1] if due else paths[0] if paths else directory
    for path in reversed(paths):
        does = "published" if path > signer else "signs" if path == signer else "verifies"
        try:
            yield keys.KeyRing.from_pem(path.read_text()).newest(), _from(path), does
        except ValueError as error:
            raise BadConfiguration(f"{path}: {error}") from None


def reseal(directory: Path) -> None:
    """Seal the secrets of authenticator apps with the newest key of a folder, before older ones are
    removed; needs an application context."""
    Sealer(flask.current_app, keys.KeyRing.from_directory(directory))
    Resealing(flask.current_app).finish()


def superseded_keys(directory: Path, longest_ttl: int) -> list[Path]:
    """The keys whose tokens have all expired, oldest first; `longest_ttl` is in seconds."""
    before = datetime.now(UTC) - timedelta(seconds=longest_ttl) - SETTLED
    paths = keys.key_files(directory)
    return [path for path, successor in pairwise(paths) if _from(successor) < before]


def _purge(model: Any, moment: str, *conditions: sa.ColumnElement[bool]) -> int:
    statement = _delete(model, *conditions)
    total = 0
    while True:
        with db.transaction() as transaction:
            if transaction.dialect.name == "postgresql":
                connection().exec_driver_sql(SEQUENTIAL)  # for the users' counts follow
            found = connection().execute(statement, {"moment": moment})
            gone: int = found.rowcount
            if model is IdempotencyKey:
                stored = found.all()
                gone = len(stored)
                add_all((user_id, -size) for user_id, size in stored)
            transaction.commit()
        total += gone
        if gone < ROWS_PER_TRANSACTION:
            return total


def _delete(model: Any, *conditions: sa.ColumnElement[bool]) -> Any:
    key = sa.inspect(model).primary_key
    expired = sa.select(*key).where(model.expires_at <= bindparam("moment"), *conditions)
    statement = sa.delete(model).where(sa.tuple_(*key).in_(expired.limit(ROWS_PER_TRANSACTION)))
    # Check again: another transaction may renew a row while this one waits for its lock.
    statement = statement.where(model.expires_at <= bindparam("moment"))
    return statement.returning(*STORED) if model is IdempotencyKey else statement


def _from(path: Path) -> datetime:
    """The time from which a key signs: from its name if `keys.generate_key` gave it, else that of
    its file."""
    return keys.signs_from(path) or datetime.fromtimestamp(path.stat().st_mtime, UTC)
