"""Data in answers that their readers must not see (OWASP API3, 2023)."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from service.models import Session, User
from service.specification import specification
from tests.kit.attack import Attack, on, table
from tests.kit.passkeys import added, authenticator
from tests.kit.raw import get
from tests.kit.serving import Person, Server

SPEC = specification.document
READS = [(path, item["get"]) for path, item in SPEC["paths"].items() if "get" in item]
PUBLIC = {path: path for path, operation in READS if not operation["security"]}
PERSONAL = {path: path for path, operation in READS if operation["security"]}
HAS_POSTS = "/api/posts" in SPEC["paths"]
WORD = "quincunx"  # in a post of the victim's, so that a search finds it
QUERIES = {
    "/api/search": f"?q={WORD}",
    "/api/users": "?username={0.username}",
    "/api/posts": "?author_id={0.id}",
}

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def victim(server: Server) -> Person:
    """An admin with a post, a passkey and two sessions, about whom there is something to tell."""
    email = f"address-{secrets.token_hex(6)}@example.com"
    victim = server.make_admin(server.sign_up(email=email))
    with server.client(**{"User-Agent": "the-victims-own-browser/1.0"}) as browser:
        credentials = {"email": victim.email, "password": victim.password}
        assert browser.post("/auth/login", json=credentials).status_code == 200
    added(victim, authenticator(server))
    if HAS_POSTS:
        victim.post(f"Notes on the {WORD}", "Five points.")
    return victim


@pytest.fixture(scope="module")
def private(server: Server, victim: Person) -> list[str]:
    """What only the victim and the admins may know, as it stands in the database."""
    [row] = server.execute(select(User.email, User.password_hash).where(User.id == victim.id))
    sessions = server.execute(select(Session.id).where(Session.user_id == victim.id))
    tokens = [victim.tokens["access_token"], victim.tokens["refresh_token"]]
    return [
        *row,
        *(id_ for [id_] in sessions),
        *tokens,
        row.email.partition("@")[0],
        "the-victims-own-browser",
    ]


def filled(path: str, victim: Person) -> str:
    ids = {"user_id": victim.id, "session_id": victim.id}
    ids["passkey_id"] = victim.http.get("/auth/passkeys").json()[0]["id"]
    if HAS_POSTS:
        posts = victim.http.get("/api/posts", params={"author_id": victim.id}).json()
        ids["post_id"] = posts[0]["id"]
    return re.sub(r"\{(\w+)\}", lambda name: ids[name[1]], path) + QUERIES.get(path, "").format(
        victim
    )


def names(value: Any) -> Iterator[str]:
    """Every name of every object in a JSON value."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from names(item)


@table("path", PUBLIC)
def test_public_answers_contain_nothing_private(
    attack: Attack, anna: Person, victim: Person, private: list[str], path: str
) -> None:
    for reader in (None, anna, victim):
        answer = attack("GET", filled(path, victim), 200, token=reader)
        text = f"{answer.headers} {answer.body.decode()}"
        assert [secret for secret in private if secret in text] == []
    if path.startswith("/api/"):
        assert WORD in text or victim.username in text
        hidden = {"email", "password", "password_hash", "role", "disabled", "version", "ip"}
        assert not hidden & set(names(answer.json()))


@table("path", PERSONAL)
def test_personal_answers_contain_only_the_callers_data(
    attack: Attack, anna: Person, victim: Person, private: list[str], path: str
) -> None:
    answer = attack("GET", filled(path, victim), token=anna)
    text = f"{answer.headers} {answer.body.decode()}"
    assert [secret for secret in private if secret in text] == []
    assert victim.id not in text


def test_a_refusal_is_the_same_for_existing_and_missing_resources(
    attack: Attack, anna: Person, victim: Person
) -> None:
    def said(path: str) -> str:
        answer = attack("DELETE", path, 404, token=anna)
        return answer.body.decode().replace(answer.headers["x-request-id"], "")

    [session, *_] = victim.http.get("/auth/sessions").json()
    nobody = "0198c0de-0000-7000-8000-000000000001"
    assert said(f"/auth/sessions/{session['id']}") == said(f"/auth/sessions/{nobody}")


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"0", "{}"', "*"])
def test_the_tag_of_an_account_confirms_nothing_to_others(
    attack: Attack, victim: Person, tag: str
) -> None:
    own = attack("GET", "/auth/me", 200, token=victim).headers["etag"]
    attack("GET", "/auth/me", 401, headers={"If-None-Match": tag.format(own.strip('"'))})


def test_a_conflict_reveals_only_that_there_is_one(
    attack: Attack, anna: Person, victim: Person
) -> None:
    taken = {"email": "someone@example.com", "password": "x" * 20, "username": victim.username}
    answer = attack("POST", "/auth/register", (409, "username-taken"), json=taken)
    assert victim.id not in answer.body.decode()
    changes = {"username": victim.username}
    path = f"/api/users/{anna.id}"
    attack("PATCH", path, 409, token=anna, json=changes, headers={"If-Match": "*"})


def test_the_metrics_name_operations_and_nobody(
    attack: Attack, anna: Person, private: list[str]
) -> None:
    for path in (f"/api/users/{anna.id}", f"/nowhere/{anna.id}", f"/api/users?username={anna.id}"):
        attack("GET", path)
    text = attack("GET", "/metrics", 200).body.decode()
    assert anna.id not in text
    assert "nowhere" not in text
    assert "127.0.0.1" not in text


FILES = [
    *["/.env", "/.git/config", "/.git/HEAD", "/instance/byline.db", "/byline.db", "/app.py"],
    *["/console", "/debug", "/admin", "/server-status", "/actuator/env", "/swagger.json", "/ui"],
    *["/docs/../../service/settings.py", "/docs/..%2f..%2fapp.py", "/docs/%2e%2e/app.py"],
    *["/docs/..%5c..%5capp.py", "/docs/....//app.py", "/docs//etc/passwd", "/docs/init.js%00.css"],
    *["/static/init.js", "/docs/index.html", "/docs/swagger-ui.css.map", "/openapi"],
    *["/docs/problem.html", "/docs/layout.html", "/problems/index.html", "/problems/../app.py"],
    *[
        "/openapi.yaml.bak",
        "/openapi.json~",
        "/api",
        "/auth",
        "/.well-known/",
        "/templates/home.html",
    ],
]


def test_no_file_of_the_server_can_be_read(attack: Attack) -> None:
    for path in FILES:
        assert attack.raw(get(path)).status in {400, 404}, path


def test_the_specification_has_no_wiring_and_no_examples_of_secrets(attack: Attack) -> None:
    text = attack("GET", "/openapi.json", 200).body.decode()
    text = text.replace(attack.server.settings.public_url, "")  # where people reach it anyway
    assert json.loads(text)["paths"].keys() == SPEC["paths"].keys()
    assert not re.search(r'"x-(?!noun"|codeSamples")|localhost|127\.0\.0\.1|service\.', text)
