"""Operations of the tag projects."""

from uuid import UUID

from service.engine.caller import Caller
from service.engine.spec.paging import page
from tests.engine.planner.models import Project


def list_projects(caller: Caller, limit: int, after: UUID | None = None):
    return page(Project.listing, limit, after, owner_id=caller.id)


def create_project(caller: Caller, body: dict):
    project = Project.create(caller, **body)
    return project, 201, {"Location": f"/projects/{project['id']}"}


def get_project(project_id: UUID):
    return Project.get(project_id)


def update_project(caller: Caller, project_id: UUID, body: dict, if_match: list[str] | None):
    return Project.rename(project_id, caller, if_match, **body)
