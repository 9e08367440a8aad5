"""Wrong codes are limited for an account, whatever else somebody knows of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import httpx
import pytest

from tests.kit.second_factors import App, add_app
from tests.kit.serving import PASSWORD, Server

HOME, AWAY = "192.0.2.7", "198.51.100.1"


@pytest.fixture
def guarded(serve: Callable[..., Server], server: Server) -> Server:
    """A server behind a proxy where only the guard of an account is ever in the way."""
    names = ("client", "login", "register", "password", "write", "factors")
    ample = dict.fromkeys(names, "100000 per day") | {"mail": "10000 per day;10000 per day"}
    return serve(
        database_url=server.settings.database_url,
        mail_dir=server.settings.mail_dir,
        jwt_keys_dir=server.settings.jwt_keys_dir,
        rate_limit_enabled=True,
        rate_limits=ample,
        trusted_proxies="127.0.0.1",
    )


def send(server: Server, app: App, ip: str, code: str) -> httpx.Response:
    """A right password, and this code."""
    with server.client(**{"X-Forwarded-For": ip}) as http:
        body = {"email": app.person.email, "password": PASSWORD}
        challenge = http.post("/auth/login", json=body).json()["challenge"]
        sent = {"challenge": challenge, "code": code}
        return http.post("/auth/login/second-factor", json=sent)


def test_a_right_password_does_not_clear_wrong_codes(guarded: Server) -> None:
    app = add_app(guarded.sign_up())
    found = [send(guarded, app, AWAY, app.wrong_code).status_code for _ in range(12)]
    assert found == [401] * 10 + [429] * 2
    assert send(guarded, app, AWAY, app.code()).status_code == 429


def test_a_used_code_counts_as_a_wrong_one(guarded: Server) -> None:
    app = add_app(guarded.sign_up())
    code = app.code()
    found = [send(guarded, app, AWAY, code).status_code for _ in range(12)]
    assert found == [200] + [401] * 10 + [429]


def test_a_right_code_clears_those_of_its_network(guarded: Server) -> None:
    app = add_app(guarded.sign_up())
    for _ in range(2):
        app.forget_used()
        assert {send(guarded, app, HOME, app.wrong_code).status_code for _ in range(9)} == {401}
        assert send(guarded, app, HOME, app.code()).status_code == 200


def test_codes_from_many_networks_are_limited_and_the_owner_gets_in(guarded: Server) -> None:
    app = add_app(guarded.sign_up())
    assert send(guarded, app, HOME, app.code()).status_code == 200
    networks = (f"10.0.{number}.1" for number in count())
    found = [send(guarded, app, next(networks), app.wrong_code).status_code for _ in range(32)]
    assert found == [401] * 30 + [429] * 2
    app.forget_used()
    assert send(guarded, app, HOME, app.code()).status_code == 200


def test_wrong_passwords_do_not_keep_codes_from_being_compared(guarded: Server) -> None:
    app = add_app(guarded.sign_up())
    with guarded.client(**{"X-Forwarded-For": AWAY}) as http:
        wrong = {"email": app.person.email, "password": "wrong"}
        assert {http.post("/auth/login", json=wrong).status_code for _ in range(10)} == {401}
    assert send(guarded, app, HOME, app.code()).status_code == 200


def test_half_a_sign_in_is_no_failure_of_its_network(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True, rate_limits={"login": "2 per hour"})
    app = add_app(server.sign_up())
    body = {"email": app.person.email, "password": PASSWORD}
    with server.client() as http:
        found = [http.post("/auth/login", json=body).json()["code"] for _ in range(4)]
    assert found == ["second-factor-required"] * 4
