"""Commands whose foreseeable failures are one line."""

from __future__ import annotations

import errno
from typing import Any

import click
import sqlalchemy as sa

from service.engine.database import revisions
from service.engine.problems import Problem
from service.engine.settings import BadConfiguration


class Refused(click.ClickException):
    exit_code = 2


class Commands(click.Group):
    """Commands whose foreseeable failures are one line; exit code 2 for a bad setting, else 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BadConfiguration as error:
            raise Refused(str(error)) from None
        except (revisions.Behind, revisions.Unknown) as error:
            raise click.ClickException(str(error)) from None
        except Problem as problem:
            why = problem.errors[0]["detail"] if problem.errors else problem.detail
            raise click.ClickException(why) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            place = f"{error.filename}: " if error.filename else ""  # a full disk has no file name
            raise click.ClickException(f"{place}{error.strerror}") from None
        except sa.exc.DBAPIError as error:
            line = next(iter(str(error.orig).splitlines()), type(error.orig).__name__)
            raise click.ClickException(f"Database error: {line}") from None
