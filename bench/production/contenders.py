"""The contenders of the production path."""

from __future__ import annotations

from collections.abc import Sequence

from bench import byline
from bench.contenders import BYLINE, Contender
from bench.data import Data
from bench.peers.postgresql import PEERS

IN_MEMORY, PINNED = "byline_memory", "byline_pinned"
NAMES = [BYLINE, IN_MEMORY, PINNED, *(peer.name for peer in PEERS)]
EVERYTHING = (
    "Everything on: hosts and bodies checked, limits (so high that they refuse nobody), a log line"
    " and metrics for each answer, the session looked up, requests and answers validated, ETags,"
    " search documents. 16 threads a worker"
)


def contenders(data: Data, names: Sequence[str]) -> list[Contender]:
    """Byline with its limits in Valkey, and those with these names."""
    everybody = [
        Contender(name, title, note, byline.serve, data.token, counts_in, is_pinned)
        for name, title, note, counts_in, is_pinned in _BYLINE
    ]
    everybody += [
        Contender(peer.name, peer.title, peer.note, peer.command, data.token, peer.counts_in)
        for peer in PEERS
    ]
    return [one for one in everybody if one.name in {BYLINE, *names}]


_BYLINE = [
    (BYLINE, "Byline", f"{EVERYTHING}, limits counted in Valkey.", "Valkey", False),
    (
        IN_MEMORY,
        "Byline, limits in memory",
        "The same, but each worker counts for itself.",
        "memory",
        False,
    ),
    (
        PINNED,
        "Byline, pinned",
        "Limits in Valkey; its worker on one core; PostgreSQL, Valkey and the load on the other.",
        "Valkey",
        True,
    ),
]
