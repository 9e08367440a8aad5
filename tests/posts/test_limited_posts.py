"""Limits of posts and of their search (more in engine/test_limits)."""

from __future__ import annotations

from collections.abc import Callable

from tests.kit.serving import Server

Serve = Callable[..., Server]


def test_writing_posts_is_limited_for_each_user(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="write=2 per day")
    anna, ben = server.sign_up(), server.sign_up()
    path = f"/api/posts/{anna.post()['id']}"
    change = anna.http.patch(path, json={"title": "b"}, headers={"If-Match": "*"})
    assert (change.status_code, change.headers["RateLimit"].split(",")[-1][:9]) == (
        200,
        ' "write";',
    )
    refused = anna.http.delete(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    assert anna.http.get(path).json()["title"] == "b"
    ben.post()


def test_searching_is_limited_for_each_client(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True, rate_limits="search=2 per 30 seconds")
    anna = server.sign_up()
    with server.client() as anonymous:
        answers = [client.get("/api/search?q=tea") for client in (anna.http, anonymous, anna.http)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert '"search";q=2;w=30' in answers[0].headers["RateLimit-Policy"]
        assert anonymous.get("/api/posts").status_code == 200


def test_without_settings_sixty_writes_and_ten_searches_a_minute_are_allowed(serve: Serve) -> None:
    server = serve(rate_limit_enabled=True)
    with server.client() as client:
        searched = client.get("/api/search?q=tea").headers["RateLimit-Policy"]
    written = server.sign_up().http.post("/api/posts", json={}).headers["RateLimit-Policy"]
    assert '"search";q=10;w=60' in searched
    assert '"write";q=60;w=60' in written
