"""The last revisions of the schema, for tests that add one after them."""

from __future__ import annotations

from service.engine.database import revisions
from service.places import MIGRATIONS

GRAPH = revisions.graph(MIGRATIONS)
# The rows of `alembic_version`: revisions after which no other comes.
HEADS = GRAPH.keys() - frozenset().union(*GRAPH.values())

# As if a later release had migrated the database.
NEWER = "UPDATE alembic_version SET version_num = '9999' WHERE version_num LIKE 'users%'"


def last(branch: str) -> str:
    """The last revision of a branch; its files begin with the branch's name."""
    path = max((MIGRATIONS / "versions").glob(f"{branch}_*.py"))
    return str(revisions._assignments(path)["revision"])
