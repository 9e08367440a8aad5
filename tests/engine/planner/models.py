"""Projects and their tasks, and the answers that are kept for retries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.orm import Mapped, mapped_column

from service.engine.caller import Caller
from service.engine.database.listing import Listing
from service.engine.database.owned import Owned
from service.engine.database.statements import Prepared, insertion
from service.engine.database.transaction import Row, db
from service.engine.database.types import Id, Time
from service.engine.ids import created_at, new_id
from service.engine.problems import Forbidden, NotFound, PreconditionFailed, Problem


class Project(db.Model):
    __tablename__ = "projects"
    __table_args__ = (sa.Index(None, "owner_id", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(sa.String(200))
    notes: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(Time)
    updated_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def create(cls, owner: Caller, name: str, notes: str = "") -> dict[str, Any]:
        id_ = new_id()
        times = {"created_at": created_at(id_), "updated_at": created_at(id_)}
        _insert_project.write(id=id_, owner_id=owner.id, name=name, notes=notes, version=1, **times)
        return cls.get(id_)

    @classmethod
    def get(cls, project_id: UUID | str) -> dict[str, Any]:
        row = _get.first(id=project_id)
        if row is None:
            raise NotFound
        return {**shape(row), "etag": str(row.version)}

    @classmethod
    def update(
        cls, project_id: UUID, caller: Caller, if_match: list[str] | None, changes: dict[str, Any]
    ) -> dict[str, Any]:
        if not _owned.update(project_id, caller, if_match, changes):
            raise _refused(project_id, caller)
        return cls.get(project_id)

    @classmethod
    def delete(cls, project_id: UUID, caller: Caller, if_match: list[str] | None) -> None:
        if not _owned.delete(project_id, caller, if_match):
            raise _refused(project_id, caller)

    @classmethod
    def delete_all(cls, owner: Caller) -> None:
        _delete_all.write(owner_id=owner.id)


class Task(db.Model):
    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(
        Id, sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(sa.String(80))

    @classmethod
    def create(cls, project_id: UUID, name: str) -> dict[str, Any]:
        id_ = new_id()
        _insert_task.write(id=id_, project_id=project_id, name=name)
        return {"id": str(id_), "project_id": str(project_id), "name": name}

    @classmethod
    def named(cls, name: str, limit: int) -> list[dict[str, Any]]:
        rows = _named.tuples(name=name, limit=limit)
        return [dict(zip(("id", "project_id", "name"), row, strict=True)) for row in rows]


class KeptAnswer(db.Model):
    __tablename__ = "kept_answers"

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)
    operation: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.CHAR(64))
    status: Mapped[int]
    headers: Mapped[str] = mapped_column(sa.Text)
    body: Mapped[bytes]

    @classmethod
    def is_free(cls, user_id: str, operation: str, key: str) -> bool:
        return True  # the primary key refuses the second

    @classmethod
    def find(cls, user_id: str, operation: str, key: str) -> Row | None:
        return _kept.first(user_id=user_id, operation=operation, key=key)

    @classmethod
    def keep(cls, user_id: str, operation: str, key: str, **answer: Any) -> None:
        _keep.write(user_id=user_id, operation=operation, key=key, **answer)


def shape(row: Row) -> dict[str, Any]:
    id_, owner_id, name, notes, created, *_ = row
    return {"id": id_, "owner_id": owner_id, "name": name, "notes": notes, "created_at": created}


_columns = (Project.id, Project.owner_id, Project.name, Project.notes, Project.created_at)
Project.listing = Listing(
    sa.select(*_columns),
    key=Project.id,
    shape=shape,
    bulk=Project.notes,
    owner_id=Project.owner_id == bindparam("owner_id", type_=Id),
    later=Project.id >= bindparam("later"),
    earlier=Project.id < bindparam("earlier"),
)
_get = Prepared(
    sa.select(*_columns, Project.version).where(Project.id == bindparam("id", type_=Id))
)
_named = Prepared(
    sa.select(Task.id, Task.project_id, Task.name)
    .where(Task.name == bindparam("name"))
    .order_by(Task.id.desc())
    .limit(bindparam("limit"))
)
_insert_project = insertion(Project)
_delete_all = Prepared(
    sa.delete(Project).where(Project.owner_id == bindparam("owner_id", type_=Id))
)
_insert_task = insertion(Task)
_owned = Owned(
    Project,
    owner=Project.owner_id,
    etag=sa.cast(Project.version, sa.String),
    exists=sa.true(),
)
_kept = Prepared(
    sa.select(KeptAnswer.fingerprint, KeptAnswer.status, KeptAnswer.headers, KeptAnswer.body).where(
        KeptAnswer.user_id == bindparam("user_id"),
        KeptAnswer.operation == bindparam("operation"),
        KeptAnswer.key == bindparam("key"),
    )
)
_keep = insertion(KeptAnswer)


def _refused(project_id: UUID, caller: Caller) -> Problem:
    row = _get.first(id=project_id)
    if row is None:
        return NotFound()
    return PreconditionFailed() if row.owner_id == caller.id else Forbidden()
