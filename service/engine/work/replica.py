"""Public reads on a replica while it keeps up, except for callers that have just written."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import flask
import sqlalchemy as sa

from service.engine.database.transaction import REPLICA, Transaction, db
from service.engine.http.networks import network
from service.engine.limits.limits import Limits
from service.engine.observe.metrics import Metrics, Readings
from service.engine.problems import InvalidToken, NotFound, Unauthorized, Unavailable
from service.engine.request import Request
from service.engine.tokens.authority import Authority
from service.engine.tokens.tokens import ACCESS, PERSONAL
from service.engine.work.retrying import transact

logger = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 1.0  # between two comparisons of the replica with the database
MAX_LAG_SECONDS = 5.0  # a replica further behind is not read
STOP_TIMEOUT_SECONDS = 10.0  # a stop waits this long for the check in progress
READ_OWN_WRITES_SECONDS = 10  # a caller that has written reads the primary for at least this long


class Replica:
    """The database of DATABASE_REPLICA_URL.

    A thread notes the position of the database's log with the time, and checks when the replica has
    replayed up to it: then nothing older than that time is missing. MAX_LAG_SECONDS is well below
    READ_OWN_WRITES_SECONDS, so a caller who is sent to the replica finds their own writes there.
    """

    def __init__(
        self, app: flask.Flask, authority: Authority, limits: Limits, metrics: Metrics
    ) -> None:
        self._app = app
        self._authority = authority
        self._limits = limits
        self._metrics = metrics
        self._replica_works = False
        self._fresh_at = -math.inf  # until the thread has seen the replica catch up
        self._positions: deque[tuple[float, str]] = deque(maxlen=600)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="replica", daemon=True)
        metrics.ask(self._readings)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(STOP_TIMEOUT_SECONDS)

    def wrote(self, request: Request) -> None:
        """Remember who has written: the network, the user, and the personal token if it was one."""
        names = {network(request.ip)}
        if request.claims:
            names |= {request.claims.holder, request.claims.subject}
        for name in names:
            self._limits.remember(f"wrote:{name}", READ_OWN_WRITES_SECONDS)

    def read(self, request: Request, work: Callable[[Transaction], Any]) -> Any:
        """What `work` reads: on the replica if it may answer this request, else on the primary."""
        if self._keeps_up() and not self._has_written(request):
            try:
                answer = transact(work, writes=False, replica=True, tries=1)
                self._count("replica")
                return answer
            except NotFound:  # it may not have arrived on the replica yet
                self._count("primary")
            except Unavailable as refusal:
                if refusal.is_slow:  # the primary would be no quicker
                    raise
                self._replica_works = False  # until the thread has checked it
                self._count("failed")
        else:
            self._count("primary")
        return transact(work, writes=False)

    def _count(self, outcome: str) -> None:
        self._metrics.count("replica_reads_total", outcome)

    def _keeps_up(self) -> bool:
        return self._replica_works and time.monotonic() - self._fresh_at < MAX_LAG_SECONDS

    def _has_written(self, request: Request) -> bool:
        return self._limits.remembers(f"wrote:{self._who(request)}", READ_OWN_WRITES_SECONDS)

    def _who(self, request: Request) -> str:
        """The user or the personal token, if the request carries a token, which is optional here;
        else the network."""
        try:
            return self._authority.authenticate(request, (ACCESS, PERSONAL)).holder
        except (Unauthorized, InvalidToken):
            return network(request.ip)

    def _watch(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL_SECONDS):
            with self._app.app_context():
                try:
                    self._look()
                except Exception as error:  # whatever it is: the primary is read instead
                    if self._replica_works:
                        logger.warning("replica: %s", type(error).__name__)
                    self._replica_works = False

    def _look(self) -> None:
        position = partial(_ask, "SELECT pg_current_wal_insert_lsn()::text")
        self._positions.append((time.monotonic(), position(replica=False)))
        while self._positions:
            passed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
            if not _ask(passed, self._positions[0][1], replica=True):
                if not _ask("SELECT pg_is_in_recovery()", replica=True):
                    _leave(db.engines[REPLICA])  # it was promoted: another may be the standby now
                break
            self._fresh_at, _ = self._positions.popleft()
        self._replica_works = True

    def _readings(self) -> Readings:
        return {("replica_lag_seconds",): time.monotonic() - self._fresh_at}


def _leave(engine: sa.Engine) -> None:
    from service.engine.database import postgresql  # imports psycopg, which only PostgreSQL needs

    postgresql.hosts(engine).leave()


def _ask(sql: str, *parameters: str, replica: bool) -> Any:
    with db.transaction(writes=False, replica=replica) as transaction:
        [answer] = transaction.execute(sql, parameters).fetchone()
    return answer
