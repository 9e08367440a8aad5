"""The targets of the production path, and whether the samples meet them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from bench.figures import OPERATIONS, Sample, Samples, chosen, middle, ratio

Measured = Mapping[str, Samples]  # the samples of each section
Target = tuple[str, str, Callable[[Measured], tuple[bool, str]]]
BYLINE = {"contender": "byline"}
LOADED: Sample = {"workers": 1, "connections": 64}  # where the targets are, if they say no other


def _leaner(measured: Measured, peer: str, least: tuple[float, ...]) -> tuple[bool, str]:
    """The peer's CPU for a request over Byline's."""
    times = _of_each_operation(measured, {"contender": peer}, BYLINE)
    holds = all(time >= at_least for time, at_least in zip(times, least, strict=True))
    return holds, _listed(times)


def _at_most(measured: Measured, other: str, most: float) -> tuple[bool, str]:
    """Byline's CPU for a request over that of another way to run it."""
    times = _of_each_operation(measured, BYLINE, {"contender": other})
    return max(times) <= most, _listed(times)


def _of_each_operation(measured: Measured, over: Sample, under: Sample) -> list[float]:
    loaded = chosen(measured.get("production", []), **LOADED)
    return [ratio(chosen(loaded, operation=name), "cpu", over, under) for name in OPERATIONS]


def _listed(times: list[float]) -> str:
    return " / ".join(f"{number:.2f}" for number in times)


def _two_workers(measured: Measured) -> tuple[bool, str]:
    samples = chosen(measured.get("production", []), **BYLINE, operation="get", connections=64)
    times = ratio(samples, "per_second", {"workers": 2}, {"workers": 1})
    # One worker leaves so much of the machine to a second one, if that costs no more.
    spent = ("cpu", "database", "store", "generator")
    cores = sum(middle(samples, value, workers=1) for value in spent) / 1e6
    cores *= middle(samples, "per_second", workers=1)
    total = middle(samples, "cores", workers=1)
    room = f"{total / cores:.2f} at most, with PostgreSQL, Valkey and load on the same cores"
    return times >= 1.7, f"{times:.2f}; {room}"


def _tail(measured: Measured) -> tuple[bool, str]:
    samples = chosen(measured.get("production", []), **BYLINE, workers=2, operation="get")
    crowd = chosen(samples, connections=64)
    tail = middle([{"tail": one["p99"] / max(one["p50"], 1e-3)} for one in crowd], "tail")
    return tail <= 5, f"{tail:.1f}"


def _round_trips(measured: Measured) -> tuple[bool, str]:
    samples = chosen(measured.get("round trips", []), **BYLINE)
    # Rounded, because what a server does from time to time is counted too.
    *reads, write = (round(middle(samples, "database", operation=name)) for name in OPERATIONS)
    return max(reads) <= 1 and write <= 2, " / ".join(map(str, [*reads, write]))


def _memory(measured: Measured) -> tuple[bool, str]:
    megabytes = middle(measured.get("production", []), "everything", case="memory")
    return megabytes <= 120, f"{megabytes:.0f} MB"


_PEERS = {
    "fastapi_sqlalchemy": ("FastAPI + SQLAlchemy async", (6, 6, 6, 5)),
    "fastapi_asyncpg": ("FastAPI + asyncpg", (1.6, 1.6, 2.3, 1.6)),
    "litestar_asyncpg": ("Litestar + asyncpg", (1.1, 1.2, 1.8, 1.1)),
    "express": ("Express + express-openapi-validator", (0.65, 1.1, 1.4, 1.0)),
    "fastify": ("Fastify + fastify-openapi-glue", (0.4, 0.8, 1.0, 0.8)),
}
PRODUCTION: list[Target] = [
    *(
        (
            f"CPU of {title} over Byline's, GET / list / me / POST",
            f">= {' / '.join(f'{number:g}' for number in least)}",
            partial(_leaner, peer=peer, least=least),
        )
        for peer, (title, least) in _PEERS.items()
    ),
    (
        "CPU not pinned against pinned",
        "<= 1.15",
        partial(_at_most, other="byline_pinned", most=1.15),
    ),
    (
        "CPU with limits in Valkey against limits in memory",
        "<= 1.2",
        partial(_at_most, other="byline_memory", most=1.2),
    ),
    ("requests per second of two workers against one, GET", ">= 1.7", _two_workers),
    ("p99 against p50, two workers, GET", "<= 5", _tail),
    ("round trips to the database", "1 for a read, 2 for a POST", _round_trips),
    ("memory of a worker after everything", "<= 120 MB", _memory),
]
