"""Shows where the processor time of a request goes on the production path.

Run `python -m bench.profile` on an idle machine. It profiles one worker with PostgreSQL and Valkey
at 64 connections, nothing pinned, as `bench.production` measures it, and prints Markdown;
`bench/results/profile.md` is what it printed last.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import click

from bench import machine
from bench.byline import ROOT
from bench.contenders import operations
from bench.figures import OPERATIONS
from bench.load import Request, load
from bench.processes import PATIENCE, Server
from bench.production.contenders import contenders
from bench.production.site import site
from bench.sampler import SAMPLES
from bench.tables import table

CONNECTIONS = 64
WARM_UP = 2  # seconds
FUNCTIONS = 40  # that are shown
_EXAMPLE = "the example"
_STANDARD = "Python's library"

Place = tuple[str, str]  # file and function


class Profile(NamedTuple):
    """Microseconds of processor time per request, and the part of them that is the kernel's."""

    functions: Mapping[Place, float]
    kernel: float


@click.command()
@click.option("--seconds", type=click.IntRange(1), default=15, show_default=True)
@click.option("--users", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--posts", type=click.IntRange(1), default=100_000, show_default=True)
def main(seconds: int, users: int, posts: int) -> None:
    """Profile the four operations that the benchmark measures."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with site(Path(name), users, posts) as place:
            byline = replace(contenders(place.data, [])[0], command=_sampled)
            samples = place.folder / byline.name / SAMPLES
            with place.running(byline) as server:
                profiles = [
                    _profile(server, request, seconds, samples)
                    for request in operations(place.data, byline).values()
                ]
    click.echo(report(profiles, machine.description()))


def _sampled(_port: int) -> list[str]:
    return [sys.executable, "-m", "bench.sampler", "serve"]


def _profile(server: Server, request: Request, seconds: int, samples: Path) -> Profile:
    load(server.url, request, WARM_UP, CONNECTIONS, None)
    samples.unlink(missing_ok=True)
    before = server.cpu(), server.kernel()
    server.process.send_signal(signal.SIGUSR1)
    answered = load(server.url, request, seconds, CONNECTIONS, None)
    server.process.send_signal(signal.SIGUSR2)
    used, kernel = (
        (after - earlier) / answered.requests * 1e6
        for after, earlier in zip((server.cpu(), server.kernel()), before, strict=True)
    )
    found = json.loads(_awaited(samples))
    each = used / sum(number for *_, number in found)
    return Profile({(file, name): number * each for file, name, number in found}, kernel)


def _awaited(file: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() > deadline:
            raise click.ClickException("the server has written no samples")
        time.sleep(0.05)  # between two looks
    return file.read_text()


def report(profiles: Sequence[Profile], at: Mapping[str, Any]) -> str:
    """Two tables of microseconds: the rooms of the engine and the packages, then the functions.
    `at` describes the machine."""
    heads = ["", *OPERATIONS.values()]
    totals = [
        ["**all**", *(_shown(sum(profile.functions.values())) for profile in profiles)],
        ["of which in the kernel", *(_shown(profile.kernel) for profile in profiles)],
    ]
    how = (
        f"{at['date']}, {at['processor']}, {at['cores']} cores, {at['python']}. PostgreSQL, Valkey,"
        f" one worker, {CONNECTIONS} connections, nothing pinned. Microseconds of the worker per"
        " request, without those of the Python functions that are called."
    )
    parts = [
        "# Where the processor time of a request goes",
        how,
        table(heads, totals + _rows(profiles, _room)),
        f"## The {FUNCTIONS} functions that take most",
        table(heads, _rows(profiles, _function)[:FUNCTIONS]),
    ]
    return "\n\n".join(parts)


def _rows(profiles: Sequence[Profile], named: Callable[[Place], str]) -> list[list[str]]:
    """What the functions of one name take together, the dearest first."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(profiles))
    for number, profile in enumerate(profiles):
        for place, microseconds in profile.functions.items():
            sums[named(place)][number] += microseconds
    dearest = sorted(sums.items(), key=lambda item: -sum(item[1]))
    return [[name, *map(_shown, each)] for name, each in dearest]


def _room(place: Place) -> str:
    file = _file(place)
    parts = Path(file).parts
    if parts[0] != "service":
        return parts[0] if "site-packages" in place[0] else _STANDARD
    return f"`{'/'.join(parts[:-1])}`" if parts[1] == "engine" else _EXAMPLE


def _function(place: Place) -> str:
    return f"`{_file(place)}` {place[1]}"


def _file(place: Place) -> str:
    """From the repository, the folder of packages or that of Python's library on."""
    file = place[0].removeprefix(f"{ROOT}/").rpartition("/site-packages/")[2]
    return re.sub(r".*/lib/python3\.\d+/", "", file)


def _shown(microseconds: float) -> str:
    return f"{microseconds:.0f}" if microseconds >= 0.5 else ""


if __name__ == "__main__":
    main()
