"""Plots the four operations: requests per second, and CPU time per request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from bench.figures import OPERATIONS, Samples, middle, spaced

PANELS = {
    "per_second": "Requests per second, 16 connections (more is better)",
    "cpu": "CPU microseconds of the server per request (less is better)",
}
PEER = {"facecolor": "#c4c4c4"}
STYLES = {
    "byline": {"facecolor": "#1f5fa8"},
    "bare_asgi": {"facecolor": "white", "hatch": "/////", "edgecolor": "#8a8a8a"},
}


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """Write plot.png and plot.svg, if the operations were measured."""
    samples = results["sections"].get("operations")
    if not samples:
        return
    titles = {one["name"]: one["title"] for one in results["contenders"]}
    mpl.rcParams.update({"font.size": 9, "hatch.linewidth": 0.6, "svg.hashsalt": "byline"})
    figure = Figure(figsize=(11, 1.6 + 0.5 * len(titles)), layout="constrained")
    for panel, (value, title) in zip(figure.subfigures(len(PANELS)), PANELS.items(), strict=True):
        panel.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        _panel(panel, samples, titles, value)
    frame = {"bbox_inches": "tight", "pad_inches": 0.15}
    figure.savefig(folder / "plot.png", dpi=150, **frame)
    figure.savefig(folder / "plot.svg", metadata={"Date": None}, **frame)


def _panel(panel: SubFigure, samples: Samples, titles: Mapping[str, str], value: str) -> None:
    columns = panel.subplots(1, len(OPERATIONS), sharey=True)
    for axes, (operation, title) in zip(columns, OPERATIONS.items(), strict=True):
        numbers = {
            name: middle(samples, value, contender=name, operation=operation) for name in titles
        }
        _bars(axes, titles, numbers)
        axes.set_title(title, loc="left", fontsize=9)


def _bars(axes: Axes, titles: Mapping[str, str], numbers: Mapping[str, float]) -> None:
    for name, number in numbers.items():
        bar = axes.barh(titles[name], number, 0.72, **STYLES.get(name, PEER))
        weight = "bold" if name == "byline" else "normal"
        axes.bar_label(bar, [spaced(number)], padding=3, fontsize=8, fontweight=weight)
    axes.set_xlim(0, max(numbers.values()) * 1.25)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color("#8a8a8a")
    if not axes.yaxis_inverted():  # the axis is shared
        axes.invert_yaxis()
