"""Has people with marked secrets tour two servers on one database, and gathers what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.specification import specification
from tests.kit import postgres
from tests.kit.authenticator import Authenticator
from tests.kit.commands import run, serving
from tests.kit.smtp import mail_server, until
from tests.privacy import factors, mishaps, passkeys, programs, unvisited, visits
from tests.privacy.marks import Marks, Secret
from tests.privacy.tour import OPERATIONS, PARAMETERS, Heard, Tour, Visitor

# Those of mails are given below, or are to be met; a session has no other that it could meet.
ELSEWHERE = {"client", "mail", "mail-total", "repeat"}
ROOMY = ",".join(
    f"{policy}={';'.join(['9999 per hour'] * number)}"
    for policy, number in specification.policies.items()
    if policy not in ELSEWHERE
)
FIRST = {
    "LOG_FORMAT": "json",
    "RATE_LIMIT_CLIENT": "99999 per hour",
    "RATE_LIMITS": f"{ROOMY},mail=999 per hour;9999 per hour",
}
SECOND = {"LOG_FORMAT": "text", "RATE_LIMITS": "account=3 per hour"}
URLS: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/byline.db",
    "postgresql": lambda _: postgres.start(),
}

Rows = list[dict[str, bytes]]


@dataclass
class Evidence:
    """What came out, and the people it is about; the tables `before` cora's account is deleted and
    `after`."""

    folder: Path
    marks: Marks
    heard: list[Heard]
    people: dict[str, Visitor] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    before: dict[str, Rows] = field(default_factory=dict)
    after: dict[str, Rows] = field(default_factory=dict)

    @cached_property
    def told(self) -> list[tuple[Heard, Secret]]:
        """Each secret in each answer."""
        return [(heard, secret) for heard in self.heard for secret in self.marks.found(heard.data)]


def gather(folder: Path, database: str) -> Evidence:
    """The evidence of a tour; its keys and mails are in the folder."""
    marks = Marks()
    tour = Tour(marks, folder)
    evidence = Evidence(folder, marks, tour.heard)
    url = sa.make_url(URLS[database](folder))
    url = url.set(password=url.password or marks.word("setting", "database"))
    settings = {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "JWT_KEYS_DIR": "keys",
        "MAIL_DIR": "mail",
        "METRICS_TOKEN": marks.word("setting", "metrics"),
        "LOG_LEVEL": "DEBUG",
    }
    assert run(folder, "keys", "generate", **settings).returncode == 0
    [key] = (path.read_text() for path in (folder / "keys").glob("*.pem"))
    marks.keep("setting", "key", key, key.splitlines()[1])
    engine = sa.create_engine(settings["DATABASE_URL"])
    with serving(folder, **settings, **FIRST) as address, tour.at(address):
        _first_tour(tour, evidence, engine, settings["METRICS_TOKEN"])
    evidence.logs["json"] = (folder / "serve.log").read_bytes()
    password = marks.word("setting", "sender")
    with mail_server() as server:
        address = f"127.0.0.1:{server.port}"
        settings["SMTP_URL"] = f"smtp://sender:{password}@{address}?starttls=false"
        settings["PUBLIC_URL"] = "https://byline.example"
        settings["JWT_PRIVATE_KEY"] = key
        with serving(folder, **settings, **SECOND) as address, tour.at(address):
            mishaps.undeliverable(tour, server, password)
            _second_tour(tour, evidence, engine, settings["METRICS_TOKEN"])
    settings |= {"HOST": "0.0.0.0", "METRICS_TOKEN": "", "USER_QUOTA": "1"}
    with serving(folder, **settings, **FIRST) as address, tour.at(address):
        tour("get_metrics", tour.visitor("stranger"))
        anna = tour.sign_in(evidence.people["anna"])
        visits.filling_the_quota(tour, anna)  # posts
        unvisited.call(tour, unvisited.UNVISITED, (anna,))
    evidence.logs["text"] = (folder / "serve.log").read_bytes()
    evidence.mails += [path.read_bytes() for path in (folder / "mail").glob("*.eml")]
    evidence.mails += [mail.content for mail in server.taken]
    engine.dispose()
    return evidence


def everything(tour: Tour, engine: sa.Engine, metrics_token: str) -> dict[str, Visitor]:
    """Every operation and each of its refusals, but for the end of accounts; the people of it."""
    anna = tour.visitor("anna")
    visits.signing_in(tour, anna)
    ben, ada, cora = tour.sign_up("ben"), tour.sign_up("ada"), tour.visitor("cora")
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE users SET role = 'admin' WHERE id = '{ada.id}'")
    factors.using_factors(tour, anna, ada)
    passkeys.using_passkeys(tour, anna)
    passkeys.completing(tour, anna)
    passkeys.keeping_passkeys(tour, anna, ben)
    lena = tour.sign_up("lena")
    passkeys.added(tour, lena, Authenticator(tour.page))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE users SET password_hash = '' WHERE id = '{lena.id}'")
    passkeys.without_a_password(tour, lena)
    visits.reading_mails(tour, anna, ben)
    visits.meeting(tour, anna, ben, ada)
    visits.writing(tour, anna, ben)  # posts
    visits.coming(tour, ben, ada, cora)
    programs.calling(tour, anna)
    visits.looking_around(tour, anna, metrics_token)
    unvisited.call(tour, unvisited.UNVISITED, (ben, anna, ada))
    return {visitor.name: visitor for visitor in (anna, ben, ada, cora)}


def _first_tour(tour: Tour, evidence: Evidence, engine: sa.Engine, metrics_token: str) -> None:
    """Everything there is, with every limit out of the way, and then what goes wrong."""
    evidence.people = everything(tour, engine, metrics_token)
    anna, ben, ada, cora = (evidence.people[name] for name in ("anna", "ben", "ada", "cora"))
    mishaps.malformed(tour, anna)
    for visitor in (anna, ada):
        mishaps.misplaced(tour, visitor)
    for fault in mishaps.faults():
        with mishaps.broken(engine, fault):
            visits.a_day(tour, anna, ada)
    visits.while_not_ready(tour, anna, mishaps.without_schema(engine))
    with mishaps.left_alone(engine):
        visits.a_day(tour, anna, ada)
    for visitor in (anna, ada, cora):
        tour.sign_in(visitor)
    passkeys.added(tour, cora, Authenticator(tour.page))  # from now on her password is not enough
    until(lambda: not _rows(engine, "mails WHERE user_id IS NULL"))
    evidence.before = _tables(engine)
    visits.going(tour, ben, ada, cora)
    until(lambda: not _rows(engine, "deletions"))
    evidence.after = _tables(engine)
    tour("get_metrics", anna, bearer=metrics_token)


def _second_tour(tour: Tour, evidence: Evidence, engine: sa.Engine, metrics_token: str) -> None:
    """Crashes in a log for people, and every limit used up."""
    anna, ada, stranger = evidence.people["anna"], evidence.people["ada"], tour.visitor("stranger")
    for fault in islice(mishaps.faults(), 0, None, len(mishaps.AWAY)):
        with mishaps.broken(engine, fault):
            visits.a_day(tour, anna, ada)
    for _ in range(4):
        tour("login", stranger, json=stranger.credentials)
    while tour("get_home", anna).status_code != 429:
        pass
    for operation, (_, _, declared) in OPERATIONS.items():
        ids = dict.fromkeys(PARAMETERS[operation], anna.id)
        body = {"json": anna.credentials} if "requestBody" in declared else {}
        tour(operation, anna, params=anna.credentials, **body, **ids)
    tour("get_metrics", anna, bearer=metrics_token)


def _tables(engine: sa.Engine) -> dict[str, Rows]:
    """Every table there is, those behind a search index too."""
    return {name: _rows(engine, f'"{name}"') for name in sa.inspect(engine).get_table_names()}


def _rows(engine: sa.Engine, table: str) -> Rows:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings()
        return [{name: _bytes(value) for name, value in row.items()} for row in rows]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
