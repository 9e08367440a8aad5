"""Revisions of several branches stand side by side: those of a service, and those of who builds on
it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from service import migrations
from service.engine.database import revisions
from service.engine.database.revisions import State
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration
from service.engine.spec import flask_app
from service.places import MIGRATIONS
from service.settings import Settings
from tests.kit import postgres
from tests.kit.heads import HEADS, last

REVISION = """
import sqlalchemy as sa

from alembic import op

revision = {revision!r}
down_revision = {after!r}
branch_labels = {label!r}
depends_on = {depends_on!r}


def upgrade():
    op.create_table({revision!r}, sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table({revision!r})
"""
Open = Callable[[Path], AbstractContextManager[sa.Engine]]


@pytest.fixture(params=["sqlite", "postgresql"])
def using(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens one database with the code whose revisions are in the folder given."""
    url = postgres.start() if request.param == "postgresql" else f"sqlite:///{tmp_path}/byline.db"
    settings = Settings(_env_file=None, database_url=url)

    @contextmanager
    def open_with(folder: Path) -> Iterator[sa.Engine]:
        with flask_app.create_flask(settings, "service", migrations=folder).app_context():
            yield db.engine
            db.engine.dispose()

    return open_with


@pytest.fixture
def code(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the service's revisions with some more, as (id, what comes before it)."""

    def with_more(name: str, *more: tuple[str, str]) -> Path:
        folder = tmp_path / name
        shutil.copytree(MIGRATIONS, folder)
        for revision, before in more:
            starts = revision == "own_0001"
            said = {
                "revision": revision,
                "after": None if starts else before,
                "label": ("own",) if starts else None,
                "depends_on": before if starts else None,
            }
            (folder / "versions" / f"{revision}_more.py").write_text(REVISION.format(**said))
        return folder

    return with_more


def rows(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))


OWN = ("own_0001", last("users"))
OWN_ON_THE_LINE_OF_USERS = ("mine_0001", last("users"))
NEXT_OF_USERS = ("users_9999", last("users"))
BRANCHES = sorted({path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py")})
NEXT_OF_POSTS = ("posts_9999", last("posts"))  # posts


def test_a_database_from_before_the_branches_is_at_their_heads_and_goes_on(using, code):
    with using(MIGRATIONS) as engine:
        migrations.upgrade(engine)
        assert rows(engine) == HEADS
        assert revisions.state(engine) is State.CURRENT
    following = {f"{name}_9999": (f"{name}_9999", last(name)) for name in BRANCHES}
    with using(code("next", *following.values())) as engine:
        assert revisions.state(engine) is State.BEHIND
        migrations.upgrade(engine)
        assert rows(engine) == set(following)
        assert revisions.state(engine) is State.CURRENT


@pytest.mark.parametrize("own", [OWN, OWN_ON_THE_LINE_OF_USERS])
def test_own_revisions_and_those_of_a_later_version_are_merged(using, code, own):
    with using(code("own", own)) as engine:
        migrations.upgrade(engine)
        assert revisions.state(engine) is State.CURRENT
    with using(code("merged", own, NEXT_OF_USERS)) as engine:
        assert revisions.state(engine) is State.BEHIND
        with pytest.raises(revisions.Behind, match="byline db upgrade"):
            revisions.require(engine)
        migrations.upgrade(engine)
        assert revisions.state(engine) is State.CURRENT
        assert rows(engine) == {own[0], "users_9999"} | HEADS - {last("users")}


def test_one_head_of_several_has_to_be_named(using, code):
    with (
        using(code("merged", OWN, NEXT_OF_USERS)) as engine,
        pytest.raises(revisions.Unknown, match="heads"),
    ):
        migrations.upgrade(engine, "head")


NEWER = [(OWN,), (NEXT_OF_USERS,), (OWN, NEXT_OF_USERS)]
NEWER += [(NEXT_OF_POSTS,)]  # posts


@pytest.mark.parametrize("more", NEWER)
def test_a_newer_schema_is_left_alone_and_can_be_served(using, code, more):
    with using(code("newer", *more)) as engine:
        migrations.upgrade(engine)
        there = rows(engine)
    with using(MIGRATIONS) as engine:
        migrations.upgrade(engine)
        assert rows(engine) == there
        assert revisions.require(engine) is State.NEWER
        # Unlike `heads`, a revision that is named must be there.
        with pytest.raises(revisions.Unknown, match="|".join(there - HEADS)):
            migrations.upgrade(engine, last("users"))


def test_a_schema_that_is_ahead_in_one_branch_and_behind_in_another_is_behind(using, code):
    with using(code("own", OWN, NEXT_OF_USERS)) as engine:
        migrations.upgrade(engine)
    following = ("users_99999", "users_9999")
    with using(code("without", NEXT_OF_USERS, following)) as engine:
        assert revisions.state(engine) is State.BEHIND
        with pytest.raises(revisions.Unknown, match="own_0001"):
            migrations.upgrade(engine)
    with using(code("merged", OWN, NEXT_OF_USERS, following)) as engine:
        migrations.upgrade(engine)
        assert revisions.state(engine) is State.CURRENT


def test_a_branch_is_taken_back_by_itself(using, code):
    with using(code("own", OWN)) as engine:
        migrations.upgrade(engine)
        tables = set(sa.inspect(engine).get_table_names())
        migrations.downgrade(engine, "posts@base")
        assert rows(engine) == {"own_0001"}
        gone = tables - set(sa.inspect(engine).get_table_names())
        assert {name for name in gone if not name.startswith("post_search")} == {
            "posts",
            "post_documents",
        }
        assert revisions.state(engine) is State.BEHIND


def test_two_revisions_with_one_id_are_named(using, code):
    folder = code("twice")
    versions = folder / "versions"
    shutil.copy(versions / "users_0012_add_resting_usernames.py", versions / "users_0012_again.py")
    both = "usernames.py and users_0012_again.py"
    with using(folder) as engine, pytest.raises(BadConfiguration, match=both):
        migrations.upgrade(engine)


def test_a_revision_without_its_parents_file_is_named(using, code):
    folder = code("torn", OWN)
    (folder / "versions" / "posts_0001_create_posts.py").unlink()
    with using(folder) as engine, pytest.raises(BadConfiguration, match="posts_0001, which has no"):
        migrations.upgrade(engine)
