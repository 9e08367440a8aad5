"""The headers and the log line that every answer has."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.specification import specification
from tests.kit.serving import PASSWORD, Person, Server, serving

PATHS = specification.document["paths"]
AN_ID = "01a20411-99fb-7f52-8c1d-e9604b7a35d2"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def allowed(path: str) -> list[str]:
    """The methods that a path of the specification has to allow."""
    declared = {method.upper() for method in PATHS[path]} & set(METHODS)
    return sorted(declared | {"OPTIONS"} | ({"HEAD"} if "GET" in declared else set()))


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", AN_ID, path)


def answers(anna: Person, other: Person, admin: Person) -> Iterator[tuple[int, httpx.Response]]:
    """Answers of each kind, with the status that each should have."""
    get, post = anna.http.get, anna.http.post
    key = {"Idempotency-Key": "k"}
    new = {"email": f"new-{anna.email}", "password": PASSWORD}
    created = admin.http.post("/api/users", json=new, headers=key)
    path = f"/api/users/{anna.id}"
    tag = get(path).headers["ETag"]
    yield 201, created
    yield 200, get(path)
    yield 200, get("/")
    yield 200, get("/docs/init.js")
    yield 200, get("/metrics")
    yield 304, get(path, headers={"If-None-Match": tag})
    yield 304, get("/docs/init.js", headers={"If-None-Match": "*"})
    yield 204, anna.http.options(path)
    yield 204, anna.http.delete("/auth/sessions")
    yield 400, get("/api/users?limit=0")
    yield 400, get("/api/users", headers={"Host": "elsewhere.example"})
    yield 400, post("/auth/login", content="{", headers={"Content-Type": "application/json"})
    yield 401, get("/auth/me", headers={"Authorization": "Bearer x"})
    yield 403, other.http.delete(path)
    yield 404, get("/nowhere")
    yield 404, get("/docs/nowhere")
    yield 404, get(f"/api/users/{AN_ID}")
    yield 405, anna.http.put("/api/users")
    yield 405, anna.http.put("/docs/init.js")
    yield 409, admin.http.post("/api/users", json=new)
    yield 412, anna.http.delete(path, headers={"If-Match": '"x"'})
    yield 415, post("/auth/login", content="x=y", headers={"Content-Type": "text/plain"})
    yield (
        422,
        admin.http.post("/api/users", json=new | {"email": f"newer-{anna.email}"}, headers=key),
    )
    yield 428, anna.http.patch(path, json={"bio": "b"})
    yield 431, get("/", headers={"X-Filler": "x" * 33_000})


def test_every_answer_has_an_id_and_says_how_it_may_be_read_and_kept(
    anna: Person, ben: Person, admin: Person
) -> None:
    ids = []
    for status, answer in answers(anna, ben, admin):
        assert answer.status_code == status
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"]
        ids.append(answer.headers["X-Request-Id"])
        if status >= 400:
            problem = answer.json()
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Cache-Control"] == "no-store"
            assert problem["status"] == status
            assert problem["type"] == f"/problems/{problem['code']}"
            assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", [path for path in PATHS if path.startswith("/auth/")])
@pytest.mark.parametrize("method", METHODS)
def test_answers_of_auth_are_never_cached(anonymous: httpx.Client, path: str, method: str) -> None:
    answer = anonymous.request(method, filled(path))
    assert answer.headers["Cache-Control"] == "no-store"


def test_personal_answers_are_not_cached_and_public_ones_are_revalidated(
    anna: Person, admin: Person
) -> None:
    assert anna.http.get("/auth/me").headers["Cache-Control"] == "no-store, no-transform"
    for path in ("/api/accounts", "/api/audit-events", "/auth/sessions", "/auth/export"):
        assert admin.http.get(path).headers["Cache-Control"] == "no-store"
    assert anna.http.get("/api/users").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("given", ["x", "a.B_c-9", "0" * 128, AN_ID, "..", "-"])
def test_a_well_formed_request_id_is_kept(anonymous: httpx.Client, given: str) -> None:
    for path in ("/api/users", "/nowhere", "/health/live"):
        answer = anonymous.get(path, headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", "a b", "0" * 129, "caf\u00e9", "<script>", "a,b", "a/b", '"a"', "\u0661", "a;b=c"]
)
def test_any_other_request_id_is_replaced(anonymous: httpx.Client, given: str) -> None:
    sent = {"X-Request-Id": given.encode()}
    ids = {anonymous.get("/api/users", headers=sent).headers["X-Request-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{16,128}", id_) for id_ in ids)
    assert given not in ids


@pytest.mark.parametrize("path", [*PATHS, "/docs/init.js"])
def test_options_and_a_wrong_method_name_every_method_that_works(
    anonymous: httpx.Client, path: str
) -> None:
    wanted = allowed(path) if path in PATHS else ["GET", "HEAD", "OPTIONS"]
    answer = anonymous.options(filled(path))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"].split(", ") == wanted
    for method in {*METHODS, "TRACE", "PROPFIND"} - set(wanted):
        answer = anonymous.request(method, filled(path))
        assert answer.status_code == 405
        assert answer.headers["Allow"].split(", ") == wanted
    for method in set(wanted) - {"OPTIONS"}:
        assert anonymous.request(method, filled(path)).status_code != 405


@pytest.mark.parametrize("path", [p for p in PATHS if "get" in PATHS[p] and p != "/metrics"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_head_is_get_without_the_body(
    anna: Person, anonymous: httpx.Client, path: str, signed_in: bool
) -> None:
    client = anna.http if signed_in else anonymous
    path = re.sub(r"\{(\w+)\}", lambda name: {"user_id": anna.id}.get(name[1], AN_ID), path)
    query = "?q=zzzzzz" if path == "/api/search" else ""
    one = {"X-Request-Id": "x"}
    get, head = (client.request(method, path + query, headers=one) for method in METHODS[:2])
    assert head.status_code == get.status_code
    assert head.content == b""
    assert get.content
    # How the body is framed may be left out where there is none (RFC 9112, section 6.1).
    varying = {"date", "transfer-encoding"}
    headers = [answer.headers.items() for answer in (get, head)]
    kept = [{name: value for name, value in items if name not in varying} for items in headers]
    assert kept[0] == kept[1]


@pytest.fixture
def logged(
    serve: Callable[..., Server], capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Any]:
    """Starts a server that logs; `lines()` gives what it has logged so far."""

    def start(**settings: Any) -> tuple[Server, Callable[[], list[str]]]:
        server = serve(**{"log_level": "INFO", **settings})

        def lines() -> list[str]:
            # The line of a request is written before the next one is answered; these do not count.
            for _ in range(2):
                httpx.get(f"{server.url}/health/live")
            written = capsysbinary.readouterr().err.decode().splitlines()
            return [line for line in written if "get_liveness" not in line]

        return server, lines

    return start


def test_a_request_is_one_line_of_json(logged: Callable[..., Any]) -> None:
    server, lines = logged()
    anna = server.sign_up()
    lines()
    anna.http.get(f"/api/users/{anna.id}", headers={"X-Request-Id": "one"})
    anna.http.get("/auth/me", headers={"X-Request-Id": "two"})
    anna.http.get("/nowhere", headers={"X-Request-Id": "three"})
    anna.http.put("/api/users", headers={"X-Request-Id": "four"})
    written = [json.loads(line) for line in lines()]
    assert [
        tuple(line[name] for name in ("request_id", "method", "operation", "status", "user"))
        for line in written
    ] == [
        ("one", "GET", "get_user", 200, None),
        ("two", "GET", "get_me", 200, anna.id),
        ("three", "GET", None, 404, None),
        ("four", "PUT", None, 405, None),
    ]
    for line in written:
        assert (line["level"], line["event"], line["client"]) == ("info", "request", "127.0.0.1")
        assert line["ms"] >= 0
        assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)


def test_no_secret_is_logged(logged: Callable[..., Any]) -> None:
    server, lines = logged(log_level="DEBUG", rate_limit_enabled=True)
    secret = "hush-7f3a"
    anna = server.sign_up(email=f"{secret}@example.com", password=f"{secret} {secret}")
    anna.http.get("/api/users", params={"username": secret})
    anna.http.get("/api/users", params={secret: secret})
    anna.http.get(f"/{secret}", headers={"User-Agent": secret, "Cookie": secret})
    anna.http.patch(f"/api/users/{anna.id}", json={"bio": secret, secret: secret})
    anna.http.get("/auth/me", headers={"Authorization": f"Bearer {secret}"})
    anna.http.put("/auth/password", json={"current_password": secret, "new_password": secret * 2})
    text = "\n".join(lines())
    assert len(text.splitlines()) == 8
    assert secret not in text
    for token in (anna.tokens["access_token"], anna.tokens["refresh_token"]):
        assert token not in text
        assert token.split(".")[2] not in text


def test_the_log_level_decides_what_is_logged(logged: Callable[..., Any]) -> None:
    _, lines = logged(log_level="WARNING")
    assert lines() == []
    server, lines = logged(log_format="text")
    httpx.get(f"{server.url}/api/users")
    assert re.fullmatch(r"200 GET +list_users +\d+\.\d ms +127\.0\.0\.1", lines()[0])


def test_metrics_count_by_operation_and_status(serve: Callable[..., Server]) -> None:
    server = serve()
    anna = server.sign_up()
    for path in ("/api/users", "/api/users", "/api/users?limit=0", "/auth/me", "/docs/init.js"):
        anna.http.get(path)
    for number in range(9):
        anna.http.get(f"/nowhere/{number}")
    requests, seconds = Counter[Any](), Counter[Any]()
    in_flight = None
    metrics = anna.http.get("/metrics")
    assert metrics.headers["Content-Type"].startswith("text/plain")
    for family in text_string_to_metric_families(metrics.text):
        for sample in family.samples:
            if sample.name == "byline_requests_total":
                requests[sample.labels["operation"], sample.labels["status"]] += int(sample.value)
            if sample.name == "byline_request_seconds_count":
                seconds[sample.labels["operation"]] += int(sample.value)
            if sample.name == "byline_requests_in_flight":
                in_flight = sample.value
    assert requests == {
        ("register", "201"): 1,
        ("login", "200"): 1,
        ("list_users", "200"): 2,
        ("list_users", "400"): 1,
        ("get_me", "200"): 1,
        ("docs_asset", "200"): 1,
        ("none", "404"): 9,
    }
    once = dict.fromkeys(("register", "login", "get_me", "docs_asset"), 1)
    assert seconds == {**once, "list_users": 3, "none": 9}
    assert in_flight == 1


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: Any) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("metrics"), metrics_token="tell-nobody") as server:
        yield server


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("tell-nobody", 401),
        ("Bearer", 401),
        ("Bearer tell-nobod", 401),
        ("Bearer tell-nobody2", 401),
        ("Bearer  tell-nobody", 200),
        ("Bearer caf\u00e9", 401),
        ("Basic tell-nobody", 401),
        ("Bearer tell-nobody", 200),
        ("bearer tell-nobody", 200),
    ],
)
def test_metrics_require_their_token(guarded: Server, header: str | None, status: int) -> None:
    with guarded.client() as client:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert answer.headers.get("WWW-Authenticate", "Bearer").startswith("Bearer")
        assert ("byline_requests_total" in answer.text) == (status == 200)
        assert client.get("/health/ready").status_code == 200
