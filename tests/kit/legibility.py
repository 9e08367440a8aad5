"""Whether people can read a page and find their way on it by keyboard, asked of its real styles."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

_LEGIBLE = Path(__file__).with_name("legible.js").read_text("utf-8")


def unreadable(page: Page) -> list[str]:
    """What is too faint (WCAG 2.2, 1.4.3, without its exception for large text) or too wide."""
    return list(page.evaluate(_LEGIBLE))


def focused_by_tab(page: Page) -> tuple[str, bool]:
    """Press Tab: the text of what has the focus now, and whether an outline shows that it has."""
    page.keyboard.press("Tab")
    text, outline = page.evaluate("""() => {
      const { textContent, placeholder } = document.activeElement
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
      return [textContent || placeholder || '', outlineStyle !== 'none' && outlineWidth]
    }""")
    return text.strip(), outline in {"2px", "3px"}
