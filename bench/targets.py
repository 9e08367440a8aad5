"""The targets, which were set before the first measurement, and whether they are met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bench.figures import OPERATIONS, NotMeasured, chosen, middle, ratio, spaced
from bench.production.targets import PRODUCTION, Measured, Target


@dataclass(frozen=True)
class Verdict:
    """`holds` is None if the target was not measured."""

    figure: str
    target: str
    measured: str
    holds: bool | None


def verdicts(path: str, sections: Measured) -> list[Verdict]:
    """A verdict for each target of the embedded path or of the production path."""
    found = []
    for figure, target, look in _TARGETS[path]:
        try:
            holds, words = look(sections)
        except NotMeasured:
            holds, words = None, "not measured"
        found.append(Verdict(figure, target, words, holds))
    return found


def _faster(sections: Measured, peer: str, least: float) -> tuple[bool, str]:
    times = _of_each_operation(sections, "per_second", peer)
    return min(times.values()) >= least, _listed(times)


def _leaner(sections: Measured, peer: str, most: float) -> tuple[bool, str]:
    times = _of_each_operation(sections, "cpu", peer)
    return max(times.values()) <= most, _listed(times)


def _of_each_operation(sections: Measured, value: str, peer: str) -> dict[str, float]:
    """The ratio of Byline's value to the peer's, for each operation."""
    samples = sections.get("operations", [])
    return {
        operation: ratio(
            chosen(samples, operation=operation),
            value,
            {"contender": "byline"},
            {"contender": peer},
        )
        for operation in OPERATIONS
    }


def _listed(times: Mapping[str, float]) -> str:
    return ", ".join(f"{operation} {number:.2f}x" for operation, number in times.items())


def _beside_logins(sections: Measured) -> tuple[bool, str]:
    kept = ratio(
        sections.get("logins", []), "per_second", {"case": "beside logins"}, {"case": "alone"}
    )
    return kept >= 0.9, f"{kept:.2f}"


def _crowded(sections: Measured) -> tuple[bool, str]:
    samples = chosen(sections.get("concurrency", []), contender="byline")
    kept = ratio(samples, "per_second", {"connections": 200}, {"connections": 16})
    crowd = chosen(samples, connections=200)
    tail = middle([{"tail": one["p99"] / one["p50"]} for one in crowd if one["p50"]], "tail")
    stalls = sum(one["stalled"] or one["broken"] > 0 for one in crowd)
    words = f"{kept:.2f}; {stalls or 'no'} stall{'s'[: stalls > 1]}; p99 {tail:.1f} x p50"
    return kept >= 0.9 and not stalls and tail <= 10, words


def _far_down(sections: Measured) -> tuple[bool, str]:
    pages = sections.get("depth", [])
    cases = {"case": "far down"}, {"case": "first page"}
    cpu, time = (ratio(pages, value, *cases) for value in ("cpu", "p50"))
    depth = middle(pages, "depth", **cases[0])
    return max(cpu, time) <= 1.2, f"CPU {cpu:.2f}x, time {time:.2f}x at depth {spaced(depth)}"


def _two_workers(sections: Measured) -> tuple[bool, str]:
    cases = {"case": "two workers"}, {"case": "one worker"}
    times = ratio(sections.get("workers", []), "per_second", *cases)
    return times >= 1.8, f"{times:.2f}x"


def _large_export(sections: Measured) -> tuple[bool, str]:
    exports = sections.get("export", [])
    cases = {"case": "large"}, {"case": "small"}
    times = ratio(exports, "peak", *cases)
    large, small = (spaced(middle(exports, "posts", **case)) for case in cases)
    return times <= 1.2, f"{times:.2f}x for {large} against {small}"


def _unread(sections: Measured) -> tuple[bool, str]:
    samples = sections.get("unread", [])
    kept = ratio(samples, "per_second", {"case": "beside unread"}, {"case": "alone"})
    failed = sum(one["refused"] + one["broken"] for one in chosen(samples, case="beside unread"))
    return kept > 0.5 and not failed, f"{kept:.2f} of the reads by two threads go on"


def _start(sections: Measured) -> tuple[bool, str]:
    seconds = middle(sections.get("start", []), "start", contender="byline")
    return seconds <= 1.5, f"{seconds:.2f} s"


def _resident(sections: Measured) -> tuple[bool, str]:
    last = {"contender": "byline", "operation": "post"}
    megabytes = middle(sections.get("operations", []), "resident", **last)
    return megabytes <= 120, f"{megabytes:.0f} MB"


_EMBEDDED: list[Target] = [
    (
        "requests per second against FastAPI with its ORM endpoints",
        ">= 5x on each",
        partial(_faster, peer="fastapi_orm", least=5),
    ),
    (
        "against FastAPI with the same Core statements",
        ">= 2.5x on each",
        partial(_faster, peer="fastapi_core", least=2.5),
    ),
    (
        "against Flask-RESTful and Flask-JWT-Extended under gunicorn",
        ">= 4x on each",
        partial(_faster, peer="flask_restful", least=4),
    ),
    (
        "CPU per request against the bare ASGI function",
        "<= 1.5x on each",
        partial(_leaner, peer="bare_asgi", most=1.5),
    ),
    ("reads with 16 logins in flight, of those without", ">= 0.9", _beside_logins),
    (
        "reads at 200 connections, of those at 16",
        ">= 0.9; no stall; p99 <= 10 x p50",
        _crowded,
    ),
    ("a page far down against the first page", "<= 1.2x", _far_down),
    ("two workers against one, load on the same two cores", ">= 1.8x", _two_workers),
    ("peak memory of a large export against a small one", "<= 1.2x", _large_export),
    ("ten clients that do not read their export", "hold no thread", _unread),
    ("start to the first answer", "<= 1.5 s", _start),
    ("resident memory of a worker after the operations", "<= 120 MB", _resident),
]
_TARGETS = {"embedded": _EMBEDDED, "production": PRODUCTION}
