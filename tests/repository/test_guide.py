"""docs/guide.md keeps its word: the blocks of each language are one program, and it works."""

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
from service.engine.tokens.keys import KeyRing
from service.engine.tokens.personal import PersonalTokens
from service.engine.tokens.tokens import Tokens
from service.models.mails import LIFETIMES
from tests.kit import generated_clients as clients
from tests.kit.serving import Server
from tests.kit.smtp import until

GUIDE = (clients.ROOT / "docs" / "guide.md").read_text()
API = "http://127.0.0.1:8000"
ANNA = "anna@example.com"
NOBODY = "01a1f83c-047f-7c31-9a42-5be07d4f8e16"
MAILS = ["Confirm your e-mail address", "Choose a new password"]
# Shows the status of each call that does not ask for it itself.
CURL = """curl() { command curl -w '%{stderr}<%{http_code}>' "$@"; }\n"""

Serve = Callable[..., Server]


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(rate_limit_enabled=True)


def program(language: str, api: str = API) -> str:
    """The blocks of a language, with this address for the one that is in the first."""
    first, *others = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert first.count(API) == 1
    assert not any(API in block for block in others)
    return "\n".join([first.replace(API, api), *others])


def expiring(text: str, line: str, replacement: str, server: Server) -> str:
    """The program, in which the access token has expired behind this line: the statement replaces
    the token by `{}`."""
    keys = KeyRing.from_directory(server.settings.jwt_keys_dir)
    expired = Tokens(keys, issuer="byline", audience="byline").access(NOBODY, NOBODY, 0, -60)
    assert text.count(line) == 1
    return text.replace(line, f"{line}\n{replacement.format(expired)}")


def follow(server: Server, folder: Path, *command: Path | str, **more: str) -> str:
    """What a program prints that asks for the tokens in Anna's mails, and gets them."""
    with (folder / "printed").open("w+") as printed:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=clients.environment(**more),
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with running:
            for subject in MAILS:
                running.stdin.write(_token(server, subject, running))
                running.stdin.flush()
        printed.seek(0)
        text = printed.read()
    assert running.returncode == 0, text
    return text


def _token(server: Server, subject: str, running: subprocess.Popen[str]) -> str:
    """The token in a mail as a line, empty when the program has ended before it came."""
    until(lambda: running.poll() is not None or server.mailbox.to(ANNA, subject))
    return f"{server.mailbox.token(ANNA, subject)}\n" if running.poll() is None else ""


def test_the_guide_works_with_curl(server: Server, tmp_path: Path) -> None:
    script = CURL + program("sh", server.url)
    printed = follow(server, tmp_path, "bash", "-euo", "pipefail", "-c", script)
    statuses = re.findall(r"<(\d{3})>", printed)
    assert statuses == [
        *("201", "200", "200"),  # register, sign in, read
        "200",  # refresh
        *("200", "200", "204"),  # in a browser: sign in, refresh, sign out
        *("400", "201", "200"),  # be refused, write, read the tag
        *("200", "200", "200", "204"),  # list, search, see the sessions, end the others
        *("200", "204"),  # prove who it is, end the others once more
        "200",  # list the passkeys
        "200",  # see which second factors there are
        *("204", "202", "204", "200"),  # confirm, ask for a reset, reset, sign in
        "200",  # change the password
        *("201", "200", "403", "204"),  # give a program a token, use it twice, end it
        *("200", "200", "200"),  # export, search, keys
        *("200", "204"),  # read, delete
    ]
    assert "/title" in printed
    assert "In the Café, again" in (tmp_path / "byline-export.ndjson").read_text()


def test_the_guide_works_in_python(
    server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = str(clients.generated(tmp_path_factory) / "site")
    replacement = "session.tokens.access_token = '{}'"
    text = program("python", server.url)
    text = expiring(text, "session = Session(tokens)", replacement, server)
    (tmp_path / "guide.py").write_text(text)
    printed = follow(server, tmp_path, sys.executable, "guide.py", PYTHONPATH=site)
    assert "/title" in printed
    assert "1 posts\n" in printed
    assert printed.endswith("In the Café, again\n")


def test_the_guide_works_in_typescript(
    server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = clients.generated(tmp_path_factory)
    replacement = "await store.set({{ ...(await store.get())!, access_token: '{}' }});"
    text = program("ts", server.url)
    text = expiring(text, "const account = await byline.auth.getMe();", replacement, server)
    (folder / "guide.ts").write_text(text)
    printed = follow(server, tmp_path, clients.BIN / "node", folder / "guide.ts")
    # The expired token was nobody's, so the one that replaced it is somebody else's.
    assert printed.count("signed-in\n") == 2
    assert "/title" in printed
    assert "1 posts\n" in printed
    assert "In the Café, again" in (tmp_path / "byline-export.ndjson").read_text()


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
