"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.figures import OPERATIONS, Samples, chosen, middle, spaced
from bench.production.report import production
from bench.tables import by_operation, table
from bench.targets import verdicts

BUSY = 0.9  # of a core: a server that used less waited for load, disk or other processes


def report(results: Mapping[str, Any]) -> str:
    """The page; leaves out what was not measured."""
    parts = ["# Benchmark"]
    for path, (title, tables) in _PATHS.items():
        if measured := results.get(path):
            titles = {one["name"]: one["title"] for one in measured["contenders"]}
            parts += [
                f"## {title}",
                _conditions(measured, path),
                *tables(measured["sections"], titles),
                f"### Targets of the {path} path\n\n{_targets(path, measured['sections'])}",
                "### What each does",
                "\n".join(f"- **{one['title']}**: {one['note']}" for one in measured["contenders"]),
            ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(measured: Mapping[str, Any], path: str) -> str:
    machine = measured["machine"]
    busy = f"load average {machine['busy']:.1f} at the start"
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    where = {
        "embedded": "an SQLite file; "
        + ("server and load each on a core of its own" if machine["pinned"] else "not pinned"),
        "production": "PostgreSQL (fsync and synchronous_commit on), limits in Valkey; server,"
        " database, store and load share the cores, and nothing is pinned",
    }
    return (
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}, {machine['python']}, {busy}. "
        f"Requests from {machine['load']}; "
        f"medians of {measured['rounds']} x {measured['seconds']} s; "
        f"{spaced(measured['users'])} users and {spaced(measured['posts'])} posts in {where[path]}."
        f"\n\n{packages}."
    )


def _embedded(sections: Mapping[str, Samples], titles: Mapping[str, str]) -> list[str]:
    parts = []
    if samples := sections.get("operations"):
        parts += [
            "### Requests per second, 16 connections",
            by_operation(samples, titles, "per_second"),
            f"In parentheses: how many times as many Byline answers.{_not_busy(samples, titles)}",
            "### CPU microseconds of the server per request",
            by_operation(samples, titles, "cpu"),
            "In parentheses: how many times as many as Byline's.",
        ]
    return [
        *parts,
        _concurrency(sections, titles),
        _processes(sections, titles),
        _alone(sections),
    ]


def _not_busy(samples: Samples, titles: Mapping[str, str]) -> str:
    """Names the servers that did not keep a core busy, so that something else limited them."""
    busy = [{**one, "share": one["cpu"] * one["per_second"] / 1e6} for one in samples]
    idle = [
        f"{title} at {OPERATIONS[operation]} ({share:.0%})"
        for name, title in titles.items()
        for operation in OPERATIONS
        if (share := middle(busy, "share", contender=name, operation=operation)) < BUSY
    ]
    where = "; ".join(idle)
    return f" Not limited by their core, of which they used less: {where}." if idle else ""


def _targets(path: str, sections: Mapping[str, Samples]) -> str:
    words = {True: "yes", False: "**no**", None: ""}
    rows = [[v.figure, v.target, v.measured, words[v.holds]] for v in verdicts(path, sections)]
    return table(["", "target", "measured", "holds"], rows)


def _concurrency(sections: Mapping[str, Samples], titles: Mapping[str, str]) -> str:
    samples = sections.get("concurrency")
    if not samples:
        return ""
    levels = sorted({sample["connections"] for sample in samples})
    rows = [
        [
            title,
            *(_crowd(chosen(samples, contender=name, connections=level)) for level in levels),
        ]
        for name, title in titles.items()
    ]
    head = ["", *(f"{level} connection{'s'[: level > 1]}" for level in levels)]
    note = "Requests per second; median and 99th percentile of the time to an answer."
    return f"### GET one post at different numbers of connections\n\n{table(head, rows)}\n\n{note}"


def _crowd(samples: Samples) -> str:
    times = " / ".join(f"{middle(samples, value):.1f}" for value in ("p50", "p99"))
    words = f"{spaced(middle(samples, 'per_second'))}; {times} ms"
    stalled = sum(sample["stalled"] for sample in samples)
    failed = sum(sample["refused"] + sample["broken"] for sample in samples)
    if stalled:
        words = f"stalled in {stalled} of {len(samples)} rounds"
    return f"{words}; {spaced(failed)} failed" if failed else words


def _processes(sections: Mapping[str, Samples], titles: Mapping[str, str]) -> str:
    starts, operations = sections.get("start"), sections.get("operations")
    if not starts and not operations:
        return ""
    rows = []
    for name, title in titles.items():
        start = f"{middle(starts, 'start', contender=name):.2f}" if starts else ""
        resident = ""
        if operations:
            last = middle(operations, "resident", contender=name, operation="post")
            resident = f"{last:.0f}"
        rows.append([title, start, resident])
    head = ["", "seconds to the first answer", "MB resident after the operations"]
    return f"### Start and memory\n\n{table(head, rows)}"


def _alone(sections: Mapping[str, Samples]) -> str:
    """The sections about Byline alone, one line for each case."""
    rows = []
    for section, (what, values) in _CASES.items():
        samples = sections.get(section, [])
        for case in dict.fromkeys(sample["case"] for sample in samples):
            figures = [
                words.format(spaced(middle(samples, value, case=case))) for value, words in values
            ]
            rows.append([what, case, ", ".join(figures)])
    return f"### Byline by itself\n\n{table(['', 'case', 'medians'], rows)}" if rows else ""


_RATE = ("per_second", "{} requests per second")
_CASES = {
    "logins": ("reads", [_RATE, ("logins", "{} logins per second")]),
    "depth": ("a page of 20, one connection", [_RATE, ("cpu", "{} us of CPU each")]),
    "workers": ("reads, load on the same two cores", [_RATE]),
    "export": ("an export", [("posts", "{} posts"), ("peak", "{} MB at most")]),
    "unread": ("pages of 20 by two threads; ten unread exports", [_RATE]),
}
_PATHS = {
    "embedded": ("The embedded path: SQLite in one process", _embedded),
    "production": ("The production path: PostgreSQL, Valkey and several workers", production),
}
