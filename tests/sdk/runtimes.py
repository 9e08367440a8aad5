"""The generated clients in each place where they run, with one face for tests: threads, asyncio,
Node.js, and two tabs of chromium, which share a session as two pages of a front end do."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from playwright.sync_api import BrowserContext, Page

from tests.kit.generated_clients import node

HERE = Path(__file__).parent
Plans = list[list[dict[str, str]]]
Storm = list[list[tuple[str, float]]]
_IN_NODE = """
import * as api from 'byline-client';
import * as storms from './storms.mjs';
const { work, ...rest } = JSON.parse(process.argv[2]);
console.log(JSON.stringify(await storms[work](api, rest, api.memoryStore())));
"""
_MODULES = """async () => {
  window.api = await import('/sdk/index.js');
  window.storms = await import('/sdk/storms.mjs');
}"""


class Burst(NamedTuple):
    """What `burst` of storms.py says of calls at the same time."""

    results: list[list[str]]
    changes: list[str]
    is_signed_in: bool


class Runtime(Protocol):
    def burst(
        self, url: str, tokens: Any, *, calls: int = 50, rounds: int = 1, is_known: bool = False
    ) -> Burst: ...

    def storm(self, url: str, tokens: Any, plans: Plans) -> Storm: ...


class Python:
    """`kind` is `Threads` or `Tasks`."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def burst(
        self, url: str, tokens: Any, *, calls: int = 50, rounds: int = 1, is_known: bool = False
    ) -> Burst:
        return Burst(*self._client().burst(url, tokens, calls, rounds, is_known=is_known))

    def storm(self, url: str, tokens: Any, plans: Plans) -> Storm:
        outcomes: Storm = self._client().storm(url, tokens, plans)
        return outcomes

    def _client(self) -> Any:
        return getattr(importlib.import_module("tests.sdk.storms"), self._kind)()


class Node:
    """`folder` has the client in its node_modules."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "storms-in-node.mjs"
        self._program.write_text(_IN_NODE)
        (folder / "storms.mjs").write_text((HERE / "storms.mjs").read_text())

    def burst(
        self, url: str, tokens: Any, *, calls: int = 50, rounds: int = 1, is_known: bool = False
    ) -> Burst:
        given = {"tokens": tokens, "calls": calls, "rounds": rounds, "isKnown": is_known}
        return Burst(*self._run("burst", url, given))

    def storm(self, url: str, tokens: Any, plans: Plans) -> Storm:
        outcomes: Storm = self._run("storm", url, {"tokens": tokens, "plans": plans})
        return outcomes

    def _run(self, work: str, url: str, given: dict[str, Any]) -> Any:
        return json.loads(node(self._program, json.dumps({"work": work, "url": url, **given})))


class Tabs:
    """`context` is a window, and `package` the folder of the client's module. The calls of a tab
    begin before anybody waits for them, and so those of both tabs overlap."""

    def __init__(self, context: BrowserContext, package: Path) -> None:
        self._context = context
        self._package = package

    def burst(
        self, url: str, tokens: Any, *, calls: int = 50, rounds: int = 1, is_known: bool = False
    ) -> Burst:
        given = {"calls": calls // 2, "rounds": rounds, "isKnown": is_known}
        first, second = self._run("burst", url, [given | {"tokens": tokens}, given])
        results = [here + there for here, there in zip(first[0], second[0], strict=True)]
        assert first[2] == second[2]
        return Burst(results, first[1] + second[1], first[2])

    def storm(self, url: str, tokens: Any, plans: Plans) -> Storm:
        half = len(plans) // 2
        given = [{"tokens": tokens, "plans": plans[:half]}, {"plans": plans[half:]}]
        first, second = self._run("storm", url, given)
        return [*first, *second]

    def page(self, url: str) -> Page:
        """A tab with the modules `api`, the client, and `storms`."""
        page = self._context.new_page()
        page.route("**/sdk/**", self._fulfil)
        page.goto(f"{url}/sdk/")
        page.evaluate(_MODULES)
        return page

    def _run(self, work: str, url: str, given: list[dict[str, Any]]) -> Any:
        pages = [self.page(url) for _ in given]
        call = f"storms.{work}(api, given, api.localStorageStore())"
        for page, own in zip(pages, given, strict=True):
            page.evaluate(f"(given) => {{ window.result = {call} }}", {"url": url, **own})
        results = [page.evaluate("result") for page in pages]
        for page in pages:
            page.close()
        return results

    def _fulfil(self, route: Any) -> None:
        name = route.request.url.partition("/sdk/")[2]
        if not name:
            route.fulfill(body="<!doctype html>", content_type="text/html")
            return
        path = HERE / name if name == "storms.mjs" else self._package / name
        route.fulfill(path=path, content_type="text/javascript")
