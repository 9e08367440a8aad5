"""Plots the CPU time per request of both paths, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bench.figures import OPERATIONS, Samples, chosen, middle, spaced
from bench.production.targets import LOADED

CPU = "CPU microseconds of the server per request"
# The title of each path, and its section with those of the samples that are drawn.
PATHS: dict[str, tuple[str, str, dict[str, int]]] = {
    "embedded": ("Embedded: SQLite, one process", "operations", {}),
    "production": ("Production: PostgreSQL and Valkey, not pinned", "production", LOADED),
}
PEER = {"facecolor": "#c4c4c4"}
LIMIT = {"facecolor": "white", "hatch": "/////", "edgecolor": "#8a8a8a"}
STYLES = {
    "byline": {"facecolor": "#1f5fa8"},
    "byline_memory": {"facecolor": "#7ba5d6"},
    "byline_pinned": {"facecolor": "#7ba5d6"},
    "bare_asgi": LIMIT,
    "bare_asyncpg": LIMIT,
}


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """Write plot.png and plot.svg, with the paths of which the operations were measured."""
    drawn = [
        path
        for path, (_, section, _) in PATHS.items()
        if path in results and section in results[path]["sections"]
    ]
    if not drawn:
        return
    mpl.rcParams.update({"font.size": 10, "hatch.linewidth": 0.6, "svg.hashsalt": "byline"})
    bars = max(len(results[path]["contenders"]) for path in drawn)
    figure = Figure(figsize=(7 * len(drawn), 1.8 + 0.62 * bars), layout="constrained")
    panels = figure.subfigures(1, len(drawn), squeeze=False)[0]
    for panel, path in zip(panels, drawn, strict=True):
        title, section, of = PATHS[path]
        panel.suptitle(f"{title}\n{CPU}", x=0.01, ha="left", fontsize=11, fontweight="bold")
        titles = {one["name"]: one["title"] for one in results[path]["contenders"]}
        _panel(panel, chosen(results[path]["sections"][section], **of), titles)
    frame = {"bbox_inches": "tight", "pad_inches": 0.15}
    figure.savefig(folder / "plot.png", dpi=150, **frame)
    figure.savefig(folder / "plot.svg", metadata={"Date": None}, **frame)


def _panel(panel: SubFigure, samples: Samples, titles: Mapping[str, str]) -> None:
    places = panel.subplots(2, 2, sharey=True).flat
    for axes, (operation, title) in zip(places, OPERATIONS.items(), strict=True):
        numbers = {
            name: middle(samples, "cpu", contender=name, operation=operation) for name in titles
        }
        _bars(axes, titles, numbers)
        axes.set_title(title, loc="left", fontsize=10)


def _bars(axes: Axes, titles: Mapping[str, str], numbers: Mapping[str, float]) -> None:
    for name, number in numbers.items():
        bar = axes.barh(titles[name], number, 0.72, **STYLES.get(name, PEER))
        weight = "bold" if name == "byline" else "normal"
        axes.bar_label(bar, [spaced(number)], padding=3, fontsize=9, fontweight=weight)
    axes.set_xlim(0, max(numbers.values()) * 1.25)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color("#8a8a8a")
    if not axes.yaxis_inverted():  # the axis is shared
        axes.invert_yaxis()
