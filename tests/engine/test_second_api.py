"""The engine serves a second API, `planner`, which has no users, posts or mails."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from service.engine.database import revisions
from service.engine.database.transaction import db
from service.engine.settings import BadConfiguration
from service.engine.spec import flask_app
from service.engine.tokens.authority import key_ring
from service.engine.tokens.keys import generate_key
from tests.engine.planner.settings import Settings
from tests.kit import postgres
from tests.kit.commands import running

MIGRATIONS = Path(__file__).with_name("planner") / "alembic"
COMMAND = [sys.executable, "-m", "tests.engine.planner.app"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("planner")
    settings = {"JWT_KEYS_DIR": str(folder / "keys"), "RATE_LIMITS": "tokens=50 per minute"}
    generate_key(folder / "keys")
    if request.param == "postgresql":
        settings["DATABASE_URL"] = postgres.start()
    with running(COMMAND, folder, **settings) as url:
        yield url


@pytest.fixture
def anna(url: str) -> Iterator[httpx.Client]:
    with _signed_in(url) as client:
        yield client


def _signed_in(url: str) -> httpx.Client:
    token = httpx.post(f"{url}/tokens", json={"name": "anna"}).json()["access_token"]
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"})


def test_a_new_resource_can_be_read_at_its_location(anna: httpx.Client) -> None:
    created = anna.post("/projects", json={"name": "A garden"})
    assert created.status_code == 201
    found = anna.get(created.headers["Location"])
    assert found.json() == created.json()
    assert found.headers["ETag"] == created.headers["ETag"] == '"1"'


def test_an_unchanged_resource_is_a_304(anna: httpx.Client) -> None:
    place = anna.post("/projects", json={"name": "A garden"}).headers["Location"]
    tag = anna.get(place).headers["ETag"]
    assert anna.get(place, headers={"If-None-Match": tag}).status_code == 304


def test_a_change_needs_the_tag_that_was_read(anna: httpx.Client) -> None:
    place = anna.post("/projects", json={"name": "A garden"}).headers["Location"]
    answers = [
        anna.patch(place, json={"name": "A pond"}, headers=headers)
        for headers in ({}, {"If-Match": '"1"'}, {"If-Match": '"1"'})
    ]
    assert [answer.status_code for answer in answers] == [428, 200, 412]
    assert anna.get(place).json()["name"] == "A pond"


def test_nobody_changes_what_belongs_to_another(url: str, anna: httpx.Client) -> None:
    place = anna.post("/projects", json={"name": "A garden"}).headers["Location"]
    with _signed_in(url) as ben:
        refused = ben.patch(place, json={"name": "Mine"}, headers={"If-Match": "*"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_pages_lead_to_everything_once(anna: httpx.Client) -> None:
    made = [anna.post("/projects", json={"name": str(n)}).json()["id"] for n in range(5)]
    owner_id = anna.get("/me").json()["id"]
    read, place = [], f"/projects?owner_id={owner_id}&limit=2"
    while place:
        answer = anna.get(place)
        read += [project["id"] for project in answer.json()]
        place = answer.links.get("next", {}).get("url", "")
    assert read == made[::-1]


def test_a_retry_with_its_key_creates_nothing(anna: httpx.Client) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (anna.post("/projects", json={"name": "x"}, headers=key) for _ in range(2))
    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = anna.post("/projects", json={"name": "y"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    own = anna.get("/projects", params={"owner_id": anna.get("/me").json()["id"]})
    assert len(own.json()) == 1


def test_a_task_belongs_to_a_project(anna: httpx.Client) -> None:
    project = anna.post("/projects", json={"name": "A garden"}).json()
    task = anna.post(f"/projects/{project['id']}/tasks", json={"name": "Dig"})
    assert (task.status_code, task.json()["project_id"]) == (201, project["id"])
    missing = anna.post(f"/projects/{task.json()['id']}/tasks", json={"name": "Dig"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/name"), ({"name": ""}, "/name"), ({"name": "x", "owner_id": "y"}, "/owner_id")],
)
def test_a_body_that_does_not_fit_is_a_400_that_says_where(
    anna: httpx.Client, body: dict[str, str], pointer: str
) -> None:
    refused = anna.post("/projects", json=body)
    assert refused.status_code == 400
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


@pytest.mark.parametrize("token", ["", "Bearer nonsense"])
def test_nobody_gets_in_without_a_token(url: str, token: str) -> None:
    refused = httpx.get(f"{url}/me", headers={"Authorization": token} if token else {})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith('Bearer realm="planner"')


def test_a_limit_of_the_specification_is_enforced(anna: httpx.Client) -> None:
    answers = [anna.post("/projects", json={"name": "x"})]
    while answers[-1].status_code == 201 and len(answers) < 90:  # a minute may end meanwhile
        answers.append(anna.post("/projects", json={"name": "x"}))
    assert answers[-1].status_code == 429
    assert len(answers) > 30
    assert '"write";r=0;' in answers[-2].headers["RateLimit"]


def test_the_metrics_count_its_operations(url: str, anna: httpx.Client) -> None:
    anna.get("/projects")
    text = httpx.get(f"{url}/metrics").text
    assert 'planner_requests_total{operation="list_projects",status="200"}' in text
    assert 'planner_build_info{version="2.3.4"} 1.0' in text
    assert set(re.findall(r"^# TYPE ([a-z]+)_", text, re.MULTILINE)) == {"planner", "process"}


def test_issuer_and_audience_of_its_tokens_are_its_own_name(anna: httpx.Client) -> None:
    token = anna.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"]) == ("planner", "planner")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("DATABASE_URL", "postgresql://localhost/x", "run `planner keys generate`, or set"),
        ("DATABASE_URL", "no address", "for example DATABASE_URL=postgresql://planner:"),
        ("JWT_ISSUER", " ", "for example JWT_ISSUER=planner"),
    ],
)
def test_the_error_of_a_bad_setting_names_the_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(BadConfiguration, match=line):
        key_ring(Settings.load())


def test_without_a_schema_it_names_the_command_that_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flask = flask_app.create_flask(Settings.load(), "planner", migrations=MIGRATIONS)
    with flask.app_context(), pytest.raises(revisions.Behind, match="run `planner db upgrade`"):
        revisions.require(db.engine)


def test_the_default_database_has_the_name_of_the_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.load().database_url == f"sqlite:///{tmp_path}/instance/planner.db"
