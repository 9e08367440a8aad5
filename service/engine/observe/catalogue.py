"""The metrics of any service: each name without its prefix, its description, and its labels, none
of them personal."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """A metric. `labels` are names and all their values, or none where those come by themselves;
    of a gauge that is `highest` the processes' values are not added up."""

    type: str
    help: str
    labels: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 # nobody changes it
    highest: bool = False

    @property
    def is_histogram(self) -> bool:
        """Whether its keys have a place more: that of a bucket, or of the sum."""
        return self.type == "histogram"


def counter(text: str, **labels: tuple[str, ...]) -> Measure:
    return Measure("counter", text, labels)


def gauge(text: str, *, highest: bool = False, **labels: tuple[str, ...]) -> Measure:
    return Measure("gauge", text, labels, highest)


ANY: tuple[str, ...] = ()
OUTCOMES = ("allowed", "refused")
MEASURES = {
    "requests_total": counter("Requests answered", operation=ANY, status=ANY),
    "request_seconds": Measure("histogram", "Time to answer", {"operation": ANY}),
    "requests_in_flight": gauge("Requests being answered"),
    "pool_threads": gauge("Threads that were started", pool=ANY),
    "pool_threads_busy": gauge("Threads that run something", pool=ANY),
    "pool_waiting": gauge("Requests that wait for a thread", pool=ANY),
    "pool_pending": gauge("Requests that wait or run", pool=ANY),
    "pool_capacity": gauge("Requests that may wait or run", pool=ANY),
    "pool_refusals_total": counter("Requests refused because no thread was free", pool=ANY),
    "database_connections": gauge("Connections that the pool may have"),
    "database_connections_in_use": gauge("Connections that are in use"),
    "replica_lag_seconds": gauge("How far the replica is behind", highest=True),
    "replica_reads_total": counter(
        "Reads that the replica may answer, by the database that answered",
        outcome=("replica", "primary", "failed"),
    ),
    "limiter_decisions_total": counter(
        "Requests checked against a limit",
        policy=ANY,
        outcome=OUTCOMES,
    ),
    "limiter_store_failures_total": counter("Calls that the rate limits' store did not answer"),
    "limiter_fallback": gauge("Processes that count for themselves because the store is down"),
    "unsent_bytes": gauge("Bytes of answers that clients have not taken yet"),
    "unread_connections_closed_total": counter(
        "Connections closed because their clients did not read the answers"
    ),
    "log_lines_dropped_total": counter("Log lines dropped because they were not read in time"),
    "build_info": gauge("The running version", highest=True, version=ANY),
    "processes": gauge("Processes that serve"),
}
# Under these names without a prefix, as every client library has them.
PROCESS = {
    "process_cpu_seconds_total": counter("CPU time of all processes"),
    "process_resident_memory_bytes": gauge("Resident memory of all processes"),
    "process_open_fds": gauge("Open file descriptors of all processes"),
    "process_max_fds": gauge("Limit of the file descriptors of all processes"),
    "process_threads": gauge("Python threads of all processes"),
}
