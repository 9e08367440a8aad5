"""The proxy with which the clients are tried does what its faults say."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.kit import fault_proxy
from tests.kit.fault_proxy import CUT, DELAY, FAULTS, LOST, RESET, SILENCE, Fault, FaultProxy
from tests.kit.serving import Person, Server

POSTS = "/api/posts"
on_sqlite = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as proxy:
        yield proxy


def _post(proxy: FaultProxy, person: Person, key: str, timeout: float = 60) -> httpx.Response:
    bearer = person.http.headers["Authorization"]
    headers = {"Authorization": bearer, "Idempotency-Key": key}
    body = {"title": "Tea", "content": "Warm."}
    return httpx.post(proxy.url + POSTS, json=body, headers=headers, timeout=timeout)


def _posts(person: Person) -> int:
    return len(person.http.get(POSTS, params={"author_id": person.id}).json())


@on_sqlite
def test_what_meets_no_fault_passes_as_it_is(proxy: FaultProxy, anna: Person) -> None:
    with httpx.Client(base_url=proxy.url, timeout=60) as client:
        client.headers = anna.http.headers
        whole = client.get("/auth/export")  # in chunks
        assert whole.text.splitlines()[0].startswith('{"type":"account"')
        assert client.head(POSTS).headers["Content-Type"] == "application/json"
        assert client.delete("/auth/sessions").status_code == 204
        assert client.get("/auth/me").json()["id"] == anna.id
    assert [each.status for each in proxy.exchanges] == [200, 200, 204, 200]
    assert {each.fault for each in proxy.exchanges} == {None}


@on_sqlite
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_happens_to_the_client_and_to_nothing_else(
    fault: Fault, proxy: FaultProxy, anna: Person
) -> None:
    proxy.plan = fault_proxy.script(POSTS, fault)
    key = secrets.token_hex()

    if fault in {RESET, LOST, CUT, SILENCE}:
        with pytest.raises(httpx.TransportError):
            _post(proxy, anna, key, timeout=0.2 if fault == SILENCE else 60)
    else:
        answer = _post(proxy, anna, key)
        assert fault == DELAY or str(answer.status_code) == fault.name
        assert answer.headers.get("Retry-After") == {"429": "1", "503": "0"}.get(fault.name)

    [exchange] = proxy.asked("POST", POSTS)
    assert (exchange.fault, exchange.key) == (fault, key)
    assert len(proxy.reached("POST", POSTS)) == _posts(anna) == fault.forwards
    assert _post(proxy, anna, key).status_code == 201
    assert _posts(anna) == 1


@on_sqlite
def test_a_stream_is_cut_after_its_first_piece(proxy: FaultProxy, anna: Person) -> None:
    proxy.plan = fault_proxy.script("/auth/export", CUT)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{proxy.url}/auth/export", headers=anna.http.headers)


def test_a_seed_makes_the_same_plan_again_of_all_faults() -> None:
    nothing = fault_proxy.Exchange("GET", "/", None, None, 0)
    first, again, other = (fault_proxy.seeded(seed) for seed in (1, 1, 2))
    planned = [first(nothing) for _ in range(1000)]
    assert planned == [again(nothing) for _ in range(1000)]
    assert planned != [other(nothing) for _ in range(1000)]
    met = Counter(planned)
    assert set(met) == {None, *FAULTS}
    assert 250 < 1000 - met[None] < 350
