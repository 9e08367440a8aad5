"""The metrics require the operator's token; if none is set, only this machine may read them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.kit.by_hand import listening, on_unix_socket
from tests.kit.processes import Place
from tests.kit.prometheus import scrape
from tests.kit.serving import Server
from tests.kit.smtp import until

Serve = Callable[..., Server]
TOKEN = "tell-nobody-7f3a"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_a_server_on_loopback_has_open_metrics(serve: Serve, host: str) -> None:
    with serve(host=host).client() as client:
        assert "byline_requests_total" in client.get("/metrics").text
        assert client.head("/metrics").status_code == 200


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "byline.example.com"]
)
def test_a_server_beyond_loopback_has_no_metrics_without_a_token(serve: Serve, host: str) -> None:
    with serve(host=host).client() as client:
        for headers in ({}, {"Authorization": "Bearer guess"}, {"Host": "127.0.0.1"}):
            answer = client.get("/metrics", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
            assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For: 203.0.113.9", "X-Real-IP: 203.0.113.9", "Forwarded: for=x", "Via: 1.1 x"],
)
def test_a_request_through_a_local_proxy_is_not_local(serve: Serve, header: str) -> None:
    name, value = header.split(": ")
    with serve().client() as client:
        assert client.get("/metrics", headers={name: value}).status_code == 404
    trusting = serve(trusted_proxies="127.0.0.1")
    with trusting.client() as client:
        assert client.get("/metrics", headers={name: value}).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_metrics_token_is_required_even_on_loopback(serve: Serve, host: str) -> None:
    with serve(host=host, metrics_token=TOKEN).client() as client:
        answers = {
            None: (401, "authentication-required"),
            "Bearer": (401, "authentication-required"),
            f"Basic {TOKEN}": (401, "authentication-required"),
            f"Bearer {TOKEN[:-1]}": (401, "invalid-token"),
            f"Bearer {TOKEN}x": (401, "invalid-token"),
            f"Bearer {TOKEN} x": (401, "invalid-token"),
        }
        for header, expected in answers.items():
            answer = client.get("/metrics", headers={"Authorization": header} if header else {})
            assert (answer.status_code, answer.json()["code"]) == expected
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert TOKEN not in answer.text
        for header in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            answer = client.get("/metrics", headers={"Authorization": header})
            assert "byline_requests_total" in answer.text


def test_a_users_token_does_not_give_access_to_metrics(serve: Serve) -> None:
    server = serve(metrics_token=TOKEN)
    admin = server.make_admin(server.sign_up())
    assert admin.http.get("/metrics").status_code == 401
    with server.client(TOKEN) as client:
        assert client.get("/auth/me").status_code == 401


def test_uvicorn_started_by_hand_serves_no_metrics_beyond_loopback(serve: Serve) -> None:
    settings = serve().settings.model_dump() | {"trusted_hosts": "0.0.0.0/0,localhost"}
    with listening(settings, host="0.0.0.0") as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
        assert httpx.get(f"http://{_own_address()}:{port}/metrics").status_code == 404


def test_a_unix_socket_serves_no_metrics_without_a_token(serve: Serve, tmp_path: Path) -> None:
    settings = serve().settings.model_dump()
    with on_unix_socket(tmp_path / "byline.sock", settings) as client:
        assert client.get("/metrics").status_code == 404
    with on_unix_socket(tmp_path / "other.sock", settings | {"metrics_token": TOKEN}) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/metrics", headers=bearer).status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_all_workers_know_where_they_listen(tmp_path: Path, workers: str) -> None:
    place = Place(tmp_path / "place")
    for host, status in {"0.0.0.0": 404, "127.0.0.1": 200}.items():
        with place.serving(HOST=host, WORKERS=workers) as byline:
            assert [byline.status("/metrics") for _ in range(8)] == [status] * 8


def test_the_metric_of_mails_is_the_same_for_unknown_addresses(serve: Serve) -> None:
    server = serve()
    anna = server.sign_up()

    def handed_over() -> dict[str, float]:
        samples = scrape(server.url)
        return {o: samples["byline_mails_total", o] for o in ("sent", "deferred", "dropped")}

    until(lambda: handed_over()["sent"] == 1)  # the verification
    for number, email in enumerate([anna.email, "nobody@example.com", "nobody@\u00e9.example"], 2):
        with server.client() as client:
            answer = client.post("/auth/password-resets", json={"email": email})
            assert answer.status_code == 202
        until(lambda number=number: handed_over()["sent"] == number)
        assert handed_over() == {"sent": number, "deferred": 0, "dropped": 0}


def _own_address() -> str:
    """An address of this machine that is not loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no other address than loopback's")
        return str(probe.getsockname()[0])
