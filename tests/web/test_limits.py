"""Rate limits: what they count, what the headers say, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.kit.rate_limit_headers import check_refused, items, left
from tests.kit.serving import PASSWORD, Person, Server, serving

Serve = Callable[..., Server]

EXEMPT = [
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.yaml",
    "/openapi.json",
    "/openapi-3.1.json",
    "/docs",
    "/docs/swagger-ui.css",
    "/.well-known/jwks.json",
]


@pytest.fixture
def limited(serve: Serve) -> Serve:
    """Starts a server with limits: those of the test, and else none that a test reaches."""
    ample = {
        **dict.fromkeys(("client", "login", "register", "refresh"), "10000 per day"),
        **dict.fromkeys(("search", "write", "account"), "10000 per day"),
    }

    def _serve(trusted_proxies: str = "", **limits: str) -> Server:
        return serve(
            rate_limit_enabled=True, trusted_proxies=trusted_proxies, rate_limits=ample | limits
        )

    return _serve


@pytest.fixture(scope="module")
def anna_by_default(tmp_path_factory: Any) -> Iterator[Person]:
    """A user of a server with the limits that nobody has changed."""
    with serving(tmp_path_factory.mktemp("limits"), rate_limit_enabled=True) as server:
        yield server.sign_up()


@pytest.mark.parametrize(
    ("method", "path", "policies"),
    [
        ("GET", "/", {"client": (300, 60)}),
        ("GET", "/api/users", {"client": (300, 60)}),
        ("GET", "/nowhere", {"client": (300, 60)}),
        ("GET", "/auth/me", {"client": (300, 60)}),
        ("POST", "/auth/login", {"client": (300, 60), "login": (10, 60)}),
        ("POST", "/auth/register", {"client": (300, 60), "register": (10, 3600)}),
        ("PATCH", "/api/users/1", {"client": (300, 60), "write": (60, 60)}),
        ("DELETE", "/api/users/1", {"client": (300, 60), "write": (60, 60)}),
        ("PUT", "/auth/password", {"client": (300, 60), "password": (5, 3600)}),
        ("POST", "/auth/refresh", {"client": (300, 60), "refresh": (30, 60)}),
        *(("GET", path, {}) for path in EXEMPT),
    ],
)
def test_every_answer_names_the_limits_that_apply(
    anna_by_default: Person, method: str, path: str, policies: dict[str, tuple[int, int]]
) -> None:
    kind = "refresh_token" if path == "/auth/refresh" else "access_token"
    with anna_by_default.server.client(anna_by_default.tokens[kind]) as client:
        answer = client.request(method, path)
    if not policies:
        assert {"RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)
        return
    said = items(answer.headers["RateLimit-Policy"])
    assert said == {name: {"q": q, "w": w} for name, (q, w) in policies.items()}
    state = items(answer.headers["RateLimit"])
    assert list(state) == list(said)
    for name, (quota, window) in policies.items():
        counted = name != "login"  # of which only failures count, and this is none
        assert 0 <= state[name]["r"] <= quota - counted
        assert 1 <= state[name]["t"] <= window


def change(person: Person, bio: str) -> httpx.Response:
    """A write that anybody may make."""
    headers = {"If-Match": "*"}
    return person.http.patch(f"/api/users/{person.id}", json={"bio": bio}, headers=headers)


def test_a_refused_request_does_nothing(limited: Serve) -> None:
    anna = limited(write="1 per day").sign_up()
    assert change(anna, "first").status_code == 200
    check_refused(change(anna, "second"), "write", 86_400)
    check_refused(anna.http.delete(f"/api/users/{anna.id}"), "write", 86_400)
    assert anna.http.get(f"/api/users/{anna.id}").json()["bio"] == "first"


def test_all_writes_of_a_user_share_one_budget(limited: Serve) -> None:
    server = limited(write="4 per day")
    anna = server.sign_up()
    other = server.sign_in(anna.email)
    assert left(change(anna, "a"), "write") == 3
    assert left(change(other, "b"), "write") == 2
    assert left(anna.http.patch("/api/users/1", json={}), "write") == 1
    assert left(other.http.delete("/api/users/1"), "write") == 0
    check_refused(other.http.delete("/auth/sessions"), "write", 86_400)
    assert anna.http.get("/auth/me").status_code == 200


def test_the_writes_of_one_user_are_not_those_of_another(limited: Serve) -> None:
    server = limited(write="1 per day")
    anna, ben = server.sign_up(), server.sign_up()
    assert change(anna, "a").status_code == 200
    check_refused(anna.http.delete(f"/api/users/{anna.id}"), "write", 86_400)
    assert change(ben, "b").status_code == 200


def test_refreshing_is_limited_for_each_session(limited: Serve) -> None:
    server = limited(refresh="2 per day")
    anna = server.sign_up()
    other = server.sign_in(anna.email)
    refresh = anna.tokens["refresh_token"]
    for expected in (1, 0):
        with server.client(refresh) as client:
            answer = client.post("/auth/refresh")
        assert left(answer, "refresh") == expected
        refresh = answer.json()["refresh_token"]
    with server.client(refresh) as client:
        check_refused(client.post("/auth/refresh"), "refresh", 86_400)
    with server.client(other.tokens["refresh_token"]) as client:
        assert client.post("/auth/refresh").status_code == 200


def _register(client: httpx.Client, number: int) -> httpx.Response:
    body = {"email": f"anna{number}@example.com", "password": PASSWORD}
    return client.post("/auth/register", json=body)


def _login(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/auth/login", json={"email": f"x{number}@example.com", "password": "x"})


def test_only_failed_logins_count(limited: Serve) -> None:
    server = limited(login="2 per day")
    anna = server.sign_up()
    right, empty = {"email": anna.email, "password": PASSWORD}, {"email": anna.email}
    with server.client() as client:
        for body, status, remaining in ((right, 200, 2), (empty, 400, 2), ({}, 400, 2)) * 2:
            answer = client.post("/auth/login", json=body)
            assert (answer.status_code, left(answer, "login")) == (status, remaining)
        assert [left(_login(client, number), "login") for number in range(2)] == [1, 0]
        check_refused(_login(client, 3), "login", 86_400)
        check_refused(client.post("/auth/login", json=right), "login", 86_400)


@pytest.mark.parametrize(("policy", "send"), [("register", _register), ("login", _login)])
def test_register_login_and_search_have_limits_per_client(
    limited: Serve, policy: str, send: Callable[[httpx.Client, int], httpx.Response]
) -> None:
    server = limited(**{policy: "2 per day"})
    anna, anonymous = (server.client(token) for token in ("x", None))
    first, second, third = (send(c, i) for i, c in enumerate((anna, anonymous, anna)))
    assert (left(first, policy), left(second, policy)) == (1, 0)
    check_refused(third, policy, 86_400)
    others = {_register, _login} - {send}
    assert 429 not in {other(anonymous, 9).status_code for other in others}


@pytest.mark.parametrize(
    ("settings", "also"),
    [
        ({"rate_limit_client": "7/hour"}, {}),
        ({"rate_limits": "client=7 per hour"}, {}),
        ({"rate_limits": "login=2 per 30 seconds, client=7/hour"}, {"login": {"q": 2, "w": 30}}),
    ],
)
def test_settings_override_the_default_limits(
    serve: Serve, settings: dict[str, str], also: dict[str, Any]
) -> None:
    server = serve(rate_limit_enabled=True, **settings)
    with server.client() as client:
        said = items(client.post("/auth/login", json={}).headers["RateLimit-Policy"])
    assert said == {"client": {"q": 7, "w": 3600}, "login": {"q": 10, "w": 60}} | also


def test_limits_that_are_switched_off_are_off(serve: Serve) -> None:
    names = ("client", "login", "account", "strangers", "register", "write")
    server = serve(rate_limit_enabled=False, rate_limits=dict.fromkeys(names, "1 per day"))
    anna = server.sign_up()
    calls: list[Callable[[int], httpx.Response]] = [
        partial(_login, anna.http),
        lambda number: change(anna, str(number)),
        lambda _: anna.http.post("/auth/login", json={"email": anna.email, "password": "wrong"}),
    ]
    answers = [call(number) for call in calls for number in range(3)]
    assert [a.status_code for a in answers] == [401] * 3 + [200] * 3 + [401] * 3
    for answer in answers:
        assert {"RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)
    assert isinstance(server.sign_in(anna.email), Person)
