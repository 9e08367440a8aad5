"""The Flask application: for extensions and configuration only, not for routing or parsing."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import iscoroutinefunction
from typing import Any

import flask


class Flask(flask.Flask):
    """A Flask that never matches a URL: the specification's router has done that."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return super().ensure_sync(func) if _is_async(func) else func

    def create_url_adapter(self, request: Any) -> Any:
        return super().create_url_adapter(None) if request is None else None


_is_async = cache(iscoroutinefunction)
