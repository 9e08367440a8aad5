"""The mail server is unavailable: no request waits, and every mail arrives in the end."""

from __future__ import annotations

import secrets
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.kit.commands import PASSWORD
from tests.kit.load import complaint
from tests.kit.processes import Byline, Place
from tests.kit.smtp import MailServer, mail_server, until

NUMBER = 10


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_mails_wait_for_their_server(
    fault: str, tmp_path: Path, database: str, report: Any
) -> None:
    report(f"mail server {fault} for an hour")
    with mail_server() as post:
        place = Place(
            tmp_path,
            DATABASE_URL=database,
            SMTP_URL=f"smtp://127.0.0.1:{post.port}",
            PUBLIC_URL="http://127.0.0.1:8000",
        )
        with place.serving() as byline:
            known = [_register(byline)[0] for _ in range(NUMBER)]
            usual = _times(byline, known)
            until(lambda: len(post.taken) == 3 * NUMBER)
            addresses = [f"{secrets.token_hex(6)}@example.com" for _ in range(NUMBER)]
            if fault == "down":
                post.down()
            else:
                post.held.update(addresses, known)
            without = _times(byline, known, addresses)
            post.held.clear()
            if fault == "down":
                post.up()
            _let_an_hour_pass(database)
            until(lambda: _arrived(post, addresses, known))
    report(
        requests=4 * NUMBER,
        acknowledged=4 * NUMBER,
        refused=0,
        lost=0,
        longest=f"{max(without['register'] + without['reset']):.1f}",
        more="; ".join(
            f"{what} {statistics.median(usual[what]):.3f} s, without it"
            f" {statistics.median(without[what]):.3f} s"
            for what in usual
        ),
    )
    for what, times in usual.items():
        # Twice as long is noise of a machine that does other things; waiting for it is not.
        assert statistics.median(without[what]) < 2 * statistics.median(times) + 0.2


def _times(
    byline: Byline, known: list[str], new: list[str] | None = None
) -> dict[str, list[float]]:
    """The seconds that registrations and requests for a reset took."""
    addresses = new or [None] * len(known)
    return {
        "register": [_register(byline, address)[1] for address in addresses],
        "reset": [_request_reset(byline, address) for address in known],
    }


def _register(byline: Byline, email: str | None = None) -> tuple[str, float]:
    email = email or f"{secrets.token_hex(6)}@example.com"
    return email, _post(byline, "/auth/register", 201, email=email, password=PASSWORD)


def _request_reset(byline: Byline, email: str) -> float:
    return _post(byline, "/auth/password-resets", 202, email=email)


def _post(byline: Byline, path: str, status: int, **body: str) -> float:
    start = time.monotonic()
    answer = byline.request("POST", path, json=body)
    assert complaint(answer, {status}) is None
    assert answer.status_code == status
    return time.monotonic() - start


def _let_an_hour_pass(database: str) -> None:
    """What waits is due, as it is again and again in the meantime."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE mails SET due_at = now() - interval '1 hour' WHERE due_at IS NOT NULL"
        )


def _arrived(post: MailServer, verified: list[str], reset: list[str]) -> bool:
    """Whether each mail has come, and not the same one twice."""
    ids = Counter(mail.message["Message-ID"] for mail in post.taken)
    assert set(ids.values()) <= {1}
    return all(len(post.to(address)) == 1 for address in verified) and all(
        len(post.to(address)) == 3 for address in reset
    )
