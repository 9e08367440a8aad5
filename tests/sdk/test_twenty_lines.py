"""The program at the beginning of docs/guide.md needs twenty lines to cope with what networks and
other people do to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from sqlalchemy import delete

from service.models import Post
from tests.kit.corpus import give_posts
from tests.kit.fault_proxy import LOST, Exchange, Fault, FaultProxy
from tests.kit.generated_clients import BIN, run
from tests.kit.guide import program_of
from tests.kit.serving import PASSWORD, Person, Server, serving
from tests.kit.sessions import call
from tests.kit.smtp import until

SIZE = 100_000_000  # characters
LONGEST = 100_000  # characters of a post
TEST = Path(__file__).relative_to(Path(__file__).parents[2]).as_posix()
SHOWN = {language: program_of(TEST, language) for language in ("python", "ts")}
# Of the most memory that Linux has given it; getrusage would count what has started it, too.
MEASURED = {
    "python": """
import pathlib, re, runpy
runpy.run_path("shown.py")
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1] + "000")
""",
    "ts": """
import { readFileSync } from 'node:fs';
await import('./shown.ts');
console.log(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1] + '000');
""",
}
# Garbage is collected when it has to be. Node.js itself takes 50 MB, and 40 more to strip types.
HEAP = ["--max-old-space-size=32", "--max-semi-space-size=1"]  # in megabytes
# Bytes of memory, whatever the length of the export.
LIMITS = {"python": 100_000_000, "ts": 160_000_000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One whose access tokens last three seconds: a busy machine can use them."""
    with serving(tmp_path_factory.mktemp("brief"), access_token_ttl=3) as server:
        yield server


@pytest.fixture(scope="module")
def anna(server: Server) -> Person:
    """She has written 100 MB."""
    anna = server.sign_up()
    give_posts(anna, ["x" * LONGEST] * (SIZE // LONGEST))
    return anna


@pytest.fixture(scope="module")
def ben(server: Server) -> Person:
    """He has written 250 posts."""
    ben = server.sign_up()
    give_posts(ben, ["Some words."] * 250)
    return ben


@pytest.fixture(params=["python", "ts"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_program_has_at_most_twenty_lines(language: str) -> None:
    assert 0 < len([line for line in SHOWN[language].splitlines() if line]) <= 20


def test_a_program_stays_signed_in_pages_retries_changes_and_streams(
    language: str, server: Server, anna: Person, ben: Person, clients: Path, tmp_path: Path
) -> None:
    server.execute(delete(Post).where(Post.title == "In the Café"))  # by the program before
    shared = _sent(server, anna, "POST", "/api/posts", title="Shared", content="x").json()["id"]
    rivals, faults = [f"Shared {number}" for number in range(3)], [LOST]

    def plan(exchange: Exchange) -> Fault | None:
        """The first post gets lost, and before each of the first changes somebody else makes one.
        The access token expires before the first of these."""
        if (exchange.method, exchange.path) == ("POST", "/api/posts") and faults:
            return faults.pop()
        if exchange.method == "PATCH" and rivals:
            if len(rivals) == 3:
                _wait_until_expired(server, exchange)
            _sent(server, anna, "PATCH", f"/api/posts/{shared}", title=rivals.pop(0))
        return None

    with FaultProxy(server.url, plan) as proxy:
        arguments = [proxy.url, anna.email, PASSWORD, ben.id, shared]
        printed = _run(language, clients, tmp_path, arguments)

    posts, title, written, memory = printed.splitlines()
    assert posts == "250 posts of the author"
    assert title == "Shared 2, and this"
    assert written.startswith("1 post written, 1000")
    statuses = [each.status for each in proxy.reached("POST", "/api/posts")]
    assert statuses.count(201) == 2  # a 401 comes too where the machine is slow
    assert proxy.reached("POST", "/auth/refresh")
    assert int(memory) < LIMITS[language]


def _run(language: str, clients: Path, tmp_path: Path, arguments: list[str]) -> str:
    """What the program prints, and last the most memory that it had, in bytes."""
    if language == "python":
        (tmp_path / "shown.py").write_text(SHOWN[language])
        command = [sys.executable, "-c", MEASURED[language]]
        return run(*command, *arguments, cwd=tmp_path, PYTHONPATH=str(clients / "site"))
    (tmp_path / "node_modules").symlink_to(clients / "node_modules")
    (tmp_path / "shown.ts").write_text(SHOWN[language])
    measured = tmp_path / "measured.mjs"
    measured.write_text(MEASURED[language])
    return run(BIN / "node", *HEAP, measured, *arguments, cwd=tmp_path)


def _wait_until_expired(server: Server, exchange: Exchange) -> None:
    token = str(exchange.bearer).removeprefix("Bearer ")
    with server.client() as http:
        until(lambda: call(http, "GET", "/auth/me", token).status_code != 200)


def _sent(server: Server, person: Person, method: str, path: str, **body: str) -> httpx.Response:
    """The answer to a call in a new session, and in another one if its token expires before."""
    headers = {"If-Match": "*"}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        http = server.sign_in(person.email).http
        answer = http.request(method, path, json=body, headers=headers)
        if answer.status_code != HTTPStatus.UNAUTHORIZED:
            assert answer.is_success, answer.text
            return answer
    raise AssertionError("each token has expired before it could be used")
