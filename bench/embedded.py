"""The contenders of the embedded path: each in one process, on a copy of one SQLite file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from bench import byline
from bench.contenders import BYLINE, Contender
from bench.data import Data, sqlite
from bench.peers import PEERS
from bench.peers.common import token
from bench.processes import SERVER, Server, serving

NAMES = [BYLINE, *(peer.name for peer in PEERS)]
NOTE = (
    "Everything on, as in production: hosts and bodies checked, limits (so high that they refuse"
    " nobody), a log line and metrics for each answer, the session looked up, requests and answers"
    " validated, ETags, search documents. One worker with 16 threads."
)


def contenders(data: Data, names: Sequence[str]) -> list[Contender]:
    """Byline, and the peers with these names."""
    everybody = [Contender(BYLINE, "Byline", NOTE, byline.serve, data.token)]
    for peer in PEERS:
        # The bare ASGI function checks tokens like Byline; the other peers have their own.
        bearer = data.token if peer.name == "bare_asgi" else token(data.user_id, data.secret)
        everybody.append(Contender(peer.name, peer.title, peer.note, peer.command, bearer))
    return [one for one in everybody if one.name in {BYLINE, *names}]


@contextmanager
def running(
    data: Data, contender: Contender, folder: Path, cores: set[int] = SERVER, **settings: str
) -> Iterator[Server]:
    """A running contender, on a fresh copy of the database in its own folder."""
    own = folder / contender.name
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    database = shutil.copy(str(make_url(data.url).database), own)
    os.sync()  # otherwise the disk is still writing the copy during the measurement
    settings = {"BENCH_DATABASE": str(database), **data.settings, **settings}
    environment = byline.as_in_production(sqlite(database), data.keys, **settings)
    with serving(contender.command, own, environment, cores) as server:
        yield server
