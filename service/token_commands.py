"""The commands `tokens`: personal tokens from a shell, for operators and their scripts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import click

from service.accounts import operator_tokens
from service.specification import specification

SCOPES: list[str] = specification.document["components"]["schemas"]["Scope"]["enum"]
_user = click.option("--user", required=True, help="The user's address.", metavar="EMAIL")


def group(database: Callable[[], AbstractContextManager[Any]]) -> click.Group:
    """The commands; `database` opens the database if its schema is current."""

    @click.group()
    def tokens() -> None:
        """Manage personal tokens, with which programs act for a user."""

    @tokens.command()
    @_user
    @click.option(
        "--scope",
        "scopes",
        required=True,
        multiple=True,
        type=click.Choice(SCOPES),
        help="What the token may do; may be repeated.",
    )
    @click.option("--name", default="Made by an operator", show_default=True)
    @click.option(
        "--expires-in",
        metavar="DAYS",
        type=click.IntRange(1, 365),
        default=90,
        show_default=True,
    )
    def create(user: str, scopes: tuple[str, ...], name: str, expires_in: int) -> None:
        """Create a token. It alone is written to standard output, and cannot be shown again."""
        with database():
            token, row = operator_tokens.create(user, scopes, name=name, days=expires_in)
        click.echo(f"{row['id']} of {user} expires at {row['expires_at']}.", err=True)
        click.echo(token)

    @tokens.command("list")
    @_user
    def list_tokens(user: str) -> None:
        """List a user's tokens, newest first: id, beginning, end, last use, scopes, name."""
        with database():
            for one in operator_tokens.listed(user):
                used = one["last_used_at"] or "never used"
                scopes = ",".join(one["scopes"])
                fields = (one["id"], one["prefix"], one["expires_at"], used, scopes, one["name"])
                click.echo("  ".join(fields))

    @tokens.command()
    @click.argument("token_id", type=click.UUID, metavar="ID")
    def revoke(token_id: UUID) -> None:
        """End the token with this ID, whoever's it is."""
        with database():
            operator_tokens.revoke(token_id)
        click.echo(f"{token_id} has ended.")

    return tokens
