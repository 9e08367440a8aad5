"""A thread beside the requests that does pending work, one step at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

IDLE_SECONDS = 5.0  # until it looks for work without being woken
STOP_TIMEOUT_SECONDS = 10.0  # a stop waits this long for the step in progress


class Background:
    """Repeats `step` while there is work, then waits until it is woken or IDLE_SECONDS have passed.

    `step` returns the seconds to pause before the next step, or None if no work is left. `pause` is
    the time between being woken and the first step. If a step raises, that is logged, and the work
    is tried again after IDLE_SECONDS. `work` names it in the log, in the plural.
    """

    def __init__(self, work: str, step: Callable[[], float | None], *, pause: float) -> None:
        self._work = work
        self._step = step
        self._pause = pause
        self._idle_seconds = IDLE_SECONDS
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no further step, and wait for the one in progress, STOP_TIMEOUT_SECONDS at most."""
        self._stopped.set()
        self._woken.set()
        if self._thread:
            self._thread.join(STOP_TIMEOUT_SECONDS)

    def wake(self) -> None:
        """Look for work soon."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.wait(self._idle_seconds)
            self._woken.clear()
            pause: float | None = self._pause
            try:
                while pause is not None and not self._stopped.wait(pause):
                    pause = self._step()
            except Exception as error:  # most likely the database is down, and will be back
                logger.warning("%s are waiting: %s", self._work, type(error).__name__)
