"""The standard streams of a process: opened if they are closed, and told of its crash."""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path


def open_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed, as some process managers leave them.

    The next file or connection would get its number, and lines for the log would go there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 # stays open
            os.set_inheritable(stream.fileno(), True)  # by workers
            setattr(sys, name, stream)


def report_crashes() -> None:
    """Have a process that crashes, as of a segmentation fault, write to standard error where its
    threads were."""
    if sys.stderr and not faulthandler.is_enabled():  # it may be by PYTHONFAULTHANDLER
        faulthandler.enable()
