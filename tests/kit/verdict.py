"""A pytest plugin that validates the recorded traffic at the end of a run: if it breaks the
specification, the run fails, even if all tests pass. Each pytest-xdist worker validates its own."""

from __future__ import annotations

from typing import Any

import pytest

from service.specification import specification
from tests.kit.drift import Judge, documented
from tests.kit.traffic import SUITE

_KEY = "traffic"  # in the data that a worker sends when it ends


class Verdict:
    """The findings about all traffic of the run, from all processes."""

    def __init__(self) -> None:
        self._exchanges = 0
        self._answered: set[tuple[str, int]] = set()
        self.drift: list[str] = []

    def add(self, exchanges: int, answered: list[tuple[str, int]], drift: list[str]) -> None:
        self._exchanges += exchanges
        self._answered |= {(name, status) for name, status in answered}
        self.drift += drift

    def lines(self, *, is_whole: bool) -> list[str]:
        """A summary; unseen answers are only reported if all tests have run."""
        if not self._exchanges:
            return []
        unseen = sorted(documented(specification.document) - self._answered)
        known = len(self._answered)
        summary = (
            f"{self._exchanges} recorded exchanges read by openapi-core; "
            f"{known} of {known + len(unseen)} documented answers seen"
        )
        if unseen and is_whole:
            summary += ", all but " + ", ".join(f"{name} {status}" for name, status in unseen)
        return [*self.drift, summary]


_VERDICT = pytest.StashKey[Verdict]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_VERDICT] = Verdict()


def pytest_sessionfinish(session: pytest.Session) -> None:
    verdict = session.config.stash[_VERDICT]
    found = _found()
    if found and hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_KEY] = found
    elif found:
        verdict.add(*found)
    if verdict.drift and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if found := getattr(node, "workeroutput", {}).get(_KEY):
        node.config.stash[_VERDICT].add(*found)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    verdict = config.stash[_VERDICT]
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if lines := verdict.lines(is_whole=is_whole):
        terminalreporter.section("traffic", red=bool(verdict.drift))
        for line in lines:
            terminalreporter.line(line)


def _found() -> tuple[int, list[tuple[str, int]], list[str]] | None:
    """The findings of this process, for `Verdict.add`, in a form that pytest-xdist can send."""
    if not SUITE.exchanges:
        return None
    judge = Judge(specification.document)
    drift = judge.drift(SUITE.exchanges)
    return len(SUITE.exchanges), sorted(judge.answered), drift
