"""`byline tokens` makes, lists and ends personal tokens from a shell."""

from __future__ import annotations

import re
import shlex

import pytest
import sqlalchemy as sa

from service.engine.tokens.personal import PersonalTokens, hashed
from service.models import AuditEvent, Mail, PersonalToken, User
from tests.kit.commands import NO_POSTS, execute, rows

CREATE = "tokens create --user User1@Example.com --scope account:read --scope users:write"
form = PersonalTokens("byl_")


@pytest.fixture
def user(anywhere):
    """A verified account."""
    anywhere(f"demo --yes --users 1{NO_POSTS}")
    [found] = rows(sa.select(User))
    return found


def test_a_new_token_alone_is_written_to_standard_output(anywhere, user):
    ended = anywhere(f"{CREATE} --expires-in 30")

    assert ended.exit_code == 0, ended.output
    token = ended.stdout.removesuffix("\n")
    assert form.claims(token).id == hashed(token)
    assert token not in ended.stderr
    [stored] = rows(sa.select(PersonalToken.__table__))
    assert (stored.user_id, stored.token_hash) == (user.id, hashed(token))
    assert (stored.name, stored.scopes) == ("Made by an operator", "account:read users:write")
    assert stored.id in ended.stderr
    [event] = rows(sa.select(AuditEvent.__table__))
    assert (event.action, event.actor_id, event.user_id) == (
        "personal-token-created",
        None,
        user.id,
    )


def test_the_owner_is_told(anywhere, user):
    anywhere(CREATE)

    [mail] = rows(sa.select(Mail.__table__))
    assert (mail.kind, mail.recipient, mail.user_id) == ("token-created", user.email, user.id)


def test_an_unverified_address_gets_no_mail(anywhere, user):
    execute(sa.update(User).values(email_verified=False))

    assert anywhere(CREATE).exit_code == 0
    assert rows(sa.select(Mail.__table__)) == []


def test_a_token_is_listed_and_ended_by_its_id(anywhere, user):
    token = anywhere(CREATE).stdout.strip()

    listed = anywhere("tokens list --user user1@example.com")
    [line] = listed.stdout.splitlines()
    id_, prefix, _, *used, scopes = re.split(r"  ", line)[:5]
    assert (prefix, used, scopes) == (token[:8], ["never used"], "account:read,users:write")
    ended = anywhere(f"tokens revoke {id_}")
    assert ended.stdout == f"{id_} has ended.\n"
    assert anywhere("tokens list --user user1@example.com").stdout == ""
    again = anywhere(f"tokens revoke {id_}")
    assert (again.exit_code, again.stderr) == (1, "Error: There is no token with this id.\n")


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (CREATE.replace("User1", "nobody"), 1, "There is no account with this address."),
        (CREATE.replace("users:write", "everything"), 2, "'everything' is not one of"),
        ("tokens create --user user1@example.com", 2, "Missing option '--scope'"),
        (f"{CREATE} --expires-in 0", 2, "0 is not in the range 1<=x<=365"),
        (f"{CREATE} --expires-in 366", 2, "366 is not in the range 1<=x<=365"),
        ("tokens revoke 7", 2, "'7' is not a valid UUID"),
    ],
)
def test_what_cannot_be_done_is_one_line(anywhere, user, line, code, told):
    ended = anywhere(line)

    assert (ended.exit_code, ended.stdout) == (code, "")
    assert told in ended.stderr
    assert rows(sa.select(PersonalToken.__table__)) == []


def test_a_disabled_account_gets_no_token(anywhere, user):
    execute(sa.update(User).values(disabled=True))

    ended = anywhere(CREATE)

    assert ended.exit_code == 1
    assert ended.stderr == "Error: The account with this address is disabled.\n"


def test_a_name_of_several_words_can_be_given(upgraded, monkeypatch):
    upgraded(f"demo --yes --users 1{NO_POSTS}")
    from click.testing import CliRunner

    from service.cli import main

    line = shlex.split(f"{CREATE} --name 'Nightly import'")
    assert CliRunner().invoke(main, line).exit_code == 0
    [stored] = rows(sa.select(PersonalToken.__table__))
    assert stored.name == "Nightly import"
