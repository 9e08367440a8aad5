"""The last revisions of the schema, for tests that add one after them."""

from __future__ import annotations

from service.engine.database import revisions
from service.places import MIGRATIONS

GRAPH = revisions.graph(MIGRATIONS)
# What `alembic_version` holds: revisions that no other one comes after.
HEADS = GRAPH.keys() - frozenset().union(*GRAPH.values())


def last(branch: str) -> str:
    """The last revision of a branch, whose files are named after it."""
    path = max((MIGRATIONS / "versions").glob(f"{branch}_*.py"))
    return str(revisions._assignments(path)["revision"])
