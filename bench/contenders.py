"""Byline and its peers: how to start each on a copy of the same database, and its token."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import byline
from bench.data import Data
from bench.load import Request
from bench.peers import PEERS
from bench.peers.check import check
from bench.peers.common import token
from bench.processes import SERVER, Server, serving

BYLINE = "byline"
NAMES = [BYLINE, *(peer.name for peer in PEERS)]
NOTE = (
    "Everything on, as in production: hosts and bodies checked, limits (so high that they refuse"
    " nobody), a log line and metrics for each answer, the session looked up, requests and answers"
    " validated, ETags, search documents. One worker with 16 threads."
)


@dataclass(frozen=True)
class Contender:
    """A server to measure; `token` is a bearer token that it accepts."""

    name: str
    title: str
    note: str
    command: Callable[[int], list[str]]
    token: str


def contenders(data: Data, names: Sequence[str]) -> list[Contender]:
    """Byline, and the peers with these names."""
    everybody = [Contender(BYLINE, "Byline", NOTE, byline.serve, data.token)]
    for peer in PEERS:
        # The bare ASGI function checks tokens like Byline; the other peers have their own.
        bearer = data.token if peer.name == "bare_asgi" else token(data.user_id, data.secret)
        everybody.append(Contender(peer.name, peer.title, peer.note, peer.command, bearer))
    return [one for one in everybody if one.name in {BYLINE, *names}]


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


@contextmanager
def running(
    data: Data, contender: Contender, folder: Path, cores: set[int] = SERVER, **settings: str
) -> Iterator[Server]:
    """A running contender, on a fresh copy of the database in its own folder."""
    own = folder / contender.name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    database = shutil.copy(data.database, own)
    os.sync()  # otherwise the disk is still writing the copy during the measurement
    peers = {
        "BENCH_DATABASE": str(database),
        "BENCH_SECRET": data.secret,
        "BENCH_KEYS": str(data.keys),
    }
    environment = byline.as_in_production(database, data.keys, **peers, **settings)
    with serving(contender.command, own, environment, cores) as server:
        yield server


def compare(data: Data, everybody: Sequence[Contender], folder: Path) -> None:
    """Have `check` refuse a peer whose answers differ from Byline's."""
    reference = Contender(BYLINE, "Byline", NOTE, byline.serve, data.token)
    with running(data, reference, folder) as server:
        for peer in everybody:
            if peer.name == BYLINE:
                continue
            with running(data, peer, folder) as other:
                path = f"/api/posts/{data.post_id}"
                check(peer.name, other.url, server.url, path, peer.token, data.token)
