"""Clients of nginx that read slowly, or not at all: no disk fills, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.kit import exports, raw
from tests.kit.planning import Planner, give_projects, planning
from tests.kit.ports import free_port
from tests.kit.proxy import Proxy, nginx
from tests.kit.smtp import until

READERS = 5
# What a kernel keeps for a client: on loopback it would be more than an answer.
ROOM = 4096  # bytes, at the client
SENDING = "sndbuf=16k"  # at nginx
ASKED = raw.get("/projects?limit=100", host="127.0.0.1")


@pytest.fixture
def planner(tmp_path: Path) -> Iterator[Planner]:
    """A service whose pages are large."""
    with planning(tmp_path, trusted_proxies="127.0.0.1") as running:
        yield running


def temporary_files(proxy: Proxy) -> list[str]:
    """What nginx has open in its folder for answers; it removes the names at once."""
    folder = str(proxy.log.parent / "proxy")
    return [path for path in open_files() if path.startswith(folder)]


def open_files() -> Iterator[str]:
    """Of all processes."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            yield str(descriptor.readlink())


def test_unread_answers_are_not_kept_on_disk(planner: Planner, tmp_path: Path) -> None:
    give_projects(planner.sign_up(), ["茶" * 20_000] * 100)
    upstream = urlsplit(planner.url).port
    assert upstream
    ports = free_port(), free_port()
    ours, usual = (f"listen 127.0.0.1:{port} {SENDING};\n" for port in ports)
    with (
        nginx(tmp_path, upstream, more=ours) as proxy,
        nginx(tmp_path, upstream, more=usual, proxy_max_temp_file_size="1024m") as other,
        ExitStack() as stack,
    ):
        for port in ports:
            for _ in range(READERS):
                url = f"http://127.0.0.1:{port}"
                connection = stack.enter_context(exports.connected(url, ASKED, ROOM))
                assert connection.recv(1)
        with proxy.client("127.0.0.2") as http:
            answer = http.get("/projects?limit=100")
        assert (answer.status_code, len(answer.json()) > 1) == (200, True)
        until(lambda: len(temporary_files(other)) == READERS)  # with what nginx does by itself
        assert temporary_files(proxy) == []
