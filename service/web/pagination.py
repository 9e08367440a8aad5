"""Pages: what a listing gives, and the link to what follows (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

PAGE = 10  # items that `pages` gives at a time: each may be as large as a body
Listing = Callable[..., list[dict[str, Any]]]  # a models.listing.Listing, or one with filters set


@dataclass(frozen=True, slots=True)
class Page:
    """A page's items; `next_after` is the id to go on from, None on the last page."""

    items: list[dict[str, Any]]
    next_after: str | None


def page(
    listing: Listing, limit: int, after: UUID | None, order: str = "newest", **filters: Any
) -> Page:
    """At most `limit` items of a listing after the id `after`."""
    items = listing(limit + 1, after, order, **filters)
    if len(items) <= limit:
        return Page(items, None)
    return Page(items[:limit], items[limit - 1]["id"])


def pages(listing: Listing, **filters: Any) -> Iterator[list[dict[str, Any]]]:
    """All of a listing, newest first, a page at a time, which the reader may empty."""
    after: UUID | None = None
    while items := listing(PAGE, after, **filters):
        after = UUID(items[-1]["id"])
        yield items


def next_link(path: str, query: list[tuple[str, str]], next_after: str) -> str:
    """The `Link` header: relative, so that no proxy and no Host header can spoil it."""
    kept = [(name, value) for name, value in query if name != "after"]
    return f'<{path}?{urlencode([*kept, ("after", next_after)])}>; rel="next"'
