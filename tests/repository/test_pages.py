"""The pages of documentation name files, settings of make and headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "tests" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FILE = re.compile(r"`((?:alembic|bench|deploy|docs|openapi|service|tests)/[\w./-]+)`")
TARGET = re.compile(r"`(?:\w+=\S+ )*make ([a-z]+)\b")
CREATED = re.compile(r"Create\s`([^`]+)`")  # by a reader who follows the page
LINK = re.compile(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in HEADING.findall(text)}


@each_page
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    missing = {f for f in FILE.findall(text) if not (ROOT / f).exists()}
    assert missing <= set(CREATED.findall(text))


@each_page
def test_the_targets_of_make_that_a_page_names_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(TARGET.findall(page.read_text("utf-8"))) <= set(targets)


@each_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for file, anchor in LINK.findall(page.read_text("utf-8")):
        linked = page.parent / file if file else page
        assert linked.exists(), file
        if anchor:
            assert anchor in anchors(linked), f"{file}#{anchor}"
