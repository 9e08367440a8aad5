"""Writing, reading and searching posts."""

from datetime import datetime
from uuid import UUID

from service.accounts import quota
from service.caller import Caller
from service.domain import search
from service.domain.snippets import snippets
from service.domain.words import index_text
from service.engine.ids import first_id_after, first_id_from
from service.engine.spec.paging import fitting, page
from service.engine.work.greenlets import aside_if_long
from service.engine.work.retrying import unlocked
from service.models import Post, PostDocument
from service.models.posts import TEXTS, text_bytes


def list_posts(
    limit: int,
    order: str,
    after: UUID | None = None,
    author_id: UUID | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
):
    later = created_after and first_id_after(created_after)
    earlier = created_before and first_id_from(created_before)
    return page(
        Post.listing, limit, after, order, author_id=author_id, later=later, earlier=earlier
    )


def create_post(caller: Caller, body: dict):
    text = unlocked(index_text, body["title"], body["content"])
    post = Post.create(caller, quota.bytes_allowed(), **body)
    PostDocument.add(post["id"], text)
    return post, 201, {"Location": f"/api/posts/{post['id']}"}


def get_post(post_id: UUID):
    return Post.get(post_id)


def update_post(caller: Caller, post_id: UUID, body: dict, if_match: list[str] | None):
    expected = body if body.keys() >= {*TEXTS} else {**Post.get(post_id), **body}
    text = unlocked(index_text, expected["title"], expected["content"])
    before = Post.stored(post_id)
    post = Post.update(post_id, caller, if_match, body)
    quota.replace(before, text_bytes(post))
    if any(post[name] != expected[name] for name in TEXTS):  # it has changed meanwhile
        text = aside_if_long(index_text, post["title"], post["content"])
    PostDocument.replace(post["id"], text)
    return post


def delete_post(caller: Caller, post_id: UUID, if_match: list[str] | None):
    stored = Post.stored(post_id)
    Post.delete(post_id, caller, if_match)
    if stored:
        stored.give_back()


def search_posts(q: str, limit: int, offset: int):
    query = search.parse(q)
    if not query.included:
        return {"results": []}
    found = PostDocument.matching(**query.terms(), limit=limit, offset=offset)
    shown = snippets([post["content"] for post, _ in found], query)
    results = [
        {"post": post, "score": score, "snippet": snippet}
        for (post, score), snippet in zip(found, shown, strict=True)
    ]
    return {"results": fitting(results)}
