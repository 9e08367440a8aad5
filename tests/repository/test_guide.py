"""docs/guide.md keeps its word: the blocks of each language are one program, and it works.

test_types.py compiles the programs strictly."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.domain.mails import NOTICES, SUBJECTS
from service.engine.tokens.personal import PersonalTokens
from service.models.mails import LIFETIMES
from tests.kit import generated_clients as clients
from tests.kit.guide import GUIDE, program
from tests.kit.serving import Server
from tests.kit.smtp import until

ANNA = "anna@example.com"
# What the programs ask, and the mail that has the answer.
QUESTIONS = {
    "Token from the mail that confirms the address: ": "Confirm your e-mail address",
    "Token from the mail with the new password: ": "Choose a new password",
    "Personal token of an administrator: ": None,
}
# Show the status of each call that does not ask for it itself, and each question.
BASH = """curl() { command curl -w '%{stderr}<%{http_code}>' "$@"; }
read() { echo "$2"; builtin read -r "$3"; }
"""
# What both clients print, among other lines.
PRINTED = [
    *(r"Signed in as user-\w+", "signed-in", "/title must have .+"),
    "It is already called In the Café, again",
    *("In the Café, again and again", "1 posts", r".+ Two coffees and a <mark>.+</mark>\."),
    *(r"posts\.get 200 [0-9a-f]{24} .+", ".+ this one", r".*user-\w+ [Ff]alse [Ff]alse"),
    *(".+ user-created .+", "In the Café, again and again", r"200 .+r=\d+;.+"),
]

Serve = Callable[..., Server]


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(rate_limit_enabled=True)


def follow(server: Server, folder: Path, *command: Path | str, **more: str) -> str:
    """What a program prints, whose questions are answered."""
    printed = folder / "printed"
    with printed.open("w") as output:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=clients.environment(**more),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with running:
            for question, subject in QUESTIONS.items():
                _wait_for(question, printed, running)
                if running.poll() is None:
                    answer = server.mailbox.token(ANNA, subject) if subject else _admin(server)
                    running.stdin.write(f"{answer}\n")
                    running.stdin.flush()
    assert running.returncode == 0, printed.read_text()
    return printed.read_text()


def _wait_for(question: str, printed: Path, running: subprocess.Popen[str]) -> None:
    until(lambda: question in printed.read_text() or running.poll() is not None)


def _admin(server: Server) -> str:
    """A personal token of an administrator."""
    wanted = {"name": "The guide", "scopes": ["users:read", "users:write", "audit:read"]}
    made = server.make_admin(server.sign_up()).http.post("/auth/tokens", json=wanted)
    assert made.status_code == 201, made.text
    return str(made.json()["token"])


def test_the_guide_works_with_curl(server: Server, tmp_path: Path) -> None:
    script = BASH + program("sh", server.url)
    printed = follow(server, tmp_path, "bash", "-euo", "pipefail", "-c", script)
    statuses = re.findall(r"<(\d{3})>", printed)
    assert statuses == [
        *("201", "200", "200"),  # register, sign in, read
        "200",  # refresh
        *("200", "200", "204"),  # in a browser: sign in, refresh, sign out
        *("400", "201", "200"),  # be refused, write, read the tag
        *("200", "200", "200"),  # list, search, search patiently
        *("200", "204"),  # see the sessions, end the others
        *("200", "204"),  # prove who it is, end the others once more
        "200",  # list the passkeys
        "200",  # see which second factors there are
        *("204", "202", "204", "200"),  # confirm, ask for a reset, reset, sign in
        "200",  # change the password
        *("201", "200", "403", "204"),  # give a program a token, use it twice, end it
        *("201", "200", "200"),  # invite, list the accounts and the events
        *("200", "200"),  # export, keys
        *("200", "204"),  # read, delete
    ]
    assert "/title" in printed
    assert "In the Café, again" in (tmp_path / "byline-export.ndjson").read_text()


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_the_guide_works_with_the_clients(
    language: str, server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = clients.generated(tmp_path_factory)
    if language == "python":
        (tmp_path / "guide.py").write_text(program("python", server.url))
        site = str(folder / "site")
        printed = follow(server, tmp_path, sys.executable, "guide.py", PYTHONPATH=site)
    else:
        (folder / "guide.ts").write_text(program("ts", server.url))
        printed = follow(server, tmp_path, clients.BIN / "node", folder / "guide.ts")
    lines = iter(printed.splitlines())
    for expected in PRINTED:  # in this order, among others
        assert any(re.fullmatch(expected, line) for line in lines), f"{expected}\n{printed}"


def test_the_table_of_mails_has_every_kind_and_the_life_of_its_link() -> None:
    found = re.findall(r"^\| (`[a-z-`, ]+`): [^|]+ \| [^|]+ \| ([^|]+) \|$", GUIDE, re.MULTILINE)
    rows = [(kind, link) for kinds, link in found for kind in re.findall(r"[a-z-]+", kinds)]
    kinds = [kind for kind, _ in rows]
    assert sorted(kinds) == sorted(SUBJECTS)
    assert set(kinds[-len(NOTICES) :]) == NOTICES
    assert f"The mails from `{kinds[-len(NOTICES)]}` on are notices" in GUIDE
    links = {kind: re.match(r"(\d+) (minutes|hours|days): `", link) for kind, link in rows}
    lives = {kind: timedelta(**{link[2]: int(link[1])}) for kind, link in links.items() if link}
    assert lives == LIFETIMES


def test_a_scanner_can_check_a_personal_token_as_the_guide_says() -> None:
    names: dict[str, Any] = {}
    [code] = re.findall(r"```py\n(.*?)```", GUIDE, re.DOTALL)
    exec(code, names)  # our own guide
    [pattern] = re.findall(r"```text\n(\\bbyl_.*?)\n```", GUIDE)
    form = PersonalTokens("byl_")
    for token in (form.new() for _ in range(20)):
        wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
        assert [names["is_token"](text) for text in (token, wrong, token[:-1])] == [
            True,
            False,
            False,
        ]
        assert re.findall(pattern, f'key="{token}"') == [token]
