"""The address of a client comes from trusted proxies only, in every worker."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import httpx

from tests.kit.smtp import until
from tests.server.conftest import Start

CLIENT = "203.0.113.1"
ELSEWHERE = "6.6.6.6"

# What comes in X-Forwarded-For, over and over; who it is then, from a trusted proxy.
CHAINS = {
    "none": ([], "127.0.0.1"),
    "a client": ([CLIENT], CLIENT),
    "a client that names another": ([f"{ELSEWHERE}, {CLIENT}"], CLIENT),
    "one that names a proxy": ([f"10.0.0.1, {CLIENT}"], CLIENT),
    "two proxies": ([f"{ELSEWHERE}, {CLIENT}, 10.1.2.3"], CLIENT),
    "two lines": ([ELSEWHERE, CLIENT], CLIENT),
}


def clients(log: Path) -> dict[str, str]:
    """The client of each request in the log, by its id."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return {line["request_id"]: line["client"] for line in lines if line["event"] == "request"}


def asked(start: Start, proxies: str) -> dict[str, set[str]]:
    """For each chain the clients that were seen, of several connections."""
    byline = start(WORKERS="2", LOG_LEVEL="INFO", TRUSTED_PROXIES=proxies)
    sent: dict[str, str] = {}
    for name, (chain, _) in CHAINS.items():
        headers = [("X-Forwarded-For", value) for value in chain]
        headers += [("X-Forwarded-Proto", "gopher"), ("X-Real-IP", ELSEWHERE)]
        for _ in range(6):
            answer = httpx.get(f"{byline.url}/health/live", headers=headers, timeout=60)
            sent[answer.headers["X-Request-Id"]] = name
    until(lambda: sent.keys() <= clients(byline.log).keys())
    seen: dict[str, set[str]] = defaultdict(set)
    for request_id, client in clients(byline.log).items():
        if request_id in sent:
            seen[sent[request_id]].add(client)
    return seen


def test_a_trusted_proxy_is_believed_and_earlier_hops_are_not(start: Start) -> None:
    expected = {name: {client} for name, (_, client) in CHAINS.items()}
    assert asked(start, "127.0.0.1,10.0.0.0/8") == expected


def test_other_proxies_are_not_believed(start: Start) -> None:
    assert asked(start, "10.0.0.0/8") == {name: {"127.0.0.1"} for name in CHAINS}


def test_by_default_no_proxy_is_believed(start: Start) -> None:
    assert asked(start, "") == {name: {"127.0.0.1"} for name in CHAINS}
