"""Operations of the tag projects."""

from datetime import datetime
from uuid import UUID

from service.engine.caller import Caller
from service.engine.ids import first_id_after, first_id_from
from service.engine.spec.paging import page, pages
from tests.engine.planner.models import Project

EXPORT = {"Content-Disposition": 'attachment; filename="projects.ndjson"'}


def list_projects(
    limit: int,
    order: str,
    after: UUID | None = None,
    owner_id: UUID | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
):
    later = created_after and first_id_after(created_after)
    earlier = created_before and first_id_from(created_before)
    return page(
        Project.listing, limit, after, order, owner_id=owner_id, later=later, earlier=earlier
    )


def create_project(caller: Caller, body: dict):
    project = Project.create(caller, **body)
    return project, 201, {"Location": f"/projects/{project['id']}"}


def get_project(project_id: UUID):
    return Project.get(project_id)


def update_project(caller: Caller, project_id: UUID, body: dict, if_match: list[str] | None):
    return Project.update(project_id, caller, if_match, body)


def delete_project(caller: Caller, project_id: UUID, if_match: list[str] | None):
    Project.delete(project_id, caller, if_match)


def export_projects(caller: Caller):
    return _projects(caller), 200, EXPORT


def _projects(caller: Caller):
    for projects in pages(Project.listing, owner_id=caller.id):
        yield "project", projects
