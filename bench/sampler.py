"""Serves as `byline serve` does, and samples where its processor time goes between two signals.

SIGUSR1 begins, SIGUSR2 ends and writes `SAMPLES` into the working folder: a JSON list of (file,
function, samples). Python handles a signal as it enters the next function, so what a C function
needs is sometimes counted for the Python function that is called after it.
"""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

from service.cli import main

SAMPLES = "samples.json"
INTERVAL = 0.001  # seconds of processor time

_samples: Counter[tuple[str, str]] = Counter()


def _sample(_signal: int, frame: FrameType | None) -> None:
    if frame is not None:
        _samples[frame.f_code.co_filename, frame.f_code.co_name] += 1


def _begin(*_: object) -> None:
    _samples.clear()
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)


def _end(*_: object) -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    whole = Path(f"{SAMPLES}.new")
    whole.write_text(json.dumps([(*place, number) for place, number in _samples.items()]))
    whole.rename(SAMPLES)


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _sample)
    signal.signal(signal.SIGUSR1, _begin)
    signal.signal(signal.SIGUSR2, _end)
    main()
