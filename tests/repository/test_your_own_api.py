"""docs/your-own-api.md, followed to the letter: a clone, another name, no posts, a resource with a
table, and a later version merged into it.

What `make check` runs is represented by the parts that look at the result: the contract tests, the
architecture, style, types, and the linters of the specification.
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from openapi.sdk.examples import EMAIL
from service.specification import specification
from tests.kit.commands import running
from tests.kit.copies import ROOT, check_types, copy_repository, run_tests
from tests.kit.followed_page import Reader
from tests.kit.generated_clients import run
from tests.kit.programs import npm_programs
from tests.kit.serving import PASSWORD

PAGE = (ROOT / "docs" / "your-own-api.md").read_text()
ADDRESS = re.compile(r"https://\S+\.git")
NAME = "Acme"
COMMAND = f".venv/bin/{NAME.lower()}"
FILE = "instance/kept.db"
DATABASE = f"DATABASE_URL=sqlite:///$PWD/{FILE}"
KEPT = {"CHANGELOG.md", "LICENSE"}  # which go on naming the service as before
BIN = Path(sys.executable).parent
TESTS = [
    "tests/spec/test_contract.py",
    "tests/repository/test_architecture.py",
    "tests/accounts/test_ownership.py",
    "tests/projects",
]
LATER_MODEL = '''"""A table of a later version."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from service.engine.database.transaction import db


class Later(db.Model):  # type: ignore[name-defined,misc] # made at run time
    __tablename__ = "later"

    id: Mapped[int] = mapped_column(primary_key=True)
'''
LATER_REVISION = '''"""Add a table."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "users_{next:04}"
down_revision = "users_{last:04}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "later",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_later")),
    )


def downgrade() -> None:
    op.drop_table("later")
'''
# What a later version changes: the engine, a handler that is kept and one that is dropped, the
# specification, the list of models, and a line with the name of the service.
LATER = [
    ("service/engine/ids.py", '"""', '"""Later: '),
    ("service/handlers/users.py", '"""', '"""Later: '),
    ("service/handlers/posts.py", '"""', '"""Later: '),
    (
        "service/models/__init__.py",
        "from service.models.mail_counts",
        "from service.models.later import Later\nfrom service.models.mail_counts",
    ),
    ("service/models/__init__.py", '    "Mail",', '    "Later",\n    "Mail",'),
    ("openapi/openapi.yaml", "summary: Sign in\n", "summary: Sign in, later\n"),
    ("Makefile", "/byline db upgrade\n", "/byline db upgrade # later\n"),
    ("CHANGELOG.md", "\n## ", "\n## 0.2.0\n\n- Later.\n\n## "),
]


def release(upstream: Path, tag: str) -> None:
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "--all"],
        ["-c", "user.name=B", "-c", "user.email=b@example.com", "commit", "--quiet", "-m", tag],
        ["tag", tag],
    ):
        subprocess.run(["git", *command], cwd=upstream, check=True)


def change(upstream: Path) -> None:
    """The next version."""
    for file, old, new in LATER:
        text = (upstream / file).read_text()
        assert old in text
        (upstream / file).write_text(text.replace(old, new, 1))
    (upstream / "service" / "models" / "later.py").write_text(LATER_MODEL)
    versions = upstream / "alembic" / "versions"
    last = len(list(versions.glob("users_*.py")))
    revision = LATER_REVISION.format(last=last, next=last + 1)
    (versions / f"users_{last + 1:04}_add_later.py").write_text(revision)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Who has followed the page to its end."""
    folder = tmp_path_factory.mktemp("own")
    upstream = copy_repository(folder / "upstream")
    release(upstream, "v0.1.0")
    before, after = re.split(r"(?=^git fetch )", PAGE, maxsplit=1, flags=re.MULTILINE)
    reader = Reader(folder, NAME.lower())
    reader.follow(ADDRESS.sub(str(upstream), before))
    reader.run("git tag before")
    reader.run(f"mkdir instance; {DATABASE} {COMMAND} db upgrade")
    change(upstream)
    release(upstream, "v0.2.0")
    reader.follow("```sh\n" + after)
    return reader


@pytest.fixture(scope="module")
def address(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the result is served, on a database that was there before the later version."""
    assert "behind" in reader.run(f"{DATABASE} {COMMAND} db check || true")
    assert reader.run(f"{DATABASE} {COMMAND} db upgrade") == "The schema is current."
    settings = {
        "PYTHONPATH": str(reader.folder),
        "DATABASE_URL": f"sqlite:///{reader.folder}/{FILE}",
        "RATE_LIMIT_ENABLED": "false",
    }
    served = tmp_path_factory.mktemp("served")
    with running([str(reader.folder / COMMAND), "serve"], served, **settings) as url:
        yield url


@pytest.fixture(scope="module")
def npm(reader: Reader) -> Path:
    """The programs from npm, which the result has then, too."""
    npm = npm_programs()
    (reader.folder / "openapi" / "node_modules").symlink_to(npm.parent)
    return npm


def sign_up(address: str, name: str) -> httpx.Client:
    account = {"email": f"{name}@example.com", "password": PASSWORD}
    httpx.post(f"{address}/auth/register", json=account).raise_for_status()
    tokens = httpx.post(f"{address}/auth/login", json=account).raise_for_status().json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return httpx.Client(base_url=address, headers=bearer)


def said(folder: Path, *command: str | Path) -> str:
    """What a program prints unless it ends well."""
    run = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if run.returncode == 0 else f"{run.stdout}{run.stderr}"


def test_a_later_version_is_merged_without_touching_what_is_ones_own(reader: Reader) -> None:
    own = "service/*/projects.py tests/projects alembic/versions/own_* openapi/released.yaml"
    assert reader.run(f"git diff --stat before HEAD -- {own}") == ""
    assert reader.run("git ls-files service/handlers/posts.py alembic/versions/posts_*") == ""
    assert reader.run("git status --porcelain --untracked-files=no") == ""
    for file, _, new in LATER:
        if file != "service/handlers/posts.py":
            renamed = new.replace(specification.name, NAME.lower())
            assert renamed in (reader.folder / file).read_text()
    assert reader.run("git diff --stat v0.2.0 HEAD -- service/engine") == ""


def test_nothing_has_the_old_name(reader: Reader) -> None:
    found = reader.run(f"git grep --ignore-case --files-with-matches {specification.name} || true")
    assert set(found.split()) <= KEPT


def test_the_result_is_served_under_its_new_name(address: str) -> None:
    document = httpx.get(f"{address}/openapi.json").json()
    assert document["info"]["title"] == NAME
    assert "/api/projects" in document["paths"]
    assert "/api/posts" not in document["paths"]
    assert f'realm="{NAME.lower()}"' in httpx.get(f"{address}/auth/me").headers["WWW-Authenticate"]
    assert f"{NAME.lower()}_requests_total" in httpx.get(f"{address}/metrics").text


def test_a_user_has_projects_that_nobody_else_sees(address: str) -> None:
    with sign_up(address, "anna") as anna, sign_up(address, "ben") as ben:
        key = {"Idempotency-Key": "tea"}
        made = anna.post("/api/projects", json={"name": "Tea house"}, headers=key)
        assert made.status_code == 201
        again = anna.post("/api/projects", json={"name": "Tea house"}, headers=key)
        assert (again.json(), again.headers["Idempotency-Replayed"]) == (made.json(), "true")
        other = anna.post("/api/projects", json={"name": "Garden"}).json()
        pages = anna.get("/api/projects", params={"limit": 1})
        following = anna.get(pages.links["next"]["url"])
        assert pages.json() + following.json() == [other, made.json()]

        place = made.headers["Location"]
        assert ben.get(place).status_code == ben.delete(place).status_code == 404
        stale = {"If-Match": made.headers["ETag"]}
        assert anna.patch(place, json={"notes": "Found."}, headers=stale).status_code == 200
        assert anna.patch(place, json={"notes": "Lost."}, headers=stale).status_code == 412
        lines = [json.loads(line) for line in anna.get("/auth/export").text.splitlines()]
        assert [line["name"] for line in lines if line["type"] == "project"] == [
            "Garden",
            "Tea house",
        ]


def test_projects_go_with_the_account(address: str, reader: Reader) -> None:
    with sign_up(address, "carl") as carl:
        project = carl.post("/api/projects", json={"name": "Tea house"}).json()["id"]
        me = carl.get("/auth/me").json()["id"]
        assert carl.delete(f"/api/users/{me}").status_code == 204
        assert carl.get(f"/api/projects/{project}").status_code == 401
    deadline = time.monotonic() + 60
    with closing(sqlite3.connect(reader.folder / FILE)) as database:
        while database.execute("SELECT 1 FROM projects WHERE id = ?", [project]).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)  # between two looks


def test_the_result_passes_its_tests(reader: Reader) -> None:
    code, printed = run_tests(reader.folder, "-q", "-k", "not postgresql", *TESTS)
    assert code == 0, printed[-4000:]


def test_linters_find_nothing_in_the_result(reader: Reader, known_types: Path) -> None:
    assert said(reader.folder, BIN / "ruff", "check", "--quiet", "--no-cache", ".") == ""
    assert said(reader.folder, BIN / "ruff", "format", "--quiet", "--check", "--no-cache") == ""
    assert said(reader.folder, BIN / "bandit", "--quiet", "-r", "app.py", "service") == ""
    assert check_types(reader.folder, known_types) == ""


def test_the_linters_of_the_specification_find_nothing_in_the_result(
    reader: Reader, npm: Path
) -> None:
    file = "openapi/openapi.yaml"
    rules = ["--quiet", "--fail-severity", "hint", "--ruleset", "openapi/spectral.yaml"]
    assert said(reader.folder, BIN / "node", npm / "spectral", "lint", *rules, file) == ""
    rules = ["--config", "openapi/redocly.yaml"]
    assert said(reader.folder, BIN / "node", npm / "redocly", "lint", *rules, file) == ""
    assert said(reader.folder, BIN / "python", "-m", "openapi.gate") == ""


@pytest.mark.usefixtures("npm")
def test_the_clients_of_the_result_have_its_name_and_its_resource(
    reader: Reader, address: str
) -> None:
    reader.run("make sdk")
    clients = reader.folder / "clients"
    for language, program in (("python", "first.py"), ("typescript", "first.mts")):
        readme = (clients / language / "README.md").read_text()
        [example] = re.findall(r"```(?:python|ts)\n(.*?)```", readme, re.DOTALL)
        assert f"{NAME.lower()}.projects.create(" in example
        example = example.replace(EMAIL, f"{language}@example.com")
        (clients / language / program).write_text(re.sub(r"https://[\w.-]+", address, example))
        sign_up(address, language).close()
    python = run(BIN / "python", "first.py", cwd=clients / "python", PYTHONPATH="")
    assert re.match(r"Project\(id=.*name='Tea house'", python)
    [shown] = re.findall(r"```python\n(from acme_client .*?)```", PAGE, re.DOTALL)
    shown = shown.replace("https://api.acme.example", address).replace(EMAIL, "python@example.com")
    shown = run(BIN / "python", "-c", shown, cwd=clients / "python", PYTHONPATH="")
    assert shown == "Tea house\nTea house\n"
    # A package finds itself by its name.
    typescript = run(BIN / "node", "first.mts", cwd=clients / "typescript")
    assert "name: 'Tea house'" in typescript
