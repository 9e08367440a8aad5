"""The command line of the service, for operators."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from service import demo, email_keys, maintenance
from service.accounts import administrators
from service.advice import warnings
from service.cluster_commands import distribute
from service.commands import Commands, Refused
from service.demo_posts import fill as fill_posts  # posts
from service.engine.database import revisions
from service.engine.database.transaction import db
from service.engine.serve.standard_streams import open_standard_streams
from service.engine.tokens import keys as signing
from service.flask_app import create_flask
from service.reindexing import documents, renew_documents  # posts
from service.settings import Settings, load
from service.specification import specification
from service.token_commands import group as token_commands

NAME = specification.name

DEMO = {
    "users": demo.fill,
    "posts": fill_posts,  # posts
}
_yes = click.option("--yes", is_flag=True, help="Do it in any database without asking.")


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"{NAME} {specification.version}")
        ctx.exit()


@click.group(cls=Commands, help=f"{specification.title}: users, posts and authentication.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    open_standard_streams()
    # A garbage collection at exit would take longer than most commands.
    click.get_current_context().call_on_close(gc.freeze)


@main.command(help=f"Serve the API. Run `{NAME} db upgrade` first.")
@click.option("--host", help="The address to listen on, instead of HOST.")
@click.option("--port", help="The port to listen on, instead of PORT.")
def serve(host: str | None, port: str | None) -> None:
    from service.engine.serve import server  # with all that serving needs, and no other command

    # Set in the environment, so that the workers read the same settings.
    os.environ.update({k: v for k, v in {"HOST": host, "PORT": port}.items() if v is not None})
    settings = load()
    mails = f"  mails   {settings.mail_dir}/*.eml, until SMTP_URL is set"
    program = server.Program(
        "service.asgi:app",
        partial(create_flask, settings),
        notes=[] if settings.smtp_url else [mails],
        warnings=warnings(settings),
    )
    server.run(settings, program)


@main.group("db")
def schema() -> None:
    """Manage the database schema."""


@schema.command()
@click.argument("revision", default="heads")
def upgrade(revision: str) -> None:
    """Upgrade the schema to REVISION, by default the newest of each branch."""
    with _database() as engine:
        _migrations().upgrade(engine, revision)
        click.echo(f"The schema is {revisions.state(engine)}.")
        if revisions.state(engine) is revisions.State.CURRENT:
            _name_unreachable(engine)


@schema.command()
@click.argument("revision")
@_yes
def downgrade(revision: str, yes: bool) -> None:
    """Downgrade the schema to REVISION; `base` removes every table and all data, `posts@base` those
    of a branch."""
    _agree(yes, "This removes everything that later migrations added, including its data")
    with _database() as engine:
        _migrations().downgrade(engine, revision)
        click.echo(f"The schema is {revisions.state(engine)}.")


@schema.command()
def check() -> None:
    """Compare the schema with the code; exit code 1 if it is behind or differs."""
    with _database() as engine:
        state = revisions.require(engine)
        if differences := _migrations().check(engine):
            raise click.ClickException(
                "\n  ".join(["The schema differs from the code:", *differences])
            )
        click.echo(f"The schema is {state}.")


@schema.command()  # posts
def reindex() -> None:  # posts
    """Renew the search index of posts from an older version, while the service runs."""
    total = 0
    hidden = not sys.stderr.isatty()
    with _ready_database():
        length = documents()
        with click.progressbar(length=length, file=sys.stderr, hidden=hidden) as bar:
            for seen, renewed in renew_documents():
                bar.update(seen)
                total += renewed
    click.echo(f"Reindexed {total} posts.")


@main.command()
@click.option("--email", required=True)
@click.option("--username", help="By default a random one.")
def create_admin(email: str, username: str | None) -> None:
    """Create an administrator; the password is read from a prompt or from standard input.

    An account that has the address already must have confirmed it. It is promoted and gets the
    password; its sessions end.
    """
    minimum = load().password_min_length
    with _ready_database():
        known = administrators.make_admin(email, username, password=_password, minimum=minimum)
    ended = " It has the new password, and its sessions have ended." if known else ""
    click.echo(f"{email} is an administrator now.{ended}")


@main.group()
def keys() -> None:
    """Manage the keys that sign tokens."""


@keys.command()
def generate() -> None:
    """Create the first key."""
    directory = _keys_directory(load())
    if signing.key_files(directory):
        raise click.ClickException(
            f"There is a key already; `{NAME} keys rotate` adds the next one."
        )
    click.echo(f"{signing.generate_key(directory)} signs from now on.")


@keys.command()
@click.option("--now", is_flag=True, help="After a theft: sign at once, and trust no other key.")
def rotate(now: bool) -> None:
    """Publish a new key, which signs once all verifiers have it, and remove expired ones."""
    settings = load()
    directory = _keys_directory(settings)
    path, moment = maintenance.rotate_keys(directory, now=now)
    is_due = moment <= datetime.now(UTC)
    click.echo(f"{path} signs from {'now' if is_due else f'{moment:%Y-%m-%dT%H:%M:%SZ}'} on.")
    longest = max(settings.access_token_ttl, settings.refresh_token_ttl)
    others = [other for other in signing.key_files(directory) if other != path]
    superseded = others if now else maintenance.superseded_keys(directory, longest)
    if superseded:
        _reseal(directory)  # or no authenticator app sealed with these keys would work any more
    for old in superseded:
        old.unlink()
        click.echo(f"{old} is removed.")


@keys.command("list")
def list_keys() -> None:
    """List the keys, newest first: id, algorithm, time from which it signs, and whether it is
    published, signs, or only verifies."""
    for key, moment, does in maintenance.signing_keys(_keys_directory(load())):
        click.echo(f"{key.kid}  {key.algorithm:<5}  {moment:%Y-%m-%dT%H:%M:%SZ}  {does}")


@main.command("demo")
@click.option("--users", type=click.IntRange(0), default=100, show_default=True)
@click.option("--posts", type=click.IntRange(0), default=1000, show_default=True)  # posts
@_yes
def fill(yes: bool, **counts: int) -> None:
    """Add plausible users and posts; the users' password is `demo-password`."""
    _agree(yes, "This adds accounts with a publicly known password")
    hidden = not sys.stderr.isatty()
    bar = click.progressbar(length=sum(counts.values()), file=sys.stderr, hidden=hidden)
    with _ready_database(), bar:
        for kind, add in DEMO.items():
            for done in add(counts[kind]):
                bar.update(done)
    click.echo(f"Added {' and '.join(f'{counts[kind]} {kind}' for kind in DEMO)}.")


@main.command()
def purge() -> None:
    """Delete expired rows (sessions, tokens, keys, counts) and the data of deleted users."""
    with _ready_database():
        for table, rows in maintenance.purge().items():
            click.echo(f"{table:<18} {rows:>8} deleted")


@main.command()
@click.option(
    "--version",
    type=click.Choice(["3.0", "3.1"]),
    default="3.0",
    help="Of OpenAPI: 3.0 as YAML, 3.1 as JSON.",
)
def openapi(version: str) -> None:
    """Print the public specification."""
    if version == "3.1":
        click.echo(specification.public_json_31())
    else:
        click.echo(specification.public_yaml(), nl=False)


def _migrations() -> Any:
    from service import migrations  # imports Alembic, which serving does not need

    return migrations


@contextmanager
def _database() -> Iterator[sa.Engine]:
    with create_flask(load()).app_context():
        try:
            yield db.engine
        finally:
            db.engine.dispose()


@contextmanager
def _ready_database() -> Iterator[None]:
    with _database() as engine:
        revisions.require(engine)
        yield


def _reseal(directory: Path) -> None:
    with _database() as engine:
        if revisions.state(engine) in {revisions.State.CURRENT, revisions.State.NEWER}:
            maintenance.reseal(directory)


def _agree(yes: bool, harm: str) -> None:
    """Ask for confirmation before changing a database other than the embedded one."""
    if yes or load().embedded:
        return
    if not _is_terminal():
        raise Refused(f"{harm}. Add --yes if DATABASE_URL is the database you mean.")
    click.confirm(f"{harm}. Is DATABASE_URL the database you mean?", abort=True)


main.add_command(token_commands(_ready_database))
schema.add_command(distribute(_database, _agree))


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _password() -> str:
    if _is_terminal():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _name_unreachable(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        if ids := email_keys.unreachable(connection):
            click.echo(
                "These accounts cannot sign in because an older one has the same address in "
                "another spelling; an administrator can give them another address:",
                err=True,
            )
            click.echo("\n".join(ids), err=True)


def _keys_directory(settings: Settings) -> Path:
    if settings.jwt_private_key is not None:
        raise click.ClickException("JWT_PRIVATE_KEY is set, so no key folder is used.")
    return settings.jwt_keys_dir
