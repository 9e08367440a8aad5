"""The benchmark: starts Byline and its peers, measures them, and writes a table and a plot."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench import against_peers, by_itself, machine
from bench.against_peers import Plan
from bench.contenders import NAMES, compare, contenders
from bench.data import demo
from bench.figures import Sample
from bench.report import report
from bench.targets import verdicts

SECTIONS: dict[str, Callable[[Plan], list[Sample]]] = {
    "start": against_peers.measure_start,
    "operations": against_peers.measure_operations,
    "concurrency": against_peers.measure_concurrency,
    "logins": by_itself.measure_logins,
    "depth": by_itself.measure_depth,
    "workers": by_itself.measure_workers,
    "export": by_itself.measure_export,
    "unread": by_itself.measure_unread,
}
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
@click.option("--only", type=_Names([*SECTIONS]), default=[*SECTIONS], help="Sections.")
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
    """Measure Byline and its peers: a table, a plot and all figures."""
    if quick:
        rounds = seconds = 1
    users, posts, depth = (1000, 10_000, 100_000) if quick else (10_000, 100_000, 1_000_000)
    out.mkdir(parents=True, exist_ok=True)
    here = machine.description()
    with TemporaryDirectory() as name:
        folder = Path(name)
        _say(f"Making {users} users and {posts} posts")
        data = demo(folder, users, posts)
        everybody = contenders(data, names)
        _say("Comparing what they answer")
        compare(data, everybody, folder)
        plan = Plan(data, everybody, folder, rounds, seconds, depth)
        sections = {section: _measured(section, plan) for section in only}
    results = {
        "machine": here,
        "rounds": rounds,
        "seconds": seconds,
        "users": users,
        "posts": posts,
        "contenders": [
            {"name": one.name, "title": one.title, "note": one.note} for one in everybody
        ],
        "sections": sections,
    }
    _write(results, out)
    missed = any(verdict.holds is False for verdict in verdicts(sections))
    sys.exit(strict and missed)


def _measured(section: str, plan: Plan) -> list[Sample]:
    samples = []
    for number in range(1, plan.rounds + 1):
        _say(f"{section}: round {number} of {plan.rounds}")
        samples += [{"round": number, **sample} for sample in SECTIONS[section](plan)]
    return samples


def _write(results: dict[str, Any], out: Path) -> None:
    from bench.plot import draw  # slow to import

    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    table = report(results)
    (out / "table.md").write_text(table)
    draw(results, out)
    click.echo(table)
    _say(f"In {out}: table.md, results.json, plot.png, plot.svg")


def _say(words: str) -> None:
    click.echo(words, err=True)


if __name__ == "__main__":
    main()
