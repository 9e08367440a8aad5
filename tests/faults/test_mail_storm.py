"""Resets before the mail server: no request waits, and no mail is lost or needlessly repeated."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from service.mail import delivery
from tests.delivery.test_smtp_faults import LOGIN, STEPS
from tests.kit.mailer import Mailer, fresh, opened
from tests.kit.middlebox import Fault, Middlebox
from tests.kit.processes import seconds
from tests.kit.smtp import MailServer, mail_server, until

STORM = seconds("STORM", 20)
NUMBER = 10  # mails before the storm, for the usual time of a request
END_OF_DATA = STEPS["end of data"]


def test_resets_before_the_mail_server_lose_no_mail_and_delay_no_request(
    tmp_path: Path, database: str, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(f"{STORM} s of a middlebox before the mail server that forgets, delays, refuses, cuts")
    monkeypatch.setattr(delivery, "SMTP_TIMEOUT_SECONDS", 2.0)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with mail_server() as post, Middlebox(post.port) as box:
        url = f"smtp://{LOGIN}127.0.0.1:{box.port}?starttls=false"
        with opened(tmp_path, database_url=database, smtp_url=url) as mailer:
            usual = [registered(mailer)[1] for _ in range(NUMBER)]
            mails, doubtful = stormed(mailer, box, chance)
            calm(box)
            until(lambda: make_due(mailer, mails) or arrived(post, mails))
            deferred = mailer.count("deferred")
    copies = sum(len(post.to(address)) for address in mails) - len(mails)
    doubtful += box.forgotten
    taken = list(mails.values())
    report(
        requests=len(mails) + NUMBER,
        acknowledged=len(mails) + NUMBER,
        lost=0,
        longest=f"{max(taken):.1f}",
        more=f"seed {seed}, {deferred} tries in vain, {copies} copies of {doubtful} possible",
    )
    assert deferred > 0
    assert copies <= doubtful
    assert statistics.median(taken) < 2 * statistics.median(usual) + 0.2  # as in test_mail_server


def stormed(mailer: Mailer, box: Middlebox, chance: random.Random) -> tuple[dict[str, float], int]:
    """The addresses that were registered meanwhile, with the seconds that this took, and how often
    the mail server may have taken a mail without Byline's knowing."""
    mails: dict[str, float] = {}
    doubtful, end = 0, time.monotonic() + STORM
    while time.monotonic() < end:
        doubtful += trouble(box, chance)
        mails |= [registered(mailer) for _ in range(chance.randrange(1, 4))]
        time.sleep(chance.uniform(0, 0.5))  # so that the trouble hits each step of a delivery
        calm(box)
        make_due(mailer, mails)
    return mails, doubtful


def trouble(box: Middlebox, chance: random.Random) -> bool:
    """Begin with one; whether it may hide from Byline that a mail was taken."""
    kind = chance.randrange(8)
    if kind == 0:
        box.delay = chance.uniform(0.05, 2.5)  # the longer ones are beyond Byline's patience
    elif kind == 1:
        box.refuses = True
    elif kind == 2:
        box.cut()
    elif kind == 3:
        box.forgets_after = 0.05
    else:
        how, passed_on = chance.choice(["reset", "silence", "refusal"]), chance.choice([0, 0.5, 1])
        at = chance.choice([*STEPS.values(), *[END_OF_DATA] * len(STEPS)])
        box.fault = Fault(at, how, passed_on)
        return at == END_OF_DATA and passed_on == 1
    return kind in {0, 2}


def calm(box: Middlebox) -> None:
    box.forgets_after, box.delay, box.refuses, box.fault = 1e9, 0.0, False, None


def registered(mailer: Mailer) -> tuple[str, float]:
    address, start = fresh(), time.monotonic()
    mailer.register(address)
    return address, time.monotonic() - start


def make_due(mailer: Mailer, mails: dict[str, float]) -> None:
    """Have what waits be tried again now and not in a minute."""
    for address in mails:
        mailer.make_due(address)


def arrived(post: MailServer, mails: dict[str, float]) -> bool:
    return all(post.to(address) for address in mails)
