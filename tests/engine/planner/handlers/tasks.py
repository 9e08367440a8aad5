"""Operations of the tag tasks."""

from uuid import UUID

from tests.engine.planner.models import Project, Task


def create_task(project_id: UUID, body: dict):
    Project.get(project_id)
    return Task.create(project_id, **body), 201


def search_tasks(q: str, limit: int):
    return Task.named(q, limit)
