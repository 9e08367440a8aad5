"""The command `byline`, and all that a wheel installs under a name of its own.

In a wheel this file is the package `byline`, with `service`, the specification and the migrations
inside it, so that nothing called `service` stands in anybody's site-packages.
"""

import gc
import sys
from pathlib import Path

# First, because another package of this environment may be called `service` too.
sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    # A fifth of the start would be spent looking for garbage among modules, which live on.
    gc.disable()
    from service.cli import main as command

    gc.enable()
    command(prog_name="byline")


if __name__ == "__main__":
    main()
