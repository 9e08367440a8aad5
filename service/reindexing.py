"""Indexes anew for search what an older version of the words has indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from service.domain import words
from service.engine.database.transaction import db
from service.engine.ids import NOBODY
from service.models import PostDocument

DOCUMENTS_READ = 1000  # documents whose versions are read at once


def documents() -> int:
    """About how many documents there are. Needs an application context."""
    return int(_read(PostDocument.last_id))


def renew_documents() -> Iterator[tuple[int, int]]:
    """Index the posts anew whose documents are not of this version of the words, by short
    transactions, while others read and write. Can be ended and started again at any time.

    Yields for each batch how many documents there were, and how many of them it has renewed. Needs
    an application context.
    """
    current, at = f"{words.VERSION} ", NOBODY
    while found := _read(PostDocument.beginnings, at, DOCUMENTS_READ, len(current)):
        old = [id_ for id_, beginning in found if beginning != current]
        yield len(found), sum(map(_renew, old))
        at = found[-1][0]


def _renew(post_id: str) -> bool:
    source = _read(PostDocument.source, post_id)
    if source is None:  # deleted since
        return False
    new = words.index_text(source.title, source.content)  # before the lock is taken
    with db.transaction() as transaction:
        done = PostDocument.renew(post_id, source.words, new)
        transaction.commit()
    return done


def _read(statement: Callable[..., Any], *arguments: Any) -> Any:
    with db.transaction(writes=False):
        return statement(*arguments)
