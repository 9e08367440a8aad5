"""What models and `db.session` are made of."""

from __future__ import annotations

from typing import Any

import flask_sqlalchemy.session
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

from service.engine.database.access import current_transaction


class Model(DeclarativeBase):
    """The base of models: constraints have names, by which a migration can find them."""

    metadata = sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class RequestSession(flask_sqlalchemy.session.Session):
    """`db.session` on the request's own connection, so the ORM and Core share one transaction."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        current = current_transaction.get(None)
        return current.connection() if current else super().get_bind(*args, **kwargs)
