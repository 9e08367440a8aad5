"""The peers of the production path: the same four operations on PostgreSQL, as others write them.

All take Byline's access tokens, and look up the session with its user for each request that has
one. `BENCH_DATABASE` is the URL of the database, `BENCH_KEY_SET` the keys that verify tokens, and
`WORKERS` the number of processes that answer.
"""

from __future__ import annotations

from functools import partial

from bench.peers import Peer, uvicorn

POOL = 16  # connections of a worker to the database, as many as Byline has

_LESS = "It has no limits, no log line, no ETag, and writes no search document."
PEERS = [
    Peer(
        "fastapi_sqlalchemy",
        "FastAPI + SQLAlchemy async",
        partial(uvicorn, "postgresql.fastapi_sqlalchemy"),
        "As their documentation has it: an AsyncSession and the current user as dependencies, the"
        f" ORM on asyncpg, response_model. {_LESS}",
    ),
    Peer(
        "fastapi_asyncpg",
        "FastAPI + asyncpg",
        partial(uvicorn, "postgresql.fastapi_asyncpg"),
        f"Without an ORM: SQL on a pool of asyncpg, response_model. {_LESS}",
    ),
]
