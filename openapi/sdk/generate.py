"""Makes the Python and TypeScript clients from the public specification, as packages to install.

The generators produce the code, and packages.py what else a package has.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from openapi.sdk import python_client, typescript_client
from openapi.sdk.distributions import build
from openapi.sdk.packages import describe

GENERATORS = {"python": python_client.generate, "typescript": typescript_client.generate}


def main(clients: Path) -> None:
    """Write `python`, `typescript` and, ready to publish, `dist` into the folder, replacing what
    is there."""
    for language, generate in GENERATORS.items():
        folder = clients / language
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        generate(folder)
        describe(language, folder)
    build(clients)


def _folder(path: str) -> Path:
    folder = Path(path).resolve()
    if not path or (folder.exists() and not folder.is_dir()):
        raise argparse.ArgumentTypeError(f"{path!r} is not the name of a folder")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", type=_folder, help="the folder to write into, made if need be")
    main(parser.parse_args().clients)
