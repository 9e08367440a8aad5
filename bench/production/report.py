"""What the page of results says about the production path."""

from __future__ import annotations

from collections.abc import Mapping

from bench.figures import OPERATIONS, Samples, chosen, middle, spaced
from bench.production.targets import LOADED
from bench.tables import by_operation, table

QUIET = 0.1  # cores with other work, below which it is not worth a warning
MEANWHILE = (
    "Cores that processes outside the benchmark kept busy, and cores that the host gave to other"
    " machines: the median of all measurements of a server, and the most. Where they are not near"
    " 0, requests per second and milliseconds mean little, and CPU per request is somewhat too"
    " high."
)


def production(sections: Mapping[str, Samples], titles: Mapping[str, str]) -> list[str]:
    """Its parts; leaves out what was not measured."""
    samples = sections.get("production")
    parts = []
    if samples:
        loaded = chosen(samples, **LOADED)
        parts = [
            _disturbed(loaded),
            "### CPU microseconds of the server per request, 64 connections, one worker",
            by_operation(loaded, titles, "cpu"),
            "In parentheses: how many times as many as Byline's.",
            "### CPU microseconds of PostgreSQL / of Valkey per request, beside it",
            _pairs(loaded, titles, ("database", "store"), "{:.0f}"),
            "### Requests per second of a production server, 64 connections, one worker",
            by_operation(loaded, titles, "per_second"),
            "In parentheses: how many times as many Byline answers.",
            "### Milliseconds to an answer, 64 connections, one worker: median / 99th percentile",
            _pairs(loaded, titles, ("p50", "p99"), "{:.1f}"),
            *_workers(samples, titles),
            "### The machine meanwhile",
            _machine(samples, titles),
            MEANWHILE,
            _memory(samples),
        ]
    if trips := sections.get("round trips"):
        parts += [
            "### Round trips to PostgreSQL / to Valkey for a request",
            _pairs(trips, titles, ("database", "store"), "{:.1f}"),
        ]
    return parts


def _pairs(samples: Samples, titles: Mapping[str, str], values: tuple[str, str], form: str) -> str:
    measured = {sample["contender"] for sample in samples}
    rows = [
        [
            title,
            *(
                " / ".join(
                    form.format(middle(samples, value, contender=name, operation=operation))
                    for value in values
                )
                for operation in OPERATIONS
            ),
        ]
        for name, title in titles.items()
        if name in measured
    ]
    return table(["", *OPERATIONS.values()], rows)


def _workers(samples: Samples, titles: Mapping[str, str]) -> list[str]:
    """The operations that were measured with two workers too."""
    columns = [(workers, connections) for workers in (1, 2) for connections in (16, 64)]
    head = [
        f"{workers} worker{'s'[: workers > 1]}, {connections} connections"
        for workers, connections in columns
    ]
    both = {one["contender"] for one in samples if one.get("workers") == 2}
    parts = ["### Workers and connections"]
    for operation in dict.fromkeys(one["operation"] for one in samples if one.get("workers") == 2):
        rows = [
            [
                title,
                *(
                    _crowd(
                        chosen(
                            samples,
                            contender=name,
                            operation=operation,
                            workers=workers,
                            connections=connections,
                        )
                    )
                    for workers, connections in columns
                ),
            ]
            for name, title in titles.items()
            if name in both
        ]
        parts.append(table([OPERATIONS[operation], *head], rows))
    return [*parts, "Requests per second; median / 99th percentile; CPU of the server per request."]


def _crowd(samples: Samples) -> str:
    p50, p99 = (middle(samples, value) for value in ("p50", "p99"))
    cpu = spaced(middle(samples, "cpu"))
    return f"{spaced(middle(samples, 'per_second'))}; {p50:.1f} / {p99:.1f} ms; {cpu} us"


def _disturbed(samples: Samples) -> str:
    others = middle(samples, "others")
    if others < QUIET:
        return ""
    cores = f"{others:.1f} of its {middle(samples, 'cores'):.0f} cores"
    return f"**The machine had other work, which kept {cores} busy (median).**"


def _machine(samples: Samples, titles: Mapping[str, str]) -> str:
    rows = []
    for name, title in titles.items():
        own = chosen(samples, contender=name)
        cells = (
            f"{middle(own, value):.2f} ({max(one[value] for one in own):.2f})"
            for value in ("others", "stolen")
        )
        rows.append([title, *cells])
    return table(["", "other work", "other machines"], rows)


def _memory(samples: Samples) -> str:
    first, last = (middle(samples, value, case="memory") for value in ("resident", "everything"))
    return (
        f"A worker of Byline had {first:.0f} MB resident after the four operations, and"
        f" {last:.0f} MB after searches, sign-ins and exports as well."
    )
