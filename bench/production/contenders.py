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
    valkey = {"command": byline.serve, "token": data.token, "counts_in": "Valkey"}
    everybody = [
        Contender(BYLINE, "Byline", f"{EVERYTHING}, limits counted in Valkey.", **valkey),
        Contender(
            IN_MEMORY,
            "Byline, limits in memory",
            "The same, but each worker counts for itself.",
            byline.serve,
            data.token,
            "memory",
        ),
        Contender(
            PINNED,
            "Byline, pinned",
            "With its limits in Valkey; its one worker on one core; PostgreSQL, Valkey and the"
            " load on the other. To see what it costs that nobody pins a service.",
            **valkey,
            is_pinned=True,
        ),
        *(
            Contender(peer.name, peer.title, peer.note, peer.command, data.token, peer.counts_in)
            for peer in PEERS
        ),
    ]
    return [one for one in everybody if one.name in {BYLINE, *names}]
