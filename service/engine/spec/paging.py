"""Pages of a listing, and the link to the next one (RFC 8288)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson

from service.engine.database.listing import END, Items

MAX_PAGE_BYTES = 1024 * 1024
MAX_BYTES_BESIDE_BULK = 2048  # of an item's JSON without its bulk text
MAX_PART_BYTES = 64 * 1024  # yielded by `pages` at a time, unless one item is larger
ITEMS_PER_PART = 10  # yielded by `pages` at a time, at most
ListItems = Callable[..., Items]  # a database.listing.Listing, or what is called like one


@dataclass(frozen=True, slots=True)
class Page:
    """A page's items; `next_after` is the id to continue after, None on the last page."""

    items: list[dict[str, Any]]
    next_after: str | None


def page(
    listing: ListItems, limit: int, after: UUID | None, order: str = "newest", **filters: Any
) -> Page:
    """At most `limit` items of a listing after the id `after`, of about `MAX_PAGE_BYTES`."""
    items, stopped_at = listing(limit + 1, after, order, **filters)
    bulk = getattr(listing, "bulk", None)
    kept = items[:limit] if bulk is None else fitting(items[:limit], bulk)
    return Page(kept, kept[-1]["id"] if len(kept) < len(items) else stopped_at)


def fitting(items: list[dict[str, Any]], bulk: str = "") -> list[dict[str, Any]]:
    """The first items whose JSON together fits into `MAX_PAGE_BYTES`, but always at least one.

    `bulk` names the text on which the size depends, if there is one.
    """
    if bulk:
        characters = sum(map(len, map(itemgetter(bulk), items)))
        if MAX_BYTES_BESIDE_BULK * len(items) + 6 * characters < MAX_PAGE_BYTES:
            return items
    size = 0
    for number, item in enumerate(items):
        size += len(orjson.dumps(item)) + 1
        if size > MAX_PAGE_BYTES and number:
            return items[:number]
    return items


def pages(listing: ListItems, **filters: Any) -> Iterator[list[dict[str, Any]]]:
    """All of a listing, newest first, as lists of items that the caller may empty."""
    after: UUID | None = None
    if getattr(listing, "bulk", None):
        filters["largest"] = MAX_PART_BYTES
    while (found := listing(ITEMS_PER_PART, after, **filters)) != END:
        after = UUID(found.stopped_at or found.rows[-1]["id"])
        yield found.rows


def next_link(path: str, query: list[tuple[str, str]], next_after: str) -> str:
    """The `Link` header: relative, so that it is right whatever the proxy or the Host header."""
    kept = urlencode([(name, value) for name, value in query if name != "after"])
    return f'<{path}?{kept}{"&" if kept else ""}after={next_after}>; rel="next"'
