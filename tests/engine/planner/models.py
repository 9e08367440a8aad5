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
from service.engine.problems import Forbidden, NotFound, PreconditionFailed


class Project(db.Model):
    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Id, index=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[str] = mapped_column(Time)
    updated_at: Mapped[str] = mapped_column(Time)

    @classmethod
    def create(cls, owner: Caller, name: str) -> dict[str, Any]:
        id_ = new_id()
        times = {"created_at": created_at(id_), "updated_at": created_at(id_)}
        _insert_project.write(id=id_, owner_id=owner.id, name=name, version=1, **times)
        return cls.get(id_)

    @classmethod
    def get(cls, project_id: UUID | str) -> dict[str, Any]:
        row = _get.first(id=project_id)
        if row is None:
            raise NotFound
        return {**shape(row), "etag": str(row.version)}

    @classmethod
    def rename(
        cls, project_id: UUID, caller: Caller, if_match: list[str] | None, name: str
    ) -> dict[str, Any]:
        if not _owned.update(project_id, caller, if_match, {"name": name}):
            row = _get.first(id=project_id)
            if row is None:
                raise NotFound
            raise PreconditionFailed if row.owner_id == caller.id else Forbidden
        return cls.get(project_id)


class Task(db.Model):
    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(Id, sa.ForeignKey("projects.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(80))

    @classmethod
    def create(cls, project_id: UUID, name: str) -> dict[str, Any]:
        id_ = new_id()
        _insert_task.write(id=id_, project_id=project_id, name=name)
        return {"id": str(id_), "project_id": str(project_id), "name": name}


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
    id_, name, created, *_ = row
    return {"id": id_, "name": name, "created_at": created}


_columns = (Project.id, Project.name, Project.created_at)
Project.listing = Listing(
    sa.select(*_columns),
    key=Project.id,
    shape=shape,
    owner_id=Project.owner_id == bindparam("owner_id", type_=Id),
)
_get = Prepared(
    sa.select(*_columns, Project.version, Project.owner_id).where(
        Project.id == bindparam("id", type_=Id)
    )
)
_insert_project = insertion(Project)
_insert_task = insertion(Task)
_owned = Owned(
    Project,
    owner=Project.owner_id,
    etag=sa.cast(Project.version, sa.String),
    there=sa.true(),
)
_kept = Prepared(
    sa.select(KeptAnswer.fingerprint, KeptAnswer.status, KeptAnswer.headers, KeptAnswer.body).where(
        KeptAnswer.user_id == bindparam("user_id"),
        KeptAnswer.operation == bindparam("operation"),
        KeptAnswer.key == bindparam("key"),
    )
)
_keep = insertion(KeptAnswer)
