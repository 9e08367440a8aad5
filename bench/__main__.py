"""The benchmark: starts Byline and its peers, measures them, and writes a table and a plot."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench import against_peers, by_itself, embedded, machine
from bench.contenders import Contender
from bench.figures import Sample
from bench.plan import Plan
from bench.production import contenders, measure
from bench.report import report
from bench.targets import verdicts

Sections = Mapping[str, Callable[[Plan], list[Sample]]]
EMBEDDED: Sections = {
    "start": against_peers.measure_start,
    "operations": against_peers.measure_operations,
    "concurrency": against_peers.measure_concurrency,
    "logins": by_itself.measure_logins,
    "depth": by_itself.measure_depth,
    "workers": by_itself.measure_workers,
    "export": by_itself.measure_export,
    "unread": by_itself.measure_unread,
}
PRODUCTION: Sections = {
    "production": measure.measure_production,
    "round trips": measure.measure_round_trips,
}
ONCE = {"round trips"}
SECTIONS = [*EMBEDDED, "production"]
NAMES = [*dict.fromkeys([*embedded.NAMES, *contenders.NAMES])]
RESULTS = Path(__file__).with_name("results")


class _Names(click.ParamType):
    """Some of these names, separated by commas."""

    name = "name,..."

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        if not isinstance(value, str):
            return value
        names = value.split(",")
        if unknown := set(names) - set(self._known):
            self.fail(f"{', '.join(unknown)}: not one of {', '.join(self._known)}", param, ctx)
        return [name for name in self._known if name in names]


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--seconds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How long each measurement takes.",
)
@click.option("--only", type=_Names(SECTIONS), default=SECTIONS, help="Sections.")
@click.option(
    "--contenders", "names", type=_Names(NAMES), default=NAMES, help="Byline is always one."
)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, help="A folder.")
@click.option("--quick", is_flag=True, help="One short round on less data, to see that it works.")
@click.option("--strict", is_flag=True, help="Exit code 1 if a target does not hold.")
def main(
    rounds: int,
    seconds: int,
    only: list[str],
    names: list[str],
    out: Path,
    quick: bool,
    strict: bool,
) -> None:
    """Measure Byline and its peers: a table, a plot and all figures.

    What is measured of one path, embedded or production, replaces all that the folder has of it.
    """
    if quick:
        rounds = seconds = 1
    sizes = (1000, 10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as name, ExitStack() as until_the_end:
        Path(name).chmod(0o755)
        plan = Plan(names, Path(name), rounds, seconds, *sizes, until_the_end, _say)
        measured = {}
        if sections := [section for section in only if section in EMBEDDED]:
            measured["embedded"] = _of_path(plan, plan.contenders, sections)
        if "production" in only:
            measured["production"] = _of_path(plan, plan.production, PRODUCTION)
    _write(measured, out)
    found = [verdict for path, it in measured.items() for verdict in verdicts(path, it["sections"])]
    sys.exit(strict and any(verdict.holds is False for verdict in found))


def _of_path(plan: Plan, everybody: list[Contender], sections: Iterable[str]) -> dict[str, Any]:
    return {
        "machine": machine.description(),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "users": plan.users,
        "posts": plan.posts,
        "contenders": [
            {"name": one.name, "title": one.title, "note": one.note} for one in everybody
        ],
        "sections": {section: _measured(section, plan) for section in sections},
    }


def _measured(section: str, plan: Plan) -> list[Sample]:
    samples = []
    rounds = 1 if section in ONCE else plan.rounds
    for number in range(1, rounds + 1):
        _say(f"{section}: round {number} of {rounds}")
        measure = EMBEDDED.get(section) or PRODUCTION[section]
        samples += [{"round": number, **sample} for sample in measure(plan)]
    return samples


def _write(measured: dict[str, Any], out: Path) -> None:
    from bench.plot import draw  # slow to import

    file = out / "results.json"
    results = (json.loads(file.read_text()) if file.exists() else {}) | measured
    file.write_text(json.dumps(results, indent=1) + "\n")
    table = report(results)
    (out / "table.md").write_text(table)
    draw(results, out)
    click.echo(table)
    _say(f"In {out}: table.md, results.json, plot.png, plot.svg")


def _say(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    main()
