"""Medians and ratios of samples; a sample has what was measured, the round and the results."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

Sample = dict[str, Any]
Samples = Sequence[Sample]

OPERATIONS = {
    "get": "GET one post",
    "list": "list 20 posts",
    "me": "GET /auth/me",
    "post": "POST a post",
}


class NotMeasured(LookupError):
    """There are no samples with these values."""


def chosen(samples: Samples, **of: Any) -> Samples:
    """The samples with these values; raises NotMeasured if there are none."""
    found = [sample for sample in samples if of.items() <= sample.items()]
    if not found:
        raise NotMeasured(of)
    return found


def middle(samples: Samples, value: str, **of: Any) -> float:
    """The median over the rounds; raises NotMeasured."""
    return median(sample[value] for sample in chosen(samples, **of))


def ratio(samples: Samples, value: str, over: Sample, under: Sample) -> float:
    """The median of the ratios of each round; raises NotMeasured."""
    above = {sample["round"]: sample[value] for sample in chosen(samples, **over)}
    below = {sample["round"]: sample[value] for sample in chosen(samples, **under)}
    return median(above[round_] / (below[round_] or 1e-9) for round_ in above)


def spaced(number: float) -> str:
    """A whole number with spaces between thousands."""
    return f"{number:,.0f}".replace(",", " ")
