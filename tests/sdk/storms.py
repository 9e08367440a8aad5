"""Calls of the Python client through a proxy with faults, by threads and by tasks, which make of
each what a caller learns. `storms.mjs` is the same in JavaScript.

An action is `{"do": "create", "title": ..., "content": ...}`, an `update` or a `delete` of what was
created under that title, a `read`, an `export`, or a `list` of the posts of an author.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from byline_client import (
    ApiError,
    AsyncByline,
    Byline,
    MemoryStore,
    Tokens,
    UnexpectedAnswer,
)

TIMEOUT = 2.0  # seconds, for answers that never come
MANY = {"list", "export"}
Action = dict[str, str]
Made = dict[str, Any]  # posts by their titles


def kept(url: str, tokens: dict[str, Any], *, is_known: bool) -> MemoryStore:
    """A store with tokens. `is_known`: the client can tell that the access token has expired."""
    store = MemoryStore()
    until = time.time() + (-60 if is_known else 3600)
    pair = tokens["access_token"], tokens["refresh_token"]
    store.save(Tokens(*pair, renew_at=until, expires_at=until, origin=url))
    return store


def told(error: Exception) -> str:
    if isinstance(error, ApiError):
        return f"ApiError {error.code}"
    if isinstance(error, UnexpectedAnswer):
        return f"UnexpectedAnswer {error.status}"
    return "no answer" if isinstance(error, httpx.TransportError) else f"undocumented {error!r}"


class Threads:
    """The client for threads."""

    def burst(self, url: str, tokens: Any, calls: int, rounds: int, *, is_known: bool) -> Any:
        """What each of some calls at the same time has come to, for each round of them; what
        `on_auth_change` has heard; and whether there are tokens in the end."""
        store, changes = kept(url, tokens, is_known=is_known), []
        with (
            Byline(url, store=store, on_auth_change=changes.append) as client,
            ThreadPoolExecutor(calls) as pool,
        ):
            results = [list(pool.map(_whose, [client] * calls)) for _ in range(rounds)]
        return results, changes, store.load() is not None

    def storm(self, url: str, tokens: Any, plans: list[list[Action]]) -> Any:
        """What each action has come to, and after how many seconds; each plan is a thread's."""
        store = kept(url, tokens, is_known=False)
        with (
            Byline(url, store=store, timeout=TIMEOUT) as client,
            ThreadPoolExecutor(len(plans)) as pool,
        ):
            return list(pool.map(lambda plan: _worked(client, plan), plans))


def _whose(client: Byline) -> str:
    try:
        return str(client.auth.get_me().id)
    except Exception as error:
        return told(error)


def _worked(client: Byline, plan: list[Action]) -> list[tuple[str, float]]:
    made: Made = {}
    outcomes = []
    for action in plan:
        started = time.monotonic()
        try:
            result = _call(client, action, made)
            result = list(result) if action["do"] in MANY else result
            outcome = _ended(action, made, result)
        except Exception as error:
            outcome = told(error)
        outcomes.append((outcome, time.monotonic() - started))
    return outcomes


class Tasks:
    """The client for asyncio, in a thread of its own, for the test's may have a loop."""

    def burst(self, *arguments: Any, is_known: bool) -> Any:
        return _in_a_thread(lambda: self._burst(*arguments, is_known=is_known))

    async def _burst(
        self, url: str, tokens: Any, calls: int, rounds: int, *, is_known: bool
    ) -> Any:
        store, changes = kept(url, tokens, is_known=is_known), []
        async with AsyncByline(url, store=store, on_auth_change=changes.append) as client:
            results = [
                await asyncio.gather(*(_whose_of_task(client) for _ in range(calls)))
                for _ in range(rounds)
            ]
        return results, changes, store.load() is not None

    def storm(self, *arguments: Any) -> Any:
        return _in_a_thread(lambda: self._storm(*arguments))

    async def _storm(self, url: str, tokens: Any, plans: list[list[Action]]) -> Any:
        store = kept(url, tokens, is_known=False)
        async with AsyncByline(url, store=store, timeout=TIMEOUT) as client:
            return await asyncio.gather(*(_worked_by_task(client, plan) for plan in plans))


async def _whose_of_task(client: AsyncByline) -> str:
    try:
        return str((await client.auth.get_me()).id)
    except Exception as error:
        return told(error)


async def _worked_by_task(client: AsyncByline, plan: list[Action]) -> list[tuple[str, float]]:
    made: Made = {}
    outcomes = []
    for action in plan:
        started = time.monotonic()
        try:
            call = _call(client, action, made)
            if action["do"] in MANY:
                result: Any = [each async for each in call]
            else:
                result = await call if call else None
            outcome = _ended(action, made, result)
        except Exception as error:
            outcome = told(error)
        outcomes.append((outcome, time.monotonic() - started))
    return outcomes


def _call(client: Any, action: Action, made: Made) -> Any:
    """The call, whose result an asynchronous client lets wait for; None without a post for it."""
    title = action.get("title")
    match action["do"]:
        case "read":
            return client.auth.get_me()
        case "list":
            return client.posts.list(author_id=action["author"], limit=40)
        case "export":
            return client.auth.export()
        case "create":
            return client.posts.create(title=title, content=action["content"])
        case "update" if title in made:
            return client.posts.update(made[title], content=action["content"])
        case "delete" if title in made:
            return client.posts.delete(made[title].id)
    return None


def _ended(action: Action, made: Made, result: Any) -> str:
    if action["do"] in {"create", "update"} and result is not None:
        made[action["title"]] = result
    if action["do"] == "list":
        return "done" if len({post.id for post in result}) == len(result) else "doubled"
    is_of_post = action["do"] in {"create", "update", "delete"}
    return "skipped" if is_of_post and action["title"] not in made else "done"


def _in_a_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()
