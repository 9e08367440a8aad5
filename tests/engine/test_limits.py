"""Rate limits: what they count, what the headers say, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.kit import raw
from tests.kit.planning import Owner, Planner, planning
from tests.kit.rate_limit_headers import check_refused, items, left

Serve = Callable[..., Planner]

EXEMPT = [
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/docs/swagger-ui.css",
]


@pytest.fixture
def limited(serve: Serve) -> Serve:
    """Starts a server with limits: those of the test, and else none that a test reaches."""
    ample = dict.fromkeys(("client", "tokens", "search", "write"), "10000 per day")

    def _serve(trusted_proxies: str = "", **limits: str) -> Planner:
        return serve(
            rate_limit_enabled=True, trusted_proxies=trusted_proxies, rate_limits=ample | limits
        )

    return _serve


@pytest.fixture(scope="module")
def anna_by_default(tmp_path_factory: Any) -> Iterator[Owner]:
    """A user of a server with the limits that nobody has changed."""
    with planning(tmp_path_factory.mktemp("limits"), rate_limit_enabled=True) as server:
        yield server.sign_up()


@pytest.mark.parametrize(
    ("method", "path", "policies"),
    [
        ("GET", "/projects", {"client": (300, 60)}),
        ("GET", "/nowhere", {"client": (300, 60)}),
        ("GET", "/me", {"client": (300, 60)}),
        ("GET", "/tasks?q=tea", {"client": (300, 60), "search": (10, 60)}),
        ("POST", "/tokens", {"client": (300, 60), "tokens": (5, 60)}),
        ("POST", "/projects", {"client": (300, 60), "write": (30, 60)}),
        ("PATCH", "/projects/1", {"client": (300, 60), "write": (30, 60)}),
        *(("GET", path, {}) for path in EXEMPT),
    ],
)
def test_every_answer_names_the_limits_that_apply(
    anna_by_default: Owner, method: str, path: str, policies: dict[str, tuple[int, int]]
) -> None:
    answer = anna_by_default.http.request(method, path)
    if not policies:
        assert {"RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)
        return
    said = items(answer.headers["RateLimit-Policy"])
    assert said == {name: {"q": q, "w": w} for name, (q, w) in policies.items()}
    state = items(answer.headers["RateLimit"])
    assert list(state) == list(said)
    for name, (quota, window) in policies.items():
        assert 0 <= state[name]["r"] < quota
        assert 1 <= state[name]["t"] <= window


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/projects", {}, 200),
        ("HEAD", "/projects", {}, 200),
        ("OPTIONS", "/projects", {}, 204),
        ("GET", "/projects?limit=0", {}, 400),
        ("GET", "/projects", {"Host": "elsewhere.example"}, 400),
        ("GET", "/me", {}, 401),
        ("GET", "/me", {"Authorization": "Bearer x"}, 401),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/projects", {}, 405),
        ("POST", "/tokens", {"Content-Type": "text/plain"}, 415),
        ("GET", "/", {"X-Filler": "x" * 33_000}, 431),
    ],
)
def test_every_answer_counts_against_the_client(
    limited: Serve, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    server = limited(client="3 per day")
    for expected in (2, 1, 0):
        # A connection of its own each time: some of these answers close it.
        with server.client() as client:
            answer = client.request(method, path, headers=headers)
        assert answer.status_code == status
        assert left(answer, "client") == expected
    with server.client() as client:
        check_refused(client.get("/projects"), "client", 86_400)
        for exempt in EXEMPT:
            assert client.get(exempt).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"A" * 80_000],
    ids=["another version", "TLS", "no end"],
)
def test_input_that_is_not_http_counts_against_the_client(limited: Serve, sent: bytes) -> None:
    server = limited(client="3 per day")
    for _ in range(3):
        assert raw.exchange(server.url, sent).status in {400, 431}
    with server.client() as client:
        check_refused(client.get("/projects"), "client", 86_400)
        assert client.get("/health/live").status_code == 200


def test_a_refused_request_does_not_count(limited: Serve) -> None:
    server = limited(client="2 per day")
    with server.client() as client:
        answers = [client.get("/nowhere") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [404] * 2 + [429] * 7


def test_a_refused_request_does_nothing(limited: Serve) -> None:
    anna = limited(write="1 per day").sign_up()
    path = f"/projects/{anna.project('first')['id']}"
    check_refused(anna.http.post("/projects", json={"name": "a"}), "write", 86_400)
    check_refused(anna.http.delete(path), "write", 86_400)
    assert [project["name"] for project in anna.http.get("/projects").json()] == ["first"]
    assert anna.http.get(path).status_code == 200


def test_all_writes_of_a_user_share_one_budget(limited: Serve) -> None:
    anna = limited(write="4 per day").sign_up()
    path = f"/projects/{anna.project()['id']}"
    change: Any = {"json": {"name": "b"}, "headers": {"If-Match": "*"}}
    assert left(anna.http.patch(path, **change), "write") == 2
    assert left(anna.http.patch("/projects/1", json={}), "write") == 1
    assert left(anna.http.delete(path), "write") == 0
    check_refused(anna.http.post(f"{path}/tasks", json={"name": "x"}), "write", 86_400)
    assert anna.http.get("/me").status_code == 200


def test_the_writes_of_one_user_are_not_those_of_another(limited: Serve) -> None:
    server = limited(write="1 per day")
    anna, ben = server.sign_up(), server.sign_up()
    path = f"/projects/{anna.project()['id']}"
    check_refused(anna.http.delete(path), "write", 86_400)
    ben.project()


def _begin(client: httpx.Client, number: int) -> httpx.Response:
    return client.post("/tokens", json={"name": f"anna{number}"})


def _search(client: httpx.Client, number: int) -> httpx.Response:
    return client.get("/tasks", params={"q": f"tea{number}"})


@pytest.mark.parametrize(("policy", "send"), [("tokens", _begin), ("search", _search)])
def test_register_login_and_search_have_limits_per_client(
    limited: Serve, policy: str, send: Callable[[httpx.Client, int], httpx.Response]
) -> None:
    server = limited(**{policy: "2 per day"})
    anna, anonymous = (server.client(token) for token in ("x", None))
    first, second, third = (send(c, i) for i, c in enumerate((anna, anonymous, anna)))
    assert (left(first, policy), left(second, policy)) == (1, 0)
    check_refused(third, policy, 86_400)
    others = {_begin, _search} - {send}
    assert 429 not in {other(anonymous, 9).status_code for other in others}


@pytest.mark.parametrize(
    ("settings", "also"),
    [
        ({"rate_limit_client": "7/hour"}, {}),
        ({"rate_limits": "client=7 per hour"}, {}),
        ({"rate_limits": "search=2 per 30 seconds, client=7/hour"}, {"search": {"q": 2, "w": 30}}),
    ],
)
def test_settings_override_the_default_limits(
    serve: Serve, settings: dict[str, str], also: dict[str, Any]
) -> None:
    server = serve(rate_limit_enabled=True, **settings)
    with server.client() as client:
        said = items(client.get("/tasks?q=tea").headers["RateLimit-Policy"])
    assert said == {"client": {"q": 7, "w": 3600}, "search": {"q": 10, "w": 60}} | also


def test_limits_that_are_switched_off_are_off(serve: Serve) -> None:
    names = ("client", "tokens", "search", "write")
    server = serve(rate_limit_enabled=False, rate_limits=dict.fromkeys(names, "1 per day"))
    anna = server.sign_up()
    calls: list[Callable[[int], httpx.Response]] = [
        partial(_begin, anna.http),
        partial(_search, anna.http),
        lambda _: anna.http.post("/projects", json={"name": "a"}),
    ]
    answers = [call(number) for call in calls for number in range(3)]
    assert [a.status_code for a in answers] == [201] * 3 + [200] * 3 + [201] * 3
    for answer in answers:
        assert {"RateLimit", "RateLimit-Policy"}.isdisjoint(answer.headers)
