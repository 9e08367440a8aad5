"""What is measured: every metric, what it says, and its labels, none of which is personal."""

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


def _counter(text: str, **labels: tuple[str, ...]) -> Measure:
    return Measure("counter", text, labels)


def _gauge(text: str, *, highest: bool = False, **labels: tuple[str, ...]) -> Measure:
    return Measure("gauge", text, labels, highest)


ANY: tuple[str, ...] = ()
OUTCOMES = ("allowed", "refused")
MEASURES = {
    "byline_requests_total": _counter("Requests answered", operation=ANY, status=ANY),
    "byline_request_seconds": Measure("histogram", "Time to answer", {"operation": ANY}),
    "byline_requests_in_flight": _gauge("Requests being answered"),
    "byline_pool_threads": _gauge("Threads that were started", pool=ANY),
    "byline_pool_threads_busy": _gauge("Threads that run something", pool=ANY),
    "byline_pool_waiting": _gauge("Requests that wait for a thread", pool=ANY),
    "byline_pool_pending": _gauge("Requests that wait or run", pool=ANY),
    "byline_pool_capacity": _gauge("Requests that may wait or run", pool=ANY),
    "byline_pool_refusals_total": _counter("Requests refused for want of a thread", pool=ANY),
    "byline_database_connections": _gauge("Connections that the pool may have"),
    "byline_database_connections_in_use": _gauge("Connections that are in use"),
    "byline_replica_lag_seconds": _gauge("How far the replica is behind", highest=True),
    "byline_replica_reads_total": _counter(
        "Reads that the replica may answer, by the database that did",
        outcome=("replica", "primary", "failed"),
    ),
    "byline_limiter_decisions_total": _counter(
        "Requests that a limit was asked about",
        policy=ANY,
        outcome=OUTCOMES,
    ),
    "byline_limiter_store_failures_total": _counter(
        "Times that the rate limits' store did not answer"
    ),
    "byline_limiter_fallback": _gauge(
        "Processes that count for themselves because the store is away"
    ),
    "byline_logins_total": _counter(
        "Logins; those with too many wrong passwords before them are refused",
        outcome=("succeeded", "failed", "refused"),
    ),
    "byline_token_reuses_total": _counter("Sessions ended because a refresh token was used again"),
    "byline_mails_total": _counter(
        "Tries to hand over a mail; one that nobody is to get counts as sent",
        outcome=("sent", "deferred", "dropped"),
    ),
    "byline_mails_waiting": _gauge("Mails in the outbox, or 10000 if there are more", highest=True),
    "byline_mails_oldest_seconds": _gauge("Age of the oldest mail in the outbox", highest=True),
    "byline_unsent_bytes": _gauge("Bytes of answers that clients have not taken yet"),
    "byline_unread_connections_closed_total": _counter(
        "Connections closed because their clients did not read the answers"
    ),
    "byline_log_lines_dropped_total": _counter("Log lines that nobody read in time"),
    "byline_deletions_waiting": _gauge(
        "Deleted accounts whose rows are not all removed", highest=True
    ),
    "byline_deletions_oldest_seconds": _gauge(
        "Time since the first of them was deleted", highest=True
    ),
    "byline_build_info": _gauge("The version that runs", highest=True, version=ANY),
    "byline_processes": _gauge("Processes that serve"),
    "process_cpu_seconds_total": _counter("CPU time of all processes"),
    "process_resident_memory_bytes": _gauge("Resident memory of all processes"),
    "process_open_fds": _gauge("Open file descriptors of all processes"),
    "process_max_fds": _gauge("Limit of the file descriptors of all processes"),
    "process_threads": _gauge("Python threads of all processes"),
}
