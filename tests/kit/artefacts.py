"""Saves screenshots of the browser tests, for people to look at; git ignores them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

ARTEFACTS = Path(__file__).parents[2] / "artefacts"


def keep(page: Page, name: str) -> None:
    """Save a screenshot of the window; the next run overwrites it."""
    page.screenshot(path=ARTEFACTS / f"{name}.png")
