"""An nginx that passes offers of an upgrade on, as many do for WebSockets, and uses its connections
to the service again: no client gets another's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit import raw
from tests.kit.proxy import nginx
from tests.kit.serving import Person, Server

MAP = 'map $http_upgrade $connection_upgrade { default upgrade; "" ""; }'
LINES = {
    "server_tokens": f"off; {MAP} tcp_nodelay on",
    "proxy_set_header": "Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade",
}
OFFER = ("Connection: Upgrade", "Upgrade: h2c")
TRIES = 20

pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.mark.parametrize("passing", ["proxy_request_buffering on", "proxy_request_buffering off"])
def test_no_client_gets_anothers_answer(passing: str, server: Server, tmp_path: Path) -> None:
    words: dict[str, Any] = LINES | {"client_max_body_size": f"1m; {passing}"}
    anna, ben = server.sign_up(), server.sign_up()
    port = urlsplit(server.url).port
    assert port
    with nginx(tmp_path, port, **words) as proxy, proxy.client(headers=ben.http.headers) as bens:
        for _ in range(TRIES):
            with raw.connected(proxy.url) as connection:
                inside = request(anna, "GET", "/auth/me")
                connection.sendall(request(anna, "POST", "/auth/refresh", *OFFER, body=inside))
                with connection.makefile("rb") as incoming:
                    own = next(raw.answers(incoming))
            assert own.code == "invalid-token"
            answer = bens.get("/auth/me")
            assert (answer.status_code, answer.json().get("id")) == (200, ben.id)


def request(person: Person, method: str, path: str, *more: str, body: bytes | None = None) -> bytes:
    bearer = f"Authorization: Bearer {person.tokens['access_token']}"
    return raw.request(method, path, bearer, *more, host="127.0.0.1", body=body)
