"""An event loop that lets no job tell it which sockets to watch: see `work/greenlets.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from typing import Any

import uvloop

from service.engine.work.greenlets import is_here


class StrictLoop(uvloop.Loop):
    """uvloop's, which a job would crash now and then; here it always gets an error."""

    def _watch(self, change: Callable[..., Any], *arguments: Any) -> Any:
        assert not is_here(), "a job has told the loop itself which sockets to watch"
        return change(self, *arguments)

    add_reader = partialmethod(_watch, uvloop.Loop.add_reader)
    remove_reader = partialmethod(_watch, uvloop.Loop.remove_reader)
    add_writer = partialmethod(_watch, uvloop.Loop.add_writer)
    remove_writer = partialmethod(_watch, uvloop.Loop.remove_writer)
