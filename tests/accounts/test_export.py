"""The export of an account: all that is its owner's, line by line, and nothing else."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import groupby
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.engine.spec import schemas
from service.handlers import auth
from service.models import Mail, User
from service.specification import specification
from tests.kit.accounts import listed, patch, told
from tests.kit.events import latest, written
from tests.kit.exports import PATH, give_events, give_sessions, lines
from tests.kit.mails import VERIFICATION
from tests.kit.references import resolved
from tests.kit.serving import PASSWORD, Person, Server

SCHEMAS = specification.document["components"]["schemas"]
TYPES = {"account": "Account", "session": "Session", "audit_event": "AuditEvent"}

# What JSON escapes, what lines end with elsewhere, what has four bytes or more than one character.
ODD = (
    '"\\/\t\r\n\x01\x7f\x85\u00a0\u2028\u2029\ufeff\u202e{}<&>caf\u00e9 cafe\u0301 \u4e2d\U0001f600'
)
AGENTS = [f"{n} {ODD * (n % 5 + 1)}" for n in range(330)]


def export(person: Person, **headers: str) -> httpx.Response:
    answer = person.http.get(PATH, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def of_type(kind: str, answer: httpx.Response) -> list[dict[str, Any]]:
    """The lines of a type, without it."""
    return [
        {name: value for name, value in line.items() if name != "type"}
        for line in lines(answer.content)
        if line["type"] == kind
    ]


@pytest.fixture
def prolific(server: Server, anna: Person, ben: Person, admin: Person) -> Person:
    """Anna with an odd biography, events of several kinds, hundreds of them, and of sessions; so
    has Ben."""
    server.sign_in(anna.email)
    patch(admin.http, server.verify(anna), role="admin")
    patch(admin.http, anna, role="user")
    anna.http.post("/auth/login", json={"email": anna.email, "password": "wrong"})
    for person in (anna, ben):
        give_sessions(person, AGENTS)
        give_events(person, 330)
        patch(person.http, person, bio=ODD)
    return anna


def test_an_export_contains_exactly_what_the_other_operations_return(
    prolific: Person, ben: Person, admin: Person
) -> None:
    answer = export(prolific)
    http = prolific.http
    assert of_type("account", answer) == [http.get("/auth/me").json()]
    sessions = of_type("session", answer)
    assert sessions == listed(http, "/auth/sessions", limit=100)
    events = listed(http, "/api/audit-events", limit=100)
    assert of_type("audit_event", answer) == events
    assert (len(sessions), len(events)) == (332, 337)
    assert [session["user_agent"] for session in sessions[1:-1]] == AGENTS[::-1]
    assert of_type("account", answer)[0]["bio"] == ODD
    for other in (ben, admin):
        assert other.email not in answer.text
        assert other.username not in answer.text


def test_the_lines_of_an_export_are_ordered_by_type_and_fit_the_specification(
    prolific: Person,
) -> None:
    found = lines(export(prolific).content)
    assert [kind for kind, _ in groupby(line["type"] for line in found)] == list(TYPES)
    validators = {kind: schemas.compiled(resolved(SCHEMAS[name])) for kind, name in TYPES.items()}
    for line in found:
        assert next(iter(line)) == "type"
        validator = validators[line.pop("type")]
        assert [str(error) for error in validator.iter_errors(line)] == []


def test_the_export_of_a_new_account_has_a_few_lines(anna: Person) -> None:
    found = [(line["type"], line.get("action")) for line in lines(export(anna).content)]
    actions = ("account-exported", "login", "register")
    events = [("audit_event", action) for action in actions]
    assert found == [("account", None), ("session", None), *events]


def test_the_headers_of_an_export_make_it_a_file_that_is_not_cached(anna: Person) -> None:
    headers = export(anna).headers
    assert headers["Content-Type"] == "application/x-ndjson"
    assert headers["Content-Disposition"] == 'attachment; filename="byline-export.ndjson"'
    assert headers["Cache-Control"] == "no-store"
    assert headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in headers


def test_the_head_of_an_export_has_the_headers_and_no_lines(anna: Person) -> None:
    head, get = anna.http.head(PATH), export(anna)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "Content-Disposition", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    ("path", "action"), [(PATH, "account-exported"), ("/api/accounts", "accounts-listed")]
)
def test_a_head_request_causes_no_event(path: str, action: str, admin: Person) -> None:
    def events() -> int:
        mine = {"action": action, "actor_id": admin.id}
        return len(admin.http.get("/api/audit-events", params=mine).json())

    assert admin.http.head(path).status_code == 200
    assert events() == 0
    assert admin.http.get(path).status_code == 200
    assert events() == 1


def test_an_export_is_an_audit_event_before_its_first_byte(server: Server, anna: Person) -> None:
    before = latest(server)
    with anna.http.stream("GET", PATH) as answer:
        assert answer.status_code == 200
        first = ("account-exported", anna.id, anna.id, "127.0.0.1")
        assert written(server, before) == [first]
        assert lines(answer.read())[2]["action"] == "account-exported"


def test_an_export_contains_no_secret_and_no_address_of_others(
    server: Server, anna: Person
) -> None:
    anna.http.put("/auth/email", json={"email": f"x{anna.email}", "current_password": PASSWORD})
    server.mailbox.wait(anna.email, VERIFICATION)
    hers = select(User.password_hash, Mail.id, Mail.token_hash).join(Mail, Mail.user_id == User.id)
    hidden = {value for row in server.execute(hers.where(User.id == anna.id)) for value in row}
    secrets = {anna.password, anna.tokens["access_token"], anna.tokens["refresh_token"]}
    text = export(anna).text
    assert anna.email in text
    for secret in (hidden | secrets | {f"x{anna.email}"}) - {None}:
        assert secret not in text


@pytest.mark.parametrize("token", [None, "refresh_token"])
def test_an_export_requires_an_access_token(
    token: str | None, server: Server, anna: Person
) -> None:
    with server.client(token and anna.tokens[token]) as client:
        code = "invalid-token" if token else "authentication-required"
        assert told(client.get(PATH)) == (401, code)


def test_a_user_may_export_once_a_minute(serve: Callable[..., Server]) -> None:
    server = serve(rate_limit_enabled=True)
    anna, ben = server.sign_up(), server.sign_up()
    first = export(anna)
    assert first.headers["RateLimit-Policy"].endswith('"export";q=1;w=60')
    assert '"export";r=0;t=' in first.headers["RateLimit"]
    again = server.sign_in(anna.email)  # whichever session it is
    before = latest(server)
    for person in (anna, again):
        for refused in (person.http.get(PATH), person.http.head(PATH)):
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert told(anna.http.get(PATH)) == (429, "rate-limited")
    assert written(server, before) == []
    assert export(ben).status_code == 200


def test_the_memory_of_an_export_does_not_grow_with_the_account(anna: Person) -> None:
    def peak() -> tuple[int, int]:
        """The bytes that came, and the most that were held meanwhile."""
        tracemalloc.start()
        try:
            with anna.http.stream("GET", PATH) as answer:
                size = sum(map(len, answer.iter_raw()))
            return size, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    give_events(anna, 200)
    peak()  # whatever is made once is made now
    _, before = peak()
    give_events(anna, 20_000)
    size, after = peak()
    assert size > 20_000 * 200
    assert after < before + 2_000_000


def test_an_export_contains_no_undocumented_field(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    belongings = auth._belongings

    def more(caller: Any) -> Any:
        for kind, items in belongings(caller):
            yield kind, [{**item, "password_hash": "x"} for item in items]

    monkeypatch.setattr(auth, "_belongings", more)
    assert told(anna.http.get(PATH)) == (500, "internal-error")
