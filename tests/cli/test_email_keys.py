"""Accounts without a key of their address, which nobody can sign in to."""

from __future__ import annotations

import sqlalchemy as sa

from tests.database.test_email_keys import INSERT, id_of, person
from tests.kit.commands import execute, rows


def test_upgrade_lists_accounts_that_cannot_sign_in_and_purge_fills_keys(anywhere):
    eva, eva_in_a_labels = "eva@m\xfcller.example", "eva@xn--mller-kva.example"
    for number, email in enumerate((eva, eva_in_a_labels)):
        execute(INSERT.bindparams(**person(number, email)))
    assert anywhere("purge").exit_code == 0
    filled = rows(sa.text("SELECT email_key FROM users ORDER BY id"))
    assert [row.email_key for row in filled] == [f"!{id_of(0)}", eva_in_a_labels]

    named = anywhere("db upgrade")

    assert named.exit_code == 0
    assert named.stdout == "The schema is current.\n"
    assert named.stderr.endswith(f"another address:\n{id_of(0)}\n")
    assert "eva@" not in named.output
