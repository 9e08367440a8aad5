"""Measures whether response times reveal which addresses have an account.

Starts a Byline without limits, on an SQLite file or on the database in DATABASE_URL, and sends it
known and unknown addresses. Exit code 1 if the times reveal which is which. Needs an idle machine:
`chance` is the ratio between the two halves of the known addresses.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median

import click

from bench import byline
from bench.processes import BOTH, serving

TOLERANCE = 0.05  # allowed error of the ratio of the medians
WARM_UP = 20  # pairs that do not count
PASSWORD = "correct horse battery staple"

# The path, the status of every answer, and the rest of the body besides the address.
OPERATIONS = [
    ("/auth/login", 401, {"password": "wrong horse battery staple"}),
    ("/auth/password-resets", 202, {}),
]
Ask = Callable[[str], float]  # seconds for an address
Times = tuple[list[float], list[float]]  # seconds for known and for unknown addresses


@click.command()
@click.option("--pairs", type=click.IntRange(10), default=300, show_default=True)
# Enough accounts that no address is used more often than the limits allow.
@click.option("--accounts", type=click.IntRange(1), default=300, show_default=True)
def main(pairs: int, accounts: int) -> None:
    """Compare the response times for known and unknown addresses."""
    told = False
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as port:
        api = http.client.HTTPConnection("127.0.0.1", port)
        known = cycle([registered(api) for _ in range(accounts)])
        click.echo(f"{'medians':38}    known  unknown  ratio  chance")
        for path, status, more in OPERATIONS:
            ask = partial(seconds, api, path, status, more)
            for order in (interleaved, in_blocks):
                interleaved(ask, known, WARM_UP)
                here, nowhere = order(ask, known, pairs)
                ratio = median(here) / median(nowhere)
                chance = median(here[::2]) / median(here[1::2])
                told |= abs(ratio - 1) > TOLERANCE
                times = "".join(f"{median(times) * 1000:6.2f} ms" for times in (here, nowhere))
                name = order.__name__.replace("_", " ")
                click.echo(f"{path:24}{name:14}{times}  {ratio:.3f}   {chance:.3f}")
    sys.exit(told)


def interleaved(ask: Ask, known: Iterator[str], pairs: int) -> Times:
    """Alternate known and unknown addresses, and which of a pair comes first."""
    here, nowhere = [], []
    for _ in range(pairs):
        for times, email in random.sample([(here, next(known)), (nowhere, unknown())], 2):
            times.append(ask(email))
    return here, nowhere


def in_blocks(ask: Ask, known: Iterator[str], pairs: int) -> Times:
    """All unknown addresses between two halves of known ones, so that side effects add up."""
    before = [ask(next(known)) for _ in range(pairs // 2)]
    nowhere = [ask(unknown()) for _ in range(pairs)]
    return before + [ask(next(known)) for _ in range(pairs - pairs // 2)], nowhere


def unknown() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def registered(api: http.client.HTTPConnection) -> str:
    email = unknown()
    seconds(api, "/auth/register", 201, {"password": PASSWORD}, email)
    return email


def seconds(
    api: http.client.HTTPConnection, path: str, status: int, more: dict[str, str], email: str
) -> float:
    """The seconds until the answer to a POST, which must have this status."""
    body = json.dumps({"email": email, **more})
    start = time.perf_counter()
    api.request("POST", path, body, {"Content-Type": "application/json"})
    answer = api.getresponse()
    content = answer.read()
    took = time.perf_counter() - start
    if answer.status != status:
        raise click.ClickException(f"{path}: {answer.status} {content.decode()}")
    return took


@contextmanager
def running(folder: Path) -> Iterator[int]:
    """The port of a Byline with its data in this folder, unless a database is given."""
    environment = byline.settings(
        os.environ.get("DATABASE_URL", "sqlite:///byline.db"),
        "keys",
        LOG_LEVEL="WARNING",
        RATE_LIMIT_ENABLED="false",
    )
    for arguments in (["db", "upgrade"], ["keys", "generate"]):
        byline.run(folder, environment, *arguments)
    with serving(byline.serve, folder, environment, BOTH) as server:
        yield server.port


if __name__ == "__main__":
    main()
