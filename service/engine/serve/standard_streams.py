"""The standard streams of a process, which some process managers leave closed."""

from __future__ import annotations

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
