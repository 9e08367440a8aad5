"""The metrics for Prometheus, added up over all processes that share METRICS_DIR.

Replaces prometheus_client's own counters, whose locks and labels cost 8 us a request; what a scrape
gets is made of the numbers when it comes.
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import accumulate, product
from pathlib import Path

import flask
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric

from service.engine.database.transaction import after_commit
from service.engine.observe.catalogue import MEASURES, PROCESS, Measure
from service.engine.observe.shared_counters import CounterKey, Numbers

SHARE_INTERVAL_SECONDS = 1.0  # between two copies of local numbers to the shared file
READINGS_TIMEOUT_SECONDS = 0.2  # a scrape waits this long for the database
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BOUNDS = [*map(str, map(float, _BUCKETS)), "+Inf"]
_PLACES = [*_BOUNDS, "sum"]

Readings = dict[CounterKey, float]


class Metrics:
    """The metrics of one application: those of any, and its own `measures` by name.

    In a scrape their names begin with `prefix`, the name of the service. `in_flight` are the
    requests being answered.
    """

    def __init__(
        self,
        prefix: str,
        version: str = "",
        measures: Mapping[str, Measure] | None = None,
    ) -> None:
        self.in_flight = 0
        self._prefix = prefix
        self._measures = MEASURES | dict(measures or {}) | PROCESS
        self._numbers = Numbers()
        self._add = self._numbers.add
        self._answers: dict[tuple[str, int], tuple[int, list[int]]] = {}
        self._questions: list[Callable[[], Readings]] = [self._of_process]
        self._slow: list[_Aside] = []
        self._seen: Readings = {}
        self._looking = threading.Lock()
        self._process = ProcessCollector(registry=None)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._version = version
        for key in _known_keys(self._measures):
            self._numbers.add(key, 0)

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer; on the event loop only."""
        slots = self._answers.get((operation, status))
        if slots is None:
            slots = self._answers[operation, status] = self._new(operation, status)
        count, places = slots
        values = self._numbers.values
        values[count] += 1
        values[places[bisect_left(_BUCKETS, seconds)]] += 1
        values[places[-1]] += seconds

    def count(self, *name_and_labels: str) -> None:
        """Count an event, in any thread; labels as in its Measure."""
        self._add(name_and_labels, 1)

    def expect(self, *name_and_labels: str) -> None:
        """Show a counter from now on, starting at 0."""
        self._add(name_and_labels, 0)

    def gauge(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, in any thread."""
        self._numbers.set((name, *labels), value)

    def ask(self, question: Callable[[], Readings], *, aside: bool = False) -> None:
        """Register a function that returns gauges, and counters since the start.

        If it may hang or fail, pass `aside`: then it is called at a scrape only, in a thread of its
        own, for which the scrape does not wait.
        """
        if aside:
            self._slow.append(_Aside(question))
        else:
            self._questions.append(question)

    @asynccontextmanager
    async def shared(self, folder: Path | None) -> AsyncIterator[None]:
        """Count together with the other processes that have this folder, if there is one."""
        if folder is None:
            yield
            return
        self._numbers.share(folder, lasts=lambda key: not self._is_gauge(key))
        self._answers.clear()
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            self._numbers.close()

    def collect(self) -> Iterator[Metric]:
        """The metrics of a scrape; prometheus_client calls this."""
        self._look()
        totals = self._totals()
        for aside in self._slow:
            totals.update(aside.ask())
        samples: dict[str, list[tuple[CounterKey, float]]] = defaultdict(list)
        for (name, *labels), value in sorted(totals.items()):
            samples[name].append((tuple(labels), value))
        for name, measure in self._measures.items():
            shown = name if name in PROCESS else f"{self._prefix}_{name}"
            if measure.is_histogram:
                yield _histogram(shown, measure, samples[name])
                continue
            metric = Metric(shown.removesuffix("_total"), measure.help, measure.type)
            for values, value in samples[name]:
                metric.add_sample(shown, dict(zip(measure.labels, values, strict=True)), value)
            yield metric

    def text(self) -> bytes:
        """All metrics in the Prometheus text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _new(self, operation: str, status: int) -> tuple[int, list[int]]:
        slot = self._numbers.slot
        places = [slot(("request_seconds", operation, place)) for place in _PLACES]
        return slot(("requests_total", operation, str(status))), places

    async def _tell(self) -> None:
        while True:
            with suppress(Exception):  # a scrape will say what it is
                self._look()
            await asyncio.sleep(SHARE_INTERVAL_SECONDS)

    def _look(self) -> None:
        """Read every gauge, and every counter that is not counted as it happens."""
        with self._looking:
            for question in self._questions:
                for key, value in question().items():
                    if self._is_gauge(key):
                        self._numbers.set(key, value)
                    else:
                        self._numbers.add(key, value - self._seen.get(key, 0))
                        self._seen[key] = value

    def _of_process(self) -> Readings:
        readings: Readings = {
            ("requests_in_flight",): self.in_flight,
            ("build_info", self._version): 1,
            ("processes",): 1,
            ("process_threads",): threading.active_count(),
        }
        for metric in self._process.collect():
            for sample in metric.samples:
                if sample.name in PROCESS:
                    readings[sample.name,] = sample.value
        return readings

    def _is_gauge(self, key: CounterKey) -> bool:
        measure = self._measures.get(key[0])
        return measure is not None and measure.type == "gauge"

    def _totals(self) -> Readings:
        totals: Readings = {}
        for lives, numbers in self._numbers.everybodys():
            for key, value in numbers.items():
                measure = self._measures.get(key[0])
                if measure is None or len(key) != 1 + len(measure.labels) + measure.is_histogram:
                    continue  # of another version
                if measure.type == "gauge" and not lives:
                    continue
                before = totals.get(key, 0)
                totals[key] = max(before, value) if measure.highest else before + value
        return totals


def metrics() -> Metrics:
    """The running application's metrics."""
    found: Metrics = flask.current_app.extensions["metrics"]
    return found


def count_on_commit(name: str, *labels: str) -> None:
    """Count an event once the request's transaction is committed."""
    after_commit(partial(metrics().count, name, *labels))


class _Aside:
    """A question that may hang or fail, asked once at a time in a thread of its own."""

    def __init__(self, question: Callable[[], Readings]) -> None:
        self._question = question
        self._lock = threading.Lock()
        self._asked = threading.Thread()
        self._answer: Readings = {}

    def ask(self) -> Readings:
        """The result, if it arrives in time."""
        with self._lock:
            if not self._asked.is_alive():
                self._answer = {}
                self._asked = threading.Thread(target=self._work, name="metrics", daemon=True)
                self._asked.start()
            asked, answer = self._asked, self._answer
        asked.join(READINGS_TIMEOUT_SECONDS)
        return {} if asked.is_alive() else answer

    def _work(self) -> None:
        answer = self._answer
        with suppress(Exception):
            answer.update(self._question())


def _known_keys(measures: Mapping[str, Measure]) -> Iterator[CounterKey]:
    """The counters to show as 0 from the start: Prometheus misses the first increment of one that
    appears later."""
    for name, measure in measures.items():
        if measure.type == "counter" or name == "limiter_fallback":
            for labels in product(*measure.labels.values()):
                yield name, *labels


def _histogram(name: str, measure: Measure, samples: list[tuple[CounterKey, float]]) -> Metric:
    metric = HistogramMetricFamily(name, measure.help, labels=list(measure.labels))
    by_labels: dict[CounterKey, dict[str, float]] = defaultdict(dict)
    for (*labels, place), value in samples:
        by_labels[tuple(labels)][place] = value
    for values, counts in by_labels.items():
        buckets = accumulate(counts.get(bound, 0) for bound in _BOUNDS)
        metric.add_metric(values, list(zip(_BOUNDS, buckets, strict=True)), counts.get("sum", 0))
    return metric
