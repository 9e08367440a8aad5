"""Operations of the tag ops: the pages, the specification, health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from flask import current_app

from service import pages
from service.engine.http import docs, health
from service.engine.spec.publication import Deployment
from service.specification import specification

Document = tuple[bytes, int, dict[str, str]]
Html = tuple[str, int, dict[str, str]]


async def get_home() -> Html:
    return pages.home_page(), 200, docs.HOME_HEADERS


async def get_account_page() -> Html:
    return pages.account_page(), 200, docs.FRONT_END_HEADERS


async def get_docs() -> Html:
    return pages.docs_page(), 200, docs.DOCS_HEADERS


async def get_openapi_yaml() -> Document:
    return await _made(specification.public_yaml)


async def get_openapi_json() -> Document:
    return await _made(specification.public_json)


async def get_openapi31_json() -> Document:
    return await _made(specification.public_json_31)


# Both need no thread, so that they answer while all threads are busy.
async def get_liveness() -> dict[str, str]:
    return {"status": "ok"}


async def get_readiness() -> dict[str, Any]:
    return health.readiness()


def get_metrics() -> bytes:
    return health.metrics_text()


async def _made(make: Callable[[Deployment], bytes]) -> Document:
    # In a thread of its own: the first time takes a fifth of a second.
    document = await asyncio.to_thread(make, Deployment.of(current_app.config))
    return document, 200, docs.document_headers(document)
