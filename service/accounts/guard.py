"""The guard limits guesses at the password of an account and at its codes, over all processes.

It counts in the database, exactly, and before anything is compared. The rules are in
`domain/guard.py`, their numbers under `x-guard` in the specification.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

import flask
from limits import parse

from service.accounts.audit import record
from service.domain.guard import Failure, History, Limit, Rules
from service.engine.database.transaction import db
from service.engine.http.networks import PROVIDER_BLOCK, network
from service.engine.ids import NOBODY, rfc3339
from service.engine.observe.catalogue import OUTCOMES
from service.engine.observe.metrics import Metrics
from service.engine.problems import Problem, RateLimited
from service.engine.request import current_request
from service.mail import outbox
from service.models import KnownNetwork, SignInGuard, UserAddress, mails
from service.specification import specification

KNOWN_FOR = timedelta(days=90)  # after a sign-in from a network


class Subject(NamedTuple):
    """The target of a guess: the password of an account (or of an address without one), its second
    factor, or one of its sessions. `account` is its key in the table.

    Failures at the second factor have a history of their own, and so do the networks from which
    somebody has sent a right one: whoever knows the password, or reads the mails, must not be able
    to clear them.
    """

    account: str
    user_id: str | None
    address: str
    is_session: bool = False
    is_factor: bool = False

    @property
    def network(self) -> str:
        """The client's network, as `known_networks` has it."""
        return f"2 {_network()}" if self.is_factor else _network()


class Guard:
    """Counts failed attempts at the passwords of accounts."""

    def __init__(
        self,
        app: flask.Flask,
        fingerprints: Callable[[bytes], list[str]],
        *,
        enabled: bool,
        overrides: Mapping[str, str],
        metrics: Metrics,
    ) -> None:
        """`fingerprints` returns keyed hashes, of which the last is the one to store."""
        self.enabled = enabled
        self._fingerprints = fingerprints
        declared = specification.guards
        limits = {name: parse(overrides.get(name, one["limit"])) for name, one in declared.items()}
        account, strangers, confirm = (
            Limit(limits[name].amount, limits[name].get_expiry())
            for name in ("account", "strangers", "confirm")
        )
        in_a_row = declared["strangers"]["in-a-row"]
        self.sign_in_rules = Rules(account, strangers, in_a_row)
        self.session_rules = Rules(confirm, confirm, in_a_row)
        self._metrics = metrics
        for name in declared:
            for outcome in OUTCOMES:
                metrics.expect("limiter_decisions_total", name, outcome)
        app.extensions["guard"] = self

    def sign_in(self, user_id: str | None, address: str) -> Attempt:
        """Count an attempt to sign in to the account of a user, or with an unknown address; raises
        `RateLimited` if it must not be made."""
        return self._begun(self._subject(user_id, address))

    def second_factor(self, user_id: str) -> Attempt:
        """Count an attempt at a code of a user who has proved the password, or has a session;
        raises `RateLimited`."""
        return self._begun(self._factor(user_id))

    def confirmation(self, session_id: str, user_id: str) -> Attempt:
        """Count an attempt at the current password against its session only; raises
        `RateLimited`."""
        key = self._key(f"session {session_id}")
        return self._begun(Subject(key, user_id, "", is_session=True))

    def confirmation_by_code(self, session_id: str, user_id: str) -> Attempt:
        """The same for a code, counted apart: a right password does not clear wrong codes."""
        key = self._key(f"codes of session {session_id}")
        return self._begun(Subject(key, user_id, "", is_session=True, is_factor=True))

    def remember_network(self, user_id: str) -> bool:
        """Remember the network of this request as known, after a sign-in; in the request's
        transaction, which has locked the user. False if it was known."""
        return self.enabled and self._remember(self._subject(user_id, ""))

    def remember_factor(self, user_id: str) -> None:
        """Remember the network of this request as one from which a right code came; as above."""
        if self.enabled:
            self._remember(self._factor(user_id))

    def recover(self, user_id: str) -> None:
        """Clear the failures of an account whose owner has used a mailed link, and remember their
        network: otherwise strangers could block the account again before the owner has signed
        in."""
        if self.enabled:
            SignInGuard.forget(self._subject(user_id, "").account)
            self.remember_network(user_id)

    def _remember(self, subject: Subject) -> bool:
        until = rfc3339(datetime.now(UTC) + KNOWN_FOR)
        return KnownNetwork.add(str(subject.user_id), subject.network, until)

    def _factor(self, user_id: str) -> Subject:
        return Subject(self._key(f"factor {user_id}"), user_id, "", is_factor=True)

    def _subject(self, user_id: str | None, address: str) -> Subject:
        key = self._key(f"user {user_id}" if user_id else f"address {address}")
        return Subject(key, user_id, address)

    def _key(self, name: str) -> str:
        return self._fingerprints(f"guard {name}".encode())[-1]

    def _begun(self, subject: Subject) -> Attempt:
        attempt = Attempt(self, subject)
        if self.enabled:
            attempt.begin()
        return attempt

    def note(self, policy: str, limit: Limit, left: int, reset: float, *, refused: bool) -> None:
        """Put the remaining attempts into the answer's headers, and count the decision."""
        seconds = max(1, math.ceil(reset))
        request = current_request.get()
        item = f'"{policy}";q={limit.amount};w={limit.seconds}'
        request.limits.append((item, f'"{policy}";r={left};t={seconds}'))
        self._metrics.count("limiter_decisions_total", policy, OUTCOMES[refused])


class Attempt:
    """One attempt at a password or a code, which the block of the context manager compares.

    If the block ends without an exception, it was correct and the failures are cleared. If it
    raises a refusal, the attempt stays counted. After any other error it is uncounted, because
    nothing was compared.
    """

    def __init__(self, guard: Guard, subject: Subject) -> None:
        self._guard = guard
        self._subject = subject
        self._rules = guard.session_rules if subject.is_session else guard.sign_in_rules
        self._failure = Failure(0, "", False)

    def begin(self) -> None:
        """Count the attempt; raises `RateLimited`, after which it must not be made."""
        subject, moment = self._subject, round(time.time(), 3)
        with db.transaction() as transaction:
            history = self._locked()
            own = "" if subject.is_session else subject.network
            known = subject.is_session or KnownNetwork.has(
                subject.user_id or NOBODY, own, self._rules.in_a_row
            )
            self._failure = Failure(moment, own, not known)
            refusal = history.refusal(self._rules, self._failure)
            if refusal is None:
                history.add(self._rules, self._failure)
                self._count_known(1)
                self._keep(history)
            elif history.must_tell(moment):
                self._tell()
                self._keep(history)
            SignInGuard.sweep()
            transaction.commit()
        policy = "confirm" if subject.is_session else "account"
        if refusal is None:
            left, reset = history.left(self._rules, self._failure)
            self._guard.note(policy, self._rules.network, left, reset, refused=False)
            return
        limit = self._rules.strangers if refusal.by_strangers else self._rules.network
        policy = "strangers" if refusal.by_strangers else policy
        self._guard.note(policy, limit, 0, refusal.wait, refused=True)
        raise RateLimited(retry_after=max(1, math.ceil(refusal.wait)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._guard.enabled:
            return
        if error is None:
            self._change(lambda history: history.succeed(self._failure.network), known=-1)
        elif not isinstance(error, Problem) or error.status >= 500:
            with suppress(Exception):  # report the original error, not a failure to uncount
                self._change(lambda history: history.take_back(self._failure), known=-1)

    def _change(self, change: Callable[[History], None], *, known: int) -> None:
        """Change the history in a transaction of its own."""
        with db.transaction() as transaction:
            history = self._locked()
            change(history)
            self._keep(history)
            self._count_known(known)
            transaction.commit()

    def _locked(self) -> History:
        return History.loads(SignInGuard.lock(self._subject.account) or "{}")

    def _keep(self, history: History) -> None:
        until = history.expires_at(self._rules)
        if until <= time.time():
            SignInGuard.forget(self._subject.account)
        else:
            end = rfc3339(datetime.fromtimestamp(until, UTC))
            SignInGuard.keep(self._subject.account, history.dumps(), end)

    def _count_known(self, more: int) -> None:
        """Count in the row of a known network. Unknown networks and addresses have no such row, but
        run the same statements, so that their answers take the same time."""
        if not self._subject.is_session:
            KnownNetwork.count(self._subject.user_id or NOBODY, self._failure.network, more)

    def _tell(self) -> None:
        """Record the first refusal of a day, and mail it to the owner's verified address. Without
        one the same statements run, so that the time reveals nothing."""
        user_id = self._subject.user_id
        kind = mails.SECOND_FACTOR_FAILED if self._subject.is_factor else mails.SIGN_IN_BLOCKED
        record("sign-in-blocked", user_id)
        if recipient := UserAddress.verified(user_id):
            outbox.put(kind, recipient, user_id)
        elif self._subject.address:
            outbox.put(mails.SIGN_IN_BLOCKED, self._subject.address, None)  # is never sent


def guard() -> Guard:
    """The running application's guard."""
    found: Guard = flask.current_app.extensions["guard"]
    return found


def _network() -> str:
    request = current_request.get()
    return network(request.ip, PROVIDER_BLOCK)
