"""Reads a server's metrics, and runs promtool, which checks files written for Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.programs import program

Samples = dict[tuple[str, ...], float]


def scrape(url: str) -> Samples:
    """The values by name and labels; the labels are in the order of their names:
    `{("byline_logins_total", "failed"): 1.0, ...}`."""
    answer = httpx.get(f"{url}/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def promtool(*arguments: str, stdin: str = "", folder: Path | None = None) -> str:
    """The output of promtool; AssertionError if it finds an error."""
    ended = subprocess.run(
        [program("promtool"), *arguments],
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
