"""Statements, patterns and templates in every text that an operation takes, read off the spec."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from service.models import User
from service.specification import specification
from tests.kit.attack import Attack, on
from tests.kit.raw import Answer
from tests.kit.serving import PASSWORD, Person, Server

SPEC = specification.document
PAYLOADS = [
    # SQL, and what is special to SQLite and to PostgreSQL.
    *["'", '"', "' OR '1'='1", "1; DROP TABLE users; --", "'||pg_sleep(9)||'", "\\'", "E'\\x00'"],
    *["' UNION SELECT email, password_hash FROM users --", ":id", "%(id)s", "{id}"],
    # FTS5, tsquery and LIKE; test_search.py has more.
    *["%", "*", "title : x", "NEAR(a b, 5)", "a AND NOT", 'a"b"c', "a & ", "a:*", "(((", "- -"],
    # Templates, shells, objects, paths, headers, markup.
    *["{{7*7}}", "${7*7}", "`id`", "$(id)", "__proto__", "{'$ne': None}", "../../etc/passwd"],
    *["x\r\nSet-Cookie: a=b", "\r\n\r\n<x>", "a\0b", '"><img src=x onerror=alert(1)>'],
    # Characters and numbers.
    *["\ud800", "\udfff\ud800", "\u202e\u2066", "\ufeff", "\U0010ffff", "e\u0301" * 40, "\x1b[31m"],
    *["\u0130\u0131\u017f", "\x7f\x80\x9b", "1e999", "null", "9" * 400, "-1", "true", "x" * 5000],
]
REQUIRED = {"q": "tea", "If-Match": "*"}

pytestmark = on("sqlite", "postgresql")


def resolved(node: Any) -> Any:
    while "$ref" in node:
        node = reduce(dict.__getitem__, node["$ref"].split("/")[1:], SPEC)
    return node


@dataclass(frozen=True)
class Cast:
    admin: Person
    ids: dict[str, str]


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    declared: dict[str, Any]

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [resolved(parameter) for parameter in self.declared.get("parameters", [])]

    @property
    def example(self) -> dict[str, Any]:
        content = self.declared.get("requestBody", {}).get("content", {})
        return dict(content["application/json"]["example"]) if content else {}

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Where it takes a text that is no password, for test_credentials.py has those."""
        schemas = [(p["in"], p["name"], resolved(p["schema"])) for p in self.parameters]
        if content := self.declared.get("requestBody", {}).get("content", {}):
            body = resolved(content["application/json"]["schema"])["properties"]
            schemas += [("body", name, resolved(schema)) for name, schema in body.items()]
        return [
            (place, name)
            for place, name, schema in schemas
            if schema["type"] == "string" and schema.get("format") != "password"
        ]

    def send(self, attack: Attack, who: Cast, place: str, name: str, payload: str) -> Answer:
        """The operation as its example has it, but for one text."""
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}}
        for parameter in self.parameters:
            if parameter["in"] == "path":
                known = {} if self.method == "delete" else who.ids
                given["path"][parameter["name"]] = known.get(parameter["name"], str(uuid4()))
            elif parameter.get("required"):
                given[parameter["in"]][parameter["name"]] = REQUIRED[parameter["name"]]
        own = {"email": f"{secrets.token_hex(6)}@example.com", "current_password": PASSWORD}
        given["body"] = {field: own.get(field, value) for field, value in self.example.items()}
        text = payload.strip().encode() if place == "header" else payload
        given[place][name] = text
        path = self.path.format(**{n: _quoted(v) for n, v in given["path"].items()})
        query = "&".join(f"{n}={_quoted(v)}" for n, v in given["query"].items())
        target = f"{path}?{query}" if query else path
        body = given["body"] if self.example else None
        return attack(self.method, target, token=who.admin, json=body, headers=given["header"])

    def __str__(self) -> str:
        return str(self.declared["operationId"])


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


OPERATIONS = [
    operation
    for path, item in SPEC["paths"].items()
    for method in item
    if (operation := Operation(method, path, item[method])).texts
]


@pytest.fixture
def cast(server: Server, admin: Person) -> Iterator[Cast]:
    """An admin, with a post where there are posts; nothing is lost meanwhile."""
    count = select(func.count(User.id))
    ids = {"user_id": admin.id}
    if "/api/posts" in SPEC["paths"]:
        ids["post_id"] = admin.post()["id"]
    [[before]] = server.execute(count)
    yield Cast(admin, ids)
    [[after]] = server.execute(count)
    assert after >= before
    if post_id := ids.get("post_id"):
        assert admin.http.get(f"/api/posts/{post_id}").status_code == 200


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_text_stays_plain_text_everywhere(
    attack: Attack, cast: Cast, operation: Operation
) -> None:
    documented = {int(status) for status in operation.declared["responses"]}
    for place, name in operation.texts:
        # What no client can send in a header is in engine/test_http.py.
        for payload in PAYLOADS if place != "header" else filter(str.isprintable, PAYLOADS[::3]):
            answer = operation.send(attack, cast, place, name, payload)
            assert answer.status in documented, (place, name, payload)
            assert place != "path" or answer.status >= 400
            kept = answer.json() if answer.status in {200, 201} else {}
            if place == "body" and name in kept and name != "email":
                assert kept[name] == payload


def test_a_filter_by_address_is_no_pattern(attack: Attack, admin: Person) -> None:
    for local in ("%", "%%", "_%", "%25", "*", "?"):
        params = {"email": f"{local}@example.com"}
        assert attack("GET", "/api/accounts", 200, token=admin, params=params).json() == []


def test_a_filter_by_name_is_no_pattern(attack: Attack, server: Server) -> None:
    name = secrets.token_hex(6)
    server.sign_up(username=f"a-{name}")
    for pattern in (f"a_{name}", f"a-{name[:-1]}_", f"a-{name[:-2]}__"):
        assert attack("GET", "/api/users", 200, params={"username": pattern}).json() == []
    assert len(attack("GET", "/api/users", 200, params={"username": f"a-{name}"}).json()) == 1


def test_other_values_of_order_are_refused(attack: Attack) -> None:
    for order in ("id", "password_hash", "(select 1)", "1", "newest,oldest", "NEWEST"):
        for path in {"/api/posts", "/api/users"} & SPEC["paths"].keys():
            attack("GET", path, (400, "invalid-request"), params={"order": order})
