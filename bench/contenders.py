"""Byline and its peers: what they are asked, and whether they answer alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from bench.data import Data
from bench.load import Request
from bench.peers.check import check
from bench.processes import Server

BYLINE = "byline"


@dataclass(frozen=True)
class Contender:
    """A server to measure; `token` is a bearer token that it accepts.

    `counts_in` is where its limits are counted, if it has any; `is_pinned` gives it one core.
    """

    name: str
    title: str
    note: str
    command: Callable[[int], list[str]]
    token: str
    counts_in: str = ""
    is_pinned: bool = False


def operations(data: Data, contender: Contender) -> dict[str, Request]:
    """The four requests that are measured on every contender."""
    bearer = {"Authorization": f"Bearer {contender.token}"}
    return {
        "get": Request(f"/api/posts/{data.post_id}"),
        "list": Request("/api/posts"),
        "me": Request("/auth/me", headers=bearer),
        "post": Request(
            "/api/posts",
            "POST",
            {**bearer, "Content-Type": "application/json"},
            '{"title": "Notes on tea", "content": "Warm the pot first, then wait."}',
        ),
    }


def compare(
    everybody: Sequence[Contender],
    running: Callable[[Contender], AbstractContextManager[Server]],
    data: Data,
) -> None:
    """Have `check` refuse a peer whose answers differ from those of the first, Byline's.

    `running` serves on a fresh copy of the data.
    """
    reference = everybody[0]
    with running(replace(reference, name="reference")) as server:
        for peer in everybody[1:]:
            with running(peer) as other:
                path = f"/api/posts/{data.post_id}"
                check(peer.name, other.url, server.url, path, peer.token, reference.token)
