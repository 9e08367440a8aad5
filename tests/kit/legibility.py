"""Checks, from the styles in a browser, that a page can be read and used with the keyboard."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

_LEGIBLE = Path(__file__).with_name("legible.js").read_text("utf-8")


def unreadable(page: Page) -> list[str]:
    """Text with too little contrast (WCAG 2.2, 1.4.3, large text too), or too wide elements."""
    return list(page.evaluate(_LEGIBLE))


def focused_by_tab(page: Page) -> tuple[str, bool]:
    """Press Tab: the text of the focused element, and whether an outline shows the focus."""
    page.keyboard.press("Tab")
    text, outline = page.evaluate("""() => {
      const { textContent, placeholder } = document.activeElement
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
      return [textContent || placeholder || '', outlineStyle !== 'none' && outlineWidth]
    }""")
    return text.strip(), outline in {"2px", "3px"}
