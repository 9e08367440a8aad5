"""Clients stay signed in: once for all calls at the same time, over lost answers and busy moments,
and until the service ends the session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from tests.kit.fault_proxy import LOST, RESET, Exchange, Fault, FaultProxy, script
from tests.kit.serving import Person, Server
from tests.sdk.runtimes import Runtime

REFRESH = "/auth/refresh"
ME = "/auth/me"
# Of a call with an expired token, of its refresh, and of one that comes after the session's end.
REFUSALS = {
    *("ApiError token-expired", "ApiError session-revoked"),
    "ApiError authentication-required",
}
pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as proxy:
        yield proxy


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "refused"])
def test_fifty_calls_with_an_expired_token_refresh_it_once(
    is_known: bool, runtime: Runtime, proxy: FaultProxy, anna: Person, expired: Any
) -> None:
    burst = runtime.burst(proxy.url, expired, is_known=is_known)
    assert burst.results == [[anna.id] * 50]
    assert len(proxy.asked("POST", REFRESH)) == 1
    assert burst.changes
    assert "signed-out" not in burst.changes
    # An access token that is known to have expired is not sent.
    calls = len(proxy.asked("GET", ME))
    assert calls == 50 if is_known else 50 < calls <= 100


def test_the_answer_of_a_lost_refresh_is_asked_for_again(
    runtime: Runtime, proxy: FaultProxy, anna: Person, expired: Any
) -> None:
    proxy.plan = script(REFRESH, LOST, Fault("502", forwards=True))
    burst = runtime.burst(proxy.url, expired)
    assert burst.results == [[anna.id] * 50]
    assert [each.status for each in proxy.reached("POST", REFRESH)] == [200, 200, 200]
    assert len({each.bearer for each in proxy.reached("POST", REFRESH)}) == 1


def test_a_refused_refresh_ends_the_session_for_all_calls(
    runtime: Runtime, proxy: FaultProxy, anna: Person, expired: Any
) -> None:
    assert anna.http.post("/auth/logout").status_code == 204
    burst = runtime.burst(proxy.url, expired, rounds=2)
    assert set(burst.results[0]) <= REFUSALS
    assert set(burst.results[1]) == {"ApiError authentication-required"}
    assert len(proxy.asked("POST", REFRESH)) == 1
    assert "signed-out" in burst.changes
    assert not burst.is_signed_in


BUSY = {
    "429": ([Fault("429")], "UnexpectedAnswer 429"),
    "503": ([Fault("503")] * 4, "ApiError unavailable"),
    "520": ([Fault("520")], "UnexpectedAnswer 520"),
    "a page with 401": ([Fault("401")], "UnexpectedAnswer 401"),
    "a page with 200": ([Fault("200")], "UnexpectedAnswer 200"),
    "no answer": ([RESET] * 6, "no answer"),  # two more for browsers, which retry by themselves
}


@pytest.mark.parametrize(("faults", "told"), BUSY.values(), ids=list(BUSY))
def test_a_refresh_that_is_not_refused_ends_no_session(
    faults: list[Fault],
    told: str,
    runtime: Runtime,
    proxy: FaultProxy,
    anna: Person,
    expired: Any,
) -> None:
    proxy.plan = script(REFRESH, *faults)
    proxy.retry_after = "3600"  # longer than a client waits
    burst = runtime.burst(proxy.url, expired, calls=2, rounds=2)
    assert told in burst.results[0]
    assert burst.results[1] == [anna.id] * 2
    assert "signed-out" not in burst.changes
    assert burst.is_signed_in


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_retry_waits_as_long_as_the_answer_says(
    form: str, runtime: Runtime, proxy: FaultProxy, anna: Person
) -> None:
    busy = script(ME, Fault("429"))

    def plan(exchange: Exchange) -> Fault | None:
        at = formatdate(time.time() + 2, usegmt=True)  # a second more, for it has no fractions
        proxy.retry_after = "1" if form == "seconds" else at
        return busy(exchange)

    proxy.plan = plan
    burst = runtime.burst(proxy.url, anna.tokens, calls=2)
    assert burst.results == [[anna.id] * 2]
    refused, *_, repeated = proxy.asked("GET", ME)
    assert 0.9 < repeated.at - refused.at < 60
