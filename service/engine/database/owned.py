"""Writes by the owner or an administrator; the statement itself checks owner and If-Match."""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam

from service.engine.caller import Caller
from service.engine.database.transaction import connection
from service.engine.database.types import Id, Time
from service.engine.ids import now


class Owned:
    """Updates and deletes rows of a table with the columns `id`, `version` and `updated_at`.

    `owner` is the column with the owner's id, `etag` the text that If-Match is compared with; an
    `if_match` of None matches any version. A row counts as missing unless `exists` is true of it.
    Both methods return whether a row matched.
    """

    def __init__(
        self,
        model: Any,
        *,
        owner: sa.SQLColumnExpression[str],
        etag: sa.ColumnElement[str],
        exists: sa.ColumnElement[bool],
    ) -> None:
        self._model = model
        self._mine = sa.and_(
            model.id == bindparam("of"),
            exists,
            sa.or_(owner == bindparam("actor", type_=Id), bindparam("as_admin", type_=sa.Boolean)),
        )
        self._unchanged = etag.in_(bindparam("tags", expanding=True))
        self._update = cache(self._build_update)
        self._delete = cache(self._build_delete)

    def update(
        self, id_: UUID, caller: Caller, if_match: list[str] | None, changes: dict[str, Any]
    ) -> bool:
        """Set the columns named in `changes`, and increase the version by one."""
        statement = self._update(if_match is not None, frozenset(changes))
        new = {f"new_{name}": value for name, value in changes.items()}
        return self._found(statement, id_, caller, if_match, {**new, "moment": now()})

    def delete(self, id_: UUID, caller: Caller, if_match: list[str] | None) -> bool:
        return self._found(self._delete(if_match is not None), id_, caller, if_match, {})

    def _found(
        self,
        statement: sa.Executable,
        id_: UUID,
        caller: Caller,
        if_match: list[str] | None,
        more: dict[str, Any],
    ) -> bool:
        who = {"of": id_, "actor": caller.id, "as_admin": caller.is_admin, "tags": if_match}
        return connection().execute(statement, who | more).first() is not None

    def _build_update(self, conditional: bool, fields: frozenset[str]) -> sa.Executable:
        statement = sa.update(self._model).where(self._mine)
        if conditional:
            statement = statement.where(self._unchanged)
        columns = {
            "version": self._model.version + 1,
            "updated_at": bindparam("moment", type_=Time),
            **{name: bindparam(f"new_{name}") for name in fields},
        }
        return statement.values(columns).returning(self._model.id)

    def _build_delete(self, conditional: bool) -> sa.Executable:
        statement = sa.delete(self._model).where(self._mine)
        if conditional:
            statement = statement.where(self._unchanged)
        return statement.returning(self._model.id)
