"""Names the program of a `User-Agent` in words of our own, because the header may say anything."""

from __future__ import annotations

import re

# The first that is named wins: most browsers name those that they want to be taken for as well.
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
# Letters and hyphens: no address and no number that a mail program would make a link of.
_PRODUCT = re.compile(r"([A-Za-z][A-Za-z-]{1,29})(?:/|$)", re.ASCII)


def described(user_agent: str) -> str:
    """ "Firefox on Linux", "curl", or "an unknown program"."""
    system = next((name for word, name in _SYSTEMS.items() if word in user_agent), None)
    browser = next((name for word, name in _BROWSERS.items() if f"{word}/" in user_agent), None)
    if browser:
        return f"{browser} on {system}" if system else browser
    product = _PRODUCT.match(user_agent)
    return product[1] if product and product[1] != "Mozilla" else "an unknown program"
