"""Clients of nginx that read slowly, or not at all: no disk fills, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests import exports, raw
from tests.conftest import Server
from tests.deploy.proxy import nginx

ROOM = 4096  # bytes that the kernel keeps for a client that does not read


def open_files() -> Iterator[str]:
    """Of all processes, for nginx removes the names of its temporary files at once."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            yield str(descriptor.readlink())


def test_answers_that_nobody_reads_are_not_kept_on_disk(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(trusted_proxies="127.0.0.1")
    exports.give_posts(server.sign_up(), ["茶" * 20_000] * 100)
    port = urlsplit(server.url).port
    assert port
    asked = raw.get("/api/posts?limit=100", host="127.0.0.1")
    with nginx(tmp_path, port) as proxy, ExitStack() as stack:
        for _ in range(5):
            connection = stack.enter_context(exports.connected(proxy.url, asked, ROOM))
            assert connection.recv(1)
        with proxy.client("127.0.0.2") as http:
            answer = http.get("/api/posts?limit=100")
            kept = [path for path in open_files() if str(proxy.log.parent / "proxy") in path]
    assert (answer.status_code, kept) == (200, [])
    assert len(answer.json()) > 1
