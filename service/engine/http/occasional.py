"""Warnings about the input of clients: at most one line a minute of each kind."""

from __future__ import annotations

import logging
import time

INTERVAL_SECONDS = 60  # between two lines of one kind
MAX_QUOTED_CHARACTERS = 100  # of what a client sent

logger = logging.getLogger(__name__)


class Occasional:
    """One kind of warning; `text` has a place for what was sent, unless that may be a secret."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._warned = -float(INTERVAL_SECONDS)

    def warn(self, *sent: str) -> None:
        now = time.monotonic()
        if now - self._warned >= INTERVAL_SECONDS:
            self._warned = now
            logger.warning(self._text, *(text[:MAX_QUOTED_CHARACTERS] for text in sent))
