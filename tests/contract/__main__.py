"""`make contract`: schemathesis from its command line, with all it has, against a live server with
two processes on PostgreSQL. EXAMPLES says how many examples an operation gets."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx

from service.engine.tokens.keys import generate_key
from service.specification import specification
from tests.kit import postgres
from tests.kit.commands import ROOT, serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = os.environ.get("EXAMPLES", "500")
METRICS_TOKEN = "of-the-contract"
TAIL = 50  # lines of the log that are shown after a failure


def main() -> int:
    """The exit status: that of schemathesis, or 1 when the server has not come out of it well."""
    with TemporaryDirectory(prefix="byline-contract-") as name:
        folder = Path(name)
        settings = {
            "DATABASE_URL": postgres.start(),
            "JWT_KEYS_DIR": str(folder / "keys"),
            "RATE_LIMIT_ENABLED": "false",
            "WORKERS": "2",
            "HASH_THREADS": "2",
            "METRICS_TOKEN": METRICS_TOKEN,
        }
        generate_key(folder / "keys")
        with serving(folder, **settings) as url:
            status = _schemathesis(url, folder, settings["DATABASE_URL"])
            ready = httpx.get(f"{url}/health/ready").status_code
        log = (folder / "serve.log").read_text().splitlines()
    errors = [line for line in log if '"level":"error"' in line or '"level":"critical"' in line]
    click.echo(f"Afterwards: ready is {ready}, {len(errors)} errors in the server's log.")
    if status or errors:
        click.echo("\n".join(["The end of that log:", *(errors or log)[-TAIL:]]), err=True)
    return status or int(ready != 200 or bool(errors))


def _schemathesis(url: str, folder: Path, database: str) -> int:
    program = Path(sys.executable).with_name("schemathesis")
    # The file, not what is published: there every operation has a `default` for any other status.
    arguments = ["run", "--max-examples", EXAMPLES, *sys.argv[1:], "--url", url, specification.path]
    own = {
        "PYTHONPATH": str(ROOT),
        "CONTRACT_URL": url,
        "CONTRACT_MAILS": str(folder / "instance" / "mail"),
        "CONTRACT_DATABASE": database,
        "CONTRACT_METRICS_TOKEN": METRICS_TOKEN,
    }
    return subprocess.run(
        [program, "--config-file", CONFIGURATION, *arguments],
        cwd=ROOT,
        env=os.environ | own,
        check=False,
    ).returncode


if __name__ == "__main__":
    # The PostgreSQL wheel asks for a runtime folder that a bare machine has not.
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
    sys.exit(main())
