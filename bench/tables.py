"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.figures import OPERATIONS, Samples, chosen, middle, ratio, spaced

BYLINE = {"contender": "byline"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_operation(samples: Samples, titles: Mapping[str, str], value: str) -> str:
    """The medians of a value for each contender and operation, with their ratios to Byline's."""
    rows = [
        [name, *(_with_ratio(samples, value, operation, contender) for operation in OPERATIONS)]
        for contender, name in titles.items()
    ]
    return table(["", *OPERATIONS.values()], rows)


def _with_ratio(samples: Samples, value: str, operation: str, contender: str) -> str:
    samples = chosen(samples, operation=operation)
    number = spaced(middle(samples, value, contender=contender))
    if contender == "byline":
        return f"**{number}**"
    cases = [BYLINE, {"contender": contender}]
    times = ratio(samples, value, *(cases if value == "per_second" else cases[::-1]))
    return f"{number} ({times:.1f}x)"
