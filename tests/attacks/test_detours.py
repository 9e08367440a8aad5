"""What is an admin's or an owner's, by every detour of method, address and header (OWASP API5)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.attack import Attack, on, table
from tests.kit.raw import request
from tests.kit.serving import Person, Server

INVALID, BAD_REQUEST = (400, "invalid-request"), (400, "bad-request")
NO_TOKEN, ADMIN_ONLY = (401, "authentication-required"), (403, "admin-required")
CHANGE = {"bio": "Taken over"}

pytestmark = on("sqlite")


@pytest.fixture
def path(attack: Attack, owner: Person) -> Iterator[str]:
    path = f"/api/users/{owner.id}"
    before = attack("GET", path, 200).json()
    yield path
    assert attack("GET", path, 200).json() == before


# Another method than the one that is asked


OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method"]


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PUT"])
def test_no_header_makes_another_method(
    attack: Attack, owner: Person, path: str, method: str
) -> None:
    for name in OVERRIDES:
        answer = attack("GET", path, 200, token=owner, headers={name: method})
        assert answer.json()["id"] == owner.id
        attack("POST", path, 405, token=owner, headers={name: method}, json=CHANGE)


def test_no_parameter_makes_another_method(attack: Attack, owner: Person, path: str) -> None:
    attack("GET", f"{path}?_method=DELETE", INVALID, token=owner)
    attack("GET", "/api/users?_method=POST", INVALID, token=owner)
    body = {"bio": "x", "_method": "DELETE"}
    attack("PATCH", path, INVALID, token=owner, json=body, headers={"If-Match": "*"})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    attack("POST", path, 405, token=owner, content="_method=DELETE", headers=form)


@pytest.mark.parametrize("method", ["delete", "Delete", "DELETE\t", "DELETE\x0b", "DÉLETE"])
def test_a_method_has_one_spelling(attack: Attack, owner: Person, path: str, method: str) -> None:
    data = request("X", path, "Authorization: Bearer {token}").replace(b"X", method.encode(), 1)
    attack.raw(data, BAD_REQUEST, owner.tokens["access_token"])


def test_head_and_options_reveal_no_more_than_get(
    attack: Attack, owner: Person, mallory: Person
) -> None:
    for path, token, status in (
        ("/auth/me", None, 401),
        ("/auth/sessions", None, 401),
        ("/api/accounts", None, 401),
        ("/api/accounts", mallory, 403),
        (f"/api/accounts?email={owner.email}", mallory, 403),
    ):
        head = attack("HEAD", path, status, token=token)
        assert not {"etag", "link", "location"} & head.headers.keys()
    for path in (f"/api/users/{owner.id}", f"/auth/sessions/{owner.id}", "/auth/me"):
        options = attack("OPTIONS", path, 204)
        assert not {"etag", "link", "location", "www-authenticate"} & options.headers.keys()


# Another address than the one that is asked


@table(
    "headers",
    {
        "an address that was": {"X-Original-URL": "/api/accounts"},
        "an address to be": {"X-Rewrite-URL": "/api/accounts"},
        "an address of a proxy": {
            "X-Forwarded-Uri": "/api/accounts",
            "X-Forwarded-Path": "/auth/me",
        },
        "a prefix": {"X-Forwarded-Prefix": "/api/accounts", "X-Script-Name": "/api/accounts"},
        "a local client": {
            "X-Forwarded-For": "127.0.0.1",
            "X-Real-IP": "::1",
            "Client-IP": "127.0.0.1",
        },
        "an internal host": {"X-Forwarded-Host": "localhost", "X-Host": "admin.internal"},
        "a user": {"X-User-Id": "{id}", "X-Forwarded-User": "{id}", "Remote-User": "{id}"},
        "an address of a user": {"X-Forwarded-Email": "{email}", "X-Auth-Request-Email": "{email}"},
        "a role": {
            "X-Role": "admin",
            "X-Roles": "admin",
            "X-Admin": "true",
            "X-Hasura-Role": "admin",
        },
        "a certificate": {"X-SSL-Client-Verify": "SUCCESS", "X-Client-Cert": "CN=admin"},
        "a service key": {"apikey": "service_role", "X-Api-Key": "service_role"},
        "a referrer": {"Referer": "http://127.0.0.1:8000/admin", "Origin": "http://localhost"},
        "a debugger": {"X-Debug": "1", "X-Debug-Token": "1", "Cookie": "debug=1; role=admin"},
    },
)
def test_no_header_makes_an_admin(
    attack: Attack, server: Server, owner: Person, mallory: Person, headers: dict[str, str]
) -> None:
    given = {name: value.format(id=owner.id, email=owner.email) for name, value in headers.items()}
    attack("GET", "/api/accounts", ADMIN_ONLY, token=mallory, headers=given)
    attack("GET", "/api/accounts", NO_TOKEN, headers=given)
    assert attack("GET", "/auth/me", 200, token=mallory, headers=given).json()["id"] == mallory.id
    profiles = attack("GET", "/api/users", 200, headers=given).json()
    assert "email" not in profiles[0]


DETOURS = [
    *["/api/accounts/", "/api//accounts", "//api/accounts", "/API/ACCOUNTS", "/api/Accounts"],
    *["/api/accounts/.", "/api/./accounts", "/api/users/../accounts", "/api/users/..;/accounts"],
    *["/api/accounts.json", "/api/accounts;a=b", "/api/accounts%20", "/api/accounts%23"],
    *["/api/accounts%3f", "/api/accounts%3Frole=admin", "/api%2faccounts", "/api/%2e/accounts"],
    *[
        "/api/%61ccounts",
        "/api/accounts%00",
        "/api/accounts%0a",
        "/api/accounts%09",
        "/api/accounts?",
    ],
    *[
        "/api/accounts#x",
        "/api\\accounts",
        "/api%5caccounts",
        "/.;/api/accounts",
        "/api/accounts/*",
    ],
    *["/docs/../api/accounts", "/docs/%2e%2e/api/accounts", "/health/live/../../api/accounts"],
    *["/api/accounts?x=/api/users", "/api/%C0%AE%C0%AE/accounts", "/api/acc\u014funts"],
]


def test_no_spelling_of_a_path_reaches_admin_operations(
    attack: Attack, owner: Person, mallory: Person
) -> None:
    for path in DETOURS:
        data = request("GET", path.encode(), "Authorization: Bearer {token}")
        answer = attack.raw(data, token=mallory.tokens["access_token"])
        assert answer.status in {400, 403, 404}, path
        unauthorised = attack.raw(request("GET", path.encode()))
        assert unauthorised.status in {400, 401, 404}, path
