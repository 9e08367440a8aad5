"""Both clients do the whole tour against a live server (test_types.py compiles it)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.generated_clients import node, run
from tests.kit.serving import Server

HERE = Path(__file__).parent


@pytest.fixture
def arguments(serve: Callable[..., Server]) -> list[str]:
    """Of a tour: the address of a server, and of one with the same database whose access tokens
    expire soon; the folder of the mails; an administrator's access token."""
    server, briefly = serve(), serve(access_token_ttl=1)
    admin = server.make_admin(server.sign_up())
    mails = server.settings.mail_dir
    mails.mkdir(exist_ok=True)
    return [server.url, briefly.url, str(mails), admin.tokens["access_token"]]


def test_the_tour_in_python(clients: Path, arguments: list[str]) -> None:
    run(sys.executable, HERE / "tour.py", *arguments, PYTHONPATH=str(clients / "site"))


def test_the_tour_in_typescript(clients: Path, arguments: list[str]) -> None:
    node(Path(shutil.copy(HERE / "tour.ts", clients)), *arguments)
