"""A program of twenty lines with the Python client copes with what networks and people do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.corpus import give_posts
from tests.kit.fault_proxy import LOST, Exchange, Fault, FaultProxy
from tests.kit.generated_clients import run
from tests.kit.serving import PASSWORD, Person, Server, serving
from tests.kit.sessions import call

PROGRAM = Path(__file__).parent / "done_when.py"
SIZE = 100_000_000  # characters
LONGEST = 100_000  # characters of a post
LIMIT = 100_000_000  # bytes of memory, Python's own included
# Of the most memory that Linux has given it; getrusage would count what has started it, too.
MEASURED = """
import pathlib, re, runpy, sys
runpy.run_path(sys.argv.pop(1))
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1] + "000")
"""


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[Server]:
    """A server whose access tokens last a second."""
    with serving(tmp_path, access_token_ttl=1) as server:
        yield server


def test_twenty_lines_stay_signed_in_page_retry_change_and_stream(
    brief: Server, clients: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", MEASURED, PROGRAM]
    memory = copes(brief, tmp_path, *command, PYTHONPATH=str(clients / "site"))
    assert memory < LIMIT
    lines = [line for line in PROGRAM.read_text().rpartition('"""')[2].splitlines() if line]
    assert len(lines) <= 20


def copes(brief: Server, folder: Path, *command: Path | str, **environment: str) -> int:
    """Follow a program that reads 100 MB and 250 posts, while networks and people do what they do;
    what it prints last, the most memory that it had, is returned in bytes."""
    anna, ben = brief.sign_up(), brief.sign_up()
    shared = anna.post(title="Shared")["id"]
    give_posts(anna, ["x" * LONGEST] * (SIZE // LONGEST))
    give_posts(ben, ["Some words."] * 250)
    rivals, faults = [f"Shared {number}" for number in range(3)], [LOST]

    def plan(exchange: Exchange) -> Fault | None:
        """The first post gets lost, and before each of the first changes somebody else makes one.
        The access token expires before the first of these."""
        if (exchange.method, exchange.path) == ("POST", "/api/posts") and faults:
            return faults.pop()
        if exchange.method == "PATCH" and rivals:
            if len(rivals) == 3:
                _wait_until_expired(brief, exchange)
            _change(brief.sign_in(anna.email), shared, rivals.pop(0))
        return None

    with FaultProxy(brief.url, plan) as proxy:
        arguments = [proxy.url, anna.email, PASSWORD, ben.id, shared]
        printed = run(*command, *arguments, cwd=folder, **environment)

    posts, title, written, memory = printed.splitlines()
    assert posts == "250 posts of the author"
    assert title == "Shared 2, and this"
    assert written.startswith("1 post written, 1000")
    statuses = [each.status for each in proxy.reached("POST", "/api/posts")]
    assert statuses.count(201) == 2  # a 401 comes too where the machine is slow
    assert proxy.reached("POST", "/auth/refresh")
    return int(memory)


def _wait_until_expired(server: Server, exchange: Exchange) -> None:
    token = str(exchange.bearer).removeprefix("Bearer ")
    with server.client() as http:
        while call(http, "GET", "/auth/me", token).status_code == 200:
            time.sleep(0.05)


def _change(person: Person, post: str, title: str) -> None:
    headers = {"If-Match": "*"}
    answer = person.http.patch(f"/api/posts/{post}", json={"title": title}, headers=headers)
    assert answer.status_code == 200, answer.text
